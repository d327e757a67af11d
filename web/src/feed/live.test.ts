import { QueryClient, QueryObserver } from '@tanstack/react-query';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Server } from './testserver';

// The page's side of the feed as it is where there are no shared workers: only the server is not real.
let server: Server;
let queries: QueryClient;
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

beforeEach(async () => {
  vi.useFakeTimers();
  vi.resetModules(); // one page each
  server = new Server();
  server.greets = true;
  vi.stubGlobal('fetch', server.fetch);
  vi.stubGlobal('window', new EventTarget());
  vi.stubGlobal('document', Object.assign(new EventTarget(), { visibilityState: 'visible' }));
  queries = new QueryClient({ defaultOptions: { queries: { staleTime: Infinity, networkMode: 'always' } } });
  const { startFeed } = await import('./live');
  startFeed(queries);
  await pass(0);
});
afterEach(async () => {
  server.status = 401; // a feed that is not let in is over
  server.feeds.forEach((f) => f.open && f.end());
  await pass(60_000);
  queries.clear();
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

// shown puts a query on the page that takes ms to answer, with the time when it was asked.
function shown(key: string, ms: number, meta = {}) {
  const q = { begun: 0, ended: 0, data: () => queries.getQueryData<number>([key]) };
  new QueryObserver<number>(queries, {
    queryKey: [key],
    meta,
    queryFn: async () => {
      q.begun++;
      const asked = Date.now();
      await new Promise((resolve) => setTimeout(resolve, ms));
      q.ended++;
      return asked;
    },
  }).subscribe(() => {});
  return q;
}

const resync = () => server.feeds.at(-1)?.say('event: resync\ndata: {"seq":2,"resync":true}\n\n');

test('while the feed leaves out again and again, slow answers come all the same, and the last is of the end', async () => {
  const slow = shown('a list', 3000, { live: 'list' });
  const quick = shown('a job', 10);
  await pass(4000);
  expect([slow.data(), quick.data()]).not.toContain(undefined);
  const before = { slow: slow.data(), quick: quick.begun };
  for (let i = 0; i < 300; i++) {
    resync();
    await pass(100);
  }
  const last = Date.now() - 100;
  // In 30 s: nine rounds of 3 s, and what was asked was waited for.
  expect(slow.data()).toBeGreaterThan(Number(before.slow) + 20_000);
  expect(slow.begun).toBeLessThanOrEqual(slow.ended + 1);
  expect(slow.ended).toBeGreaterThanOrEqual(6);
  expect(quick.begun - before.quick).toBeLessThanOrEqual(31);
  await pass(20_000);
  expect(slow.data()).toBeGreaterThanOrEqual(last);
  expect(quick.data()).toBeGreaterThanOrEqual(last);
  const at = slow.begun;
  await pass(20_000);
  expect(slow.begun).toBe(at);
});

test('what was asked before the feed left something out is asked once more', async () => {
  const slow = shown('a job', 3000);
  await pass(4000);
  void queries.invalidateQueries();
  await pass(1000);
  const told = Date.now();
  resync();
  await pass(10_000);
  expect(slow.begun).toBe(3); // the one that was on its way has come, and one after it
  expect(slow.ended).toBe(3);
  expect(slow.data()).toBeGreaterThanOrEqual(told);
});

test('after a lost connection all that is shown is read anew, also where an answer never came', async () => {
  const job = shown('a job', 10);
  await pass(100);
  let answer = (): void => {};
  let asked = 0;
  new QueryObserver(queries, { queryKey: ['hangs'], queryFn: () => (asked++ === 1 ? new Promise<number>((r) => (answer = () => r(1))) : asked) }).subscribe(() => {});
  await pass(100);
  void queries.invalidateQueries({ queryKey: ['hangs'] });
  await pass(100);
  expect([job.begun, asked]).toEqual([1, 2]);
  server.feeds[0]?.end();
  await pass(2000);
  expect(job.begun).toBe(2);
  await pass(20_000);
  expect(asked).toBe(3);
  expect(queries.getQueryData(['hangs'])).toBe(3);
  answer();
});
