import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { FeedCore, type FeedMessage } from './core';

// Server stands for the daemon on the other side of fetch: what it answers, and when, is up to a test.
class Server {
  feeds: { say: (text: string) => void; end: () => void; open: boolean; answer: (r: Response) => void }[] = [];
  told: unknown[] = [];
  mute = false; // a connection is taken, and nothing comes of it
  status = 200;
  watchStatus = 204;

  fetch = (url: string, o: RequestInit): Promise<Response> =>
    new Promise((resolve, reject) => {
      o.signal?.addEventListener('abort', () => reject(new DOMException('aborted', 'AbortError')));
      if (o.method === 'PUT') {
        this.told.push([url, JSON.parse(String(o.body))]);
        resolve(new Response(null, { status: this.watchStatus }));
        return;
      }
      let control!: ReadableStreamDefaultController<Uint8Array>;
      const body = new ReadableStream<Uint8Array>({ start: (c) => void (control = c) });
      const feed = {
        open: true,
        answer: resolve,
        say: (text: string) => control.enqueue(new TextEncoder().encode(text)),
        end: () => control.close(),
      };
      o.signal?.addEventListener('abort', () => {
        feed.open = false;
        control.error(new DOMException('aborted', 'AbortError'));
      });
      this.feeds.push(feed);
      if (!this.mute) resolve(new Response(this.status === 200 ? body : null, { status: this.status }));
    });

  hello = (n: number) => this.feeds[n]?.say(`event: hello\ndata: {"feed":"f${n}","seq":1,"status":{}}\n\n`);
}

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
