import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { FeedCore, type FeedMessage } from './core';
import { Server } from './testserver';

let server: Server;
let heard: FeedMessage[];
let core: FeedCore;
const states = () => heard.flatMap((m) => (m.type === 'state' ? [m.state] : []));
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

beforeEach(() => {
  vi.useFakeTimers();
  server = new Server();
  vi.stubGlobal('fetch', server.fetch);
  heard = [];
  core = new FeedCore((m) => heard.push(m));
});
afterEach(() => {
  core.close();
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

test('a lost connection comes back, and is told anew what is watched', async () => {
  core.watch({ jobs: [1], logs: [] });
  core.connect();
  await pass(0);
  server.hello(0);
  await pass(0);
  server.feeds[0]?.end();
  await pass(2000);
  server.hello(1);
  await pass(0);
  expect(states()).toEqual(['live', 'lost', 'live']);
  expect(heard.filter((m) => m.type === 'fresh')).toHaveLength(2);
  expect(server.told).toEqual([['/api/feed/f0', { jobs: [1], logs: [] }], ['/api/feed/f1', { jobs: [1], logs: [] }]]);
});

test('a connection that says nothing is given up, before its first byte too', async () => {
  server.mute = true;
  core.connect();
  await pass(44_000);
  expect(server.feeds).toHaveLength(1);
  server.mute = false;
  await pass(3000);
  expect(server.feeds[0]?.open).toBe(false);
  expect(server.feeds).toHaveLength(2);
  server.hello(1);
  await pass(0);
  expect(states()).toEqual(['lost', 'live']);
  await pass(40_000);
  server.feeds[1]?.say(':\n\n'); // a heartbeat
  await pass(40_000);
  expect(states()).toEqual(['lost', 'live']);
  await pass(6000);
  expect(states()).toEqual(['lost', 'live', 'lost']);
  expect(server.feeds[1]?.open).toBe(false);
});

test('a feed that can not be told what to watch is replaced, not asked in a loop', async () => {
  server.watchStatus = 500;
  core.watch({ jobs: [7], logs: [] });
  core.connect();
  await pass(0);
  server.hello(0);
  await pass(0);
  expect(server.told).toHaveLength(1);
  expect(server.feeds[0]?.open).toBe(false);
  server.watchStatus = 204;
  await pass(2000);
  server.hello(1);
  await pass(0);
  expect(server.told.at(-1)).toEqual(['/api/feed/f1', { jobs: [7], logs: [] }]);
  core.watch({ jobs: [8], logs: [] });
  await pass(0);
  expect(server.told.at(-1)).toEqual(['/api/feed/f1', { jobs: [8], logs: [] }]);
});

// The waits grow from 0.5 s to 15 s, each up to a quarter shorter or longer.
const tenMinutes = { most: 5 + 600 / (15 * 0.75), least: 600 / (15 * 1.25) };

test('a feed that greets and takes no PUT is asked less and less often', async () => {
  server.greets = true;
  server.watchStatus = 500;
  core.watch({ jobs: [7], logs: [] });
  core.connect();
  await pass(600_000);
  expect(server.feeds.length).toBeLessThanOrEqual(tenMinutes.most);
  expect(server.feeds.length).toBeGreaterThanOrEqual(tenMinutes.least);
  expect(server.told).toHaveLength(server.feeds.length);
  expect(server.feeds.filter((f) => f.open)).toHaveLength(0);

  server.watchStatus = 204;
  await pass(20_000);
  const n = server.feeds.length;
  expect(states().at(-1)).toBe('live');
  server.feeds[n - 1]?.end(); // it worked, so its successor comes soon again
  await pass(700);
  expect(server.feeds).toHaveLength(n + 1);
});

test('a feed that refuses is asked less and less often', async () => {
  server.status = 500;
  core.connect();
  await pass(600_000);
  expect(server.feeds.length).toBeLessThanOrEqual(tenMinutes.most);
  expect(server.feeds.length).toBeGreaterThanOrEqual(tenMinutes.least);
});

test('what is watched is bounded: the newest wishes, in order', async () => {
  const ids = (from: number, n: number) => Array.from({ length: n }, (_, i) => from - i);
  server.greets = true;
  core.watch({ jobs: ids(9000, 2500), logs: ids(300, 30) });
  core.connect();
  await pass(0);
  expect(server.told).toEqual([['/api/feed/f0', { jobs: ids(8500, 2000).reverse(), logs: ids(290, 20).reverse() }]]);
});

test('what comes with a resync is told after it, and so not forgotten', async () => {
  server.greets = true;
  core.connect();
  await pass(0);
  heard = [];
  const update = { seq: 2, resync: true, logs: { 7: { attempt: 1, size: 10 } } };
  server.feeds[0]?.say(`event: resync\ndata: ${JSON.stringify(update)}\n\n`);
  await pass(0);
  expect(heard).toEqual([{ type: 'fresh', status: {} }, { type: 'update', update }]);
});

test('what is no event ends the connection, which is not left open', async () => {
  core.connect();
  await pass(0);
  server.hello(0);
  server.feeds[0]?.say('event: update\ndata: {broken\n\n');
  await pass(0);
  expect(states()).toEqual(['live', 'lost']);
  expect(server.feeds[0]?.open).toBe(false);
});

test('who is not let in is not asked again; a login opens it', async () => {
  server.status = 401;
  core.connect();
  await pass(600_000);
  expect(states()).toEqual(['closed']);
  expect(server.feeds).toHaveLength(1);
  core.wake();
  await pass(0);
  expect(server.feeds).toHaveLength(1);
  server.status = 200;
  core.connect();
  await pass(0);
  server.hello(1);
  await pass(0);
  expect(states()).toEqual(['closed', 'live']);
});

test('a feed that is closed stays closed', async () => {
  core.connect();
  await pass(0);
  server.hello(0);
  await pass(0);
  core.close();
  await pass(600_000);
  expect(states()).toEqual(['live', 'closed']);
  expect(server.feeds).toHaveLength(1);
  expect(server.feeds[0]?.open).toBe(false);
  expect(vi.getTimerCount()).toBe(0);
});

test('waking up looks at once whether the connection still lives', async () => {
  core.connect();
  await pass(0);
  server.hello(0);
  await pass(1000);
  core.wake();
  await pass(0);
  expect(server.feeds).toHaveLength(1); // it was heard just now
  vi.setSystemTime(Date.now() + 3_600_000); // an hour of sleep, in which no timer ran
  core.wake();
  await pass(0);
  expect(server.feeds).toHaveLength(2);
  expect(server.feeds[0]?.open).toBe(false);
});
