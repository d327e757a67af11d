import { expect, test } from 'vitest';
import { visible } from './plain';
import { commandLine, eta, quote, title } from './state';

test('what deceives the eye is shown', () => {
  expect(visible('a\u202eexe.txt\u202c')).toBe('a⟨U+202E⟩exe.txt⟨U+202C⟩');
  expect(visible('\u001b[31m\u0007')).toBe('␛[31m␇');
  expect(visible('x\u200by\ufeff')).toBe('x⟨U+200B⟩y⟨U+FEFF⟩');
  expect(visible('\u0085')).toBe('⟨85⟩');
  expect(visible('tab\tline\n<b>Привет</b> 日本')).toBe('tab\tline\n<b>Привет</b> 日本');
});

test('time to the end, by the speed so far', () => {
  const start = '2026-01-01T00:00:00Z';
  const at = (s: number) => Date.parse(start) + s * 1000;
  expect(eta(50, start, at(60))).toBe(60);
  expect(eta(25, start, at(10))).toBe(30);
  expect(eta(0, start, at(10))).toBeUndefined();
  expect(eta(100, start, at(10))).toBeUndefined();
  expect(eta(10, start, at(-5))).toBeUndefined();
  expect(eta(undefined, start, at(10))).toBeUndefined();
  expect(eta(50, undefined, 0)).toBeUndefined();
});

test('what a job is called', () => {
  expect(title({ type: 'command', command: ['tar', 'a b'] })).toBe("tar 'a b'");
  expect(title({ type: 'shell', command: ['/bin/sh', '-c', 'echo hi'] })).toBe('echo hi');
  expect(title({ type: 'command', name: 'backup', command: ['x'] })).toBe('backup');
  expect(commandLine({ type: 'command' })).toBe('');
  expect(quote("it's")).toBe(`'it'\\''s'`);
});
