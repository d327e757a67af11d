import { expect, test } from 'vitest';
import { LogWindow, cut, type Part } from './window';
import { plain } from './ansi';

const encode = (s: string) => new TextEncoder().encode(s);

// A log in memory that counts what is asked of it.
function logOf(text: string | Uint8Array) {
  let data = typeof text === 'string' ? encode(text) : text;
  let most = 0;
  const win = new LogWindow((offset, limit): Promise<Part> => {
    most = Math.max(most, limit);
    return Promise.resolve({ data: data.slice(offset, offset + limit), offset, size: data.length });
  });
  return { win, grow: (more: string) => (data = new Uint8Array([...data, ...encode(more)])), most: () => most, size: () => data.length };
}

const million = Array.from({ length: 300_000 }, (_, i) => `line ${i}\n`).join('');

test('opens at the end', async () => {
  const { win, most } = logOf(million);
  await win.openEnd();
  expect(win.lines.at(-1)?.text).toBe('line 299999');
  expect(win.atEnd).toBe(true);
  expect(win.atStart).toBe(false);
  expect(win.firstNumber).toBeUndefined();
  expect(most()).toBeLessThanOrEqual(256 << 10);
});

test('scrolls to the beginning with every line once, in bounded memory', async () => {
  const { win } = logOf(million);
  await win.openEnd();
  let seen = Number(/\d+/.exec(win.lines[0]?.text ?? '')?.[0]);
  while (!win.atStart) {
    const n = await win.older();
    expect(win.lines.length).toBeLessThanOrEqual(30_000);
    expect(win.lines[n - 1]?.text).toBe(`line ${seen - 1}`);
    seen -= n;
  }
  expect(win.lines[0]?.text).toBe('line 0');
  expect(win.firstNumber).toBe(1);
});

test('scrolls to the end with every line once, and knows their numbers', async () => {
  const { win } = logOf(million);
  await win.openAt(0);
  while (!win.atEnd) {
    const before = win.lines.at(-1)?.text;
    await win.newer();
    const i = win.lines.findIndex((l) => l.text === before);
    expect(win.lines[i + 1]?.text).toBe(`line ${Number(before?.slice(5)) + 1}`);
    expect(win.lines[0]?.text).toBe(`line ${(win.firstNumber ?? 0) - 1}`);
  }
  expect(win.lines.at(-1)?.text).toBe('line 299999');
});

test('finds the line of an offset', async () => {
  const { win } = logOf(million);
  const offset = million.indexOf('line 150000') + 3;
  const i = await win.openAt(offset);
  expect(win.lines[i]?.text).toBe('line 150000');
});

test('a last line grows until its line feed comes', async () => {
  const { win, grow } = logOf('a\npart');
  await win.openEnd();
  expect(win.lines.map((l) => l.text)).toEqual(['a', 'part']);
  grow('ial\nnext');
  await win.newer();
  expect(win.lines.map((l) => l.text)).toEqual(['a', 'partial', 'next']);
  await win.newer();
  expect(win.lines.map((l) => l.text)).toEqual(['a', 'partial', 'next']);
});

test('an empty log is empty, and grows', async () => {
  const { win, grow } = logOf('');
  await win.openEnd();
  expect(win.lines).toEqual([]);
  grow('x\n');
  await win.newer();
  expect(win.lines.map((l) => l.text)).toEqual(['x']);
});

test('a line without an end is shown in pieces', async () => {
  const { win, size } = logOf('x'.repeat(1_000_000));
  await win.openEnd();
  while (!win.atStart) expect(await win.older()).toBeGreaterThan(0);
  expect(win.lines.every((l) => l.text.length <= 16 << 10)).toBe(true);
  expect(win.lines.reduce((n, l) => n + l.text.length, 0)).toBe(size());
});

test('pieces do not cut characters', () => {
  const data = encode('я'.repeat(20_000));
  const lines = cut(data, 0, 0, plain, true);
  expect(lines.map((l) => l.text).join('')).toBe('я'.repeat(20_000));
});

test('bytes that are no UTF-8 become replacement characters', () => {
  const lines = cut(new Uint8Array([0x61, 0xff, 0xfe, 0x62, 10]), 0, 0, plain, true);
  expect(lines[0]?.text).toBe('a\ufffd\ufffdb');
});

test('a carriage return overwrites', () => {
  expect(cut(encode('10 %\r50 %\r100 %\ndone\r\n'), 0, 0, plain, true).map((l) => l.text)).toEqual(['100 %', 'done']);
});
