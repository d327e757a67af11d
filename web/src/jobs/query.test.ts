import { expect, test } from 'vitest';
import { complete, emptyQuery, formatQuery, moment, parseQuery, ranges, toFilter, toParams } from './query';

test('reads conditions and words', () => {
  const { query, wrong } = parseQuery('state:failed,stopped queue:mail tag:"two words" nightly build id:3,5-8 owner:ada exit:2 reason:oom since:24h');
  expect(wrong).toEqual([]);
  expect(query).toEqual({ ...emptyQuery, states: ['failed', 'stopped'], queues: ['mail'], tags: ['two words'], words: 'nightly build', ids: ['3', '5-8'], owner: 'ada', exits: ['2'], reasons: ['oom'], since: '24h' });
});

test('groups of states open and close', () => {
  const { query } = parseQuery('state:waiting,failed');
  expect(query.states).toEqual(['queued', 'scheduled', 'blocked', 'held', 'failed']);
  expect(formatQuery(query)).toBe('state:waiting,failed');
});

test('what it writes it reads', () => {
  for (const text of ['', 'word', 'state:live', 'state:failed queue:a,b tag:"x y" words here', 'id:1-5 exit:1,2 since:7d until:2026-01-02']) {
    expect(formatQuery(parseQuery(text).query)).toBe(text);
  }
});

test('names what it cannot read, and leaves it out', () => {
  const { query, wrong } = parseQuery('state:fail id:x exit:abc since:yesterday reason:boom ok');
  expect(wrong.map((w) => w.word)).toEqual(['fail', 'x', 'abc', 'yesterday', 'boom']);
  expect(query).toEqual({ ...emptyQuery, words: 'ok' });
});

test('half a condition and a foreign colon do no harm', () => {
  expect(parseQuery('state:').query).toEqual(emptyQuery);
  expect(parseQuery('http://x "unclosed').query.words).toBe('http://x unclosed');
});

test('completes fields and values', () => {
  const known = { state: ['failed', 'queued'], queue: ['mail', 'media'] };
  expect(complete('st', known)).toEqual(['state:']);
  expect(complete('x queue:m', known)).toEqual(['x queue:mail', 'x queue:media']);
  expect(complete('state:failed,', known)).toEqual(['state:failed,queued']);
  expect(complete('', known)).toEqual([]);
});

test('times', () => {
  const now = Date.parse('2026-01-08T00:00:00Z');
  expect(moment('24h', now)).toBe('2026-01-07T00:00:00.000Z');
  expect(moment('7d', now)).toBe('2026-01-01T00:00:00.000Z');
  expect(moment('2026-01-02', now)).toBe('2026-01-02T00:00:00.000Z');
  expect(moment('', now)).toBeUndefined();
});

test('a list and an action select the same', () => {
  const { query } = parseQuery('state:failed queue:mail id:3,5-8 word');
  const params = toParams(query, 0);
  const filter = toFilter(query, 0);
  expect(params['state']).toEqual(filter.states);
  expect(params['queue']).toEqual(filter.queues);
  expect(filter.ids).toEqual([{ from: 3, to: 3 }, { from: 5, to: 8 }]);
  expect(params['select']).toEqual(['3', '5-8']);
});

test('numbers become ranges', () => {
  expect(ranges([5, 1, 2, 3, 9, 3])).toEqual([{ from: 1, to: 3 }, { from: 5, to: 5 }, { from: 9, to: 9 }]);
  expect(ranges([])).toEqual([]);
});
