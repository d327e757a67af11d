import { expect, test } from 'vitest';
import { fieldsOf, firstParams, items, lines, parseObject, put, rules, split, typeName, wrongParam, type Schema } from './params';

const schema: Schema = {
  type: 'object',
  required: ['op', 'sources'],
  properties: {
    overwrite: { type: 'boolean', default: false },
    op: { type: 'string', enum: ['copy', 'move'] },
    sources: { type: 'array', items: { type: 'string' }, minItems: 1 },
    statuses: { type: 'array', items: { type: 'integer' } },
    modes: { type: 'array', items: { type: 'string', enum: ['a', 'b'] } },
    timeout: { type: ['number', 'string'], format: 'duration-seconds', pattern: 'x', minimum: 0 },
    width: { type: ['integer', 'null'], minimum: 1, exclusiveMaximum: 9 },
    ratio: { type: 'number' },
    token: { type: 'string' },
    deep: { type: 'object', properties: { a: { type: 'string' } } },
    any: {},
  },
};

test('each parameter gets its input; what must be given comes first', () => {
  const fields = fieldsOf({ schema, secret: ['token'] });
  expect(fields.map((f) => `${f.name} ${f.kind}`)).toEqual([
    'op choice', 'sources list', 'overwrite boolean', 'statuses list', 'modes json', 'timeout text', 'width integer', 'ratio number', 'token text', 'deep json', 'any json',
  ]);
  expect(fields.filter((f) => f.required).map((f) => f.name)).toEqual(['op', 'sources']);
  expect(fields.filter((f) => f.secret).map((f) => f.name)).toEqual(['token']);
  expect(fieldsOf({})).toEqual([]);
  expect(firstParams({ schema: { required: ['a', 'b'], properties: { a: { type: 'boolean' }, b: { type: 'boolean', default: true }, c: { type: 'boolean' } } } })).toEqual({ a: false });
});

test('what a parameter is and must be', () => {
  const of = schema.properties ?? {};
  expect(['sources', 'timeout', 'width', 'deep', 'any'].map((n) => typeName(of[n] ?? {}))).toEqual(['string[]', 'number | string', 'integer', 'object', 'JSON']);
  expect(rules(of['op'] ?? {})).toEqual(['copy | move']);
  expect(rules(of['modes'] ?? {})).toEqual(['a | b']);
  expect(rules(of['width'] ?? {})).toEqual(['≥ 1', '< 9']);
  expect(rules(of['timeout'] ?? {})).toEqual(['≥ 0', '90, 45s, 1h30m']);
});

test('an error finds its parameter', () => {
  expect(['params/op', 'params/sources/0', 'params/a~1b~0c/x', 'params', 'queue', undefined].map(wrongParam)).toEqual(['op', 'sources', 'a/b~c', '', undefined, undefined]);
});

test('lists are lines; what lines cannot hold is not one', () => {
  expect(lines(['a', 'b c'])).toBe('a\nb c');
  expect(lines(undefined)).toBe('');
  expect([['a\nb'], [''], [{}], 'a'].map(lines)).toEqual([undefined, undefined, undefined, undefined]);
  expect(items('a\n\n b\n', { items: { type: 'string' } })).toEqual(['a', ' b']);
  expect(items('200\nx\n 4', { items: { type: 'integer' } })).toEqual([200, 'x', 4]);
  expect(items('\n', {})).toBeUndefined();
});

test('secrets stand apart; a parameter is put, and left out', () => {
  expect(split({ a: 1, token: 's' }, ['token'])).toEqual({ open: { a: 1 }, hidden: { token: 's' } });
  expect(put({ a: 1 }, 'b', 2)).toEqual({ a: 1, b: 2 });
  expect(put({ a: 1, b: 2 }, 'b', undefined)).toEqual({ a: 1 });
  expect(['{"a":1}', '[1]', 'null', '{'].map(parseObject)).toEqual([{ a: 1 }, undefined, undefined, undefined]);
});
