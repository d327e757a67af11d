import { expect, test } from 'vitest';
import { SseParser } from './sse';

function parse(...parts: string[]) {
  const events: [string, string][] = [];
  let beats = 0;
  const p = new SseParser((n, d) => events.push([n, d]), () => beats++);
  for (const part of parts) p.push(part);
  return { events, beats };
}

test('events, however they are cut', () => {
  const text = 'retry: 1000\n\nevent: hello\ndata: {"a":1}\n\n:\n\nid: 7\nevent: update\ndata: x\ndata: y\n\n';
  const want = [['hello', '{"a":1}'], ['update', 'x\ny']];
  expect(parse(text).events).toEqual(want);
  expect(parse(...text.split('')).events).toEqual(want);
  expect(parse(text.replaceAll('\n', '\r\n')).events).toEqual(want);
});

test('heartbeats tell that the connection lives, and are no events', () => {
  expect(parse(':\n\n', ':\n\n')).toEqual({ events: [], beats: 2 });
});

test('half an event is none', () => {
  expect(parse('event: update\ndata: x\n').events).toEqual([]);
});
