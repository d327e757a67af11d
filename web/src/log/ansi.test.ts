import { expect, test } from 'vitest';
import { parseLine, plain, strip, styleAfter } from './ansi';

const E = '\u001b';
const spans = (line: string) => parseLine(line, plain).spans.map((s) => [s.text, s.className]);

test('colours and weights become classes', () => {
  expect(spans(`a${E}[31mred${E}[1mbold${E}[0m b`)).toEqual([['a', ''], ['red', 'f1'], ['bold', 'f1 ab'], [' b', '']]);
  expect(spans(`${E}[92;44mx`)).toEqual([['x', 'f10 b4']]);
  expect(spans(`${E}[38;5;208mx${E}[48;5;17my`)).toEqual([['x', 'f208'], ['y', 'f208 b17']]);
  expect(spans(`${E}[38;2;255;0;0mx`)).toEqual([['x', 'f196']]);
  expect(spans(`${E}[38:2:128:128:128mx`)).toEqual([['x', 'f244']]);
  expect(spans(`${E}[7mx${E}[27my`)).toEqual([['x', 'fi bi'], ['y', '']]);
});

test('what would move, title or link is left out', () => {
  expect(spans(`${E}[2J${E}[10;5Ha${E}]0;title\u0007b${E}]8;;javascript:alert(1)${E}\\c${E}(Bd${E}7e`)).toEqual([['abcde', '']]);
  expect(strip(`${E}[31mred${E}[0m`)).toBe('red');
});

test('a sequence that is cut off or made up does no harm', () => {
  expect(spans(`a${E}[31`)).toEqual([['a', '']]);
  expect(spans(`a${E}`)).toEqual([['a', '']]);
  expect(spans(`a${E}]never ended`)).toEqual([['a', '']]);
  expect(spans(`${E}[38;5;99999mx`)).toEqual([['x', 'f255']]);
  expect(spans(`${E}[38;5mx`)).toEqual([['x', 'f0']]);
  expect(spans(`${E}[?25lx${E}[>4;1my`)).toEqual([['xy', '']]);
  expect(spans(`<script>alert(1)</script>`)).toEqual([['<script>alert(1)</script>', '']]);
});

test('class names are letters and numbers whatever comes', () => {
  for (let i = 0; i < 2000; i++) {
    const soup = Array.from({ length: 12 }, (_, n) => `${E}[${[(i * 7 + n * 31) % 130, (i * n) % 300, -1, 'x"><b'][n % 4]};${(i * 13) % 60}m`).join('t');
    for (const s of parseLine(soup, plain).spans) expect(s.className).toMatch(/^[a-z0-9 ]*$/);
  }
});

test('a style goes on in the next line', () => {
  const style = styleAfter(`${E}[31mred`, plain);
  expect(parseLine('still', style).spans).toEqual([{ text: 'still', className: 'f1' }]);
});
