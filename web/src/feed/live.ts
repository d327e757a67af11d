import { type QueryClient } from '@tanstack/react-query';
import { useEffect, useMemo, useSyncExternalStore } from 'react';
import type { Job, LogSize, Machine, Page, Status } from '../api/types';
import { openFeed, type FromTab } from './client';
import type { FeedMessage, FeedState, Update } from './core';

// What the feed has told. One object for the page: components read it through the hooks below.
interface Live {
  state: FeedState;
  status: Status | undefined;
  machine: Machine | undefined;
  logs: ReadonlyMap<number, LogSize>;
  connections: number; // how often all that is shown had to be read anew
}

let live: Live = { state: 'connecting', status: undefined, machine: undefined, logs: new Map(), connections: 0 };
const listeners = new Set<() => void>();
const watches = new Set<{ jobs: readonly number[]; logs: readonly number[] }>();
// Records as the feed had them last, with the count of messages then: an answer to a request that
// began before must not put an older one in their place.
const recent = new Map<number, { job: Job; at: number }>();
const keep = 4000;
const keepLogs = 50;
let messages = 0;
let send: ((m: FromTab) => void) | undefined;
let client: QueryClient | undefined;

function set(part: Partial<Live>): void {
  live = { ...live, ...part };
  for (const f of listeners) f();
}

// startFeed connects the page to the feed; it is called once there is a login.
export function startFeed(queries: QueryClient): void {
  client = queries;
  if (send) send({ type: 'connect' });
  else send = openFeed(receive);
}

function receive(m: FeedMessage): void {
  messages++;
  if (m.type === 'state') {
    // The server takes the login no longer, or takes one again that another tab brought: asked who one
    // is, it says so.
    const login = m.state === 'closed' || (live.state === 'closed' && m.state === 'live');
    set({ state: m.state });
    if (login) void client?.invalidateQueries({ queryKey: ['me'] });
  } else if (m.type === 'fresh') {
    recent.clear();
    set({ status: m.status, logs: new Map() });
    // Lists are asked for once more: they may have been read before the feed began. After a lost
    // connection, or where the feed left something out, that goes for everything, and what could not be
    // read is tried again.
    if (live.connections > 0) {
      everything();
    } else {
      set({ connections: 1 });
      dirty();
    }
  } else {
    update(m.update);
  }
}

function update(u: Update): void {
  const part: Partial<Live> = {};
  if (u.status) part.status = u.status;
  if (u.machine) part.machine = u.machine;
  if (u.logs) {
    const logs = new Map(live.logs);
    for (const [id, size] of Object.entries(u.logs)) {
      logs.delete(Number(id));
      logs.set(Number(id), size);
    }
    for (const id of logs.keys()) {
      if (logs.size <= keepLogs) break;
      logs.delete(id);
    }
    part.logs = logs;
  }
  if (Object.keys(part).length > 0) set(part);
  // A job in another state may belong into other lists than before.
  const moved = u.jobs?.some((j) => recent.get(j.id)?.job.state !== j.state) ?? false;
  if (u.jobs?.length) patch(u.jobs);
  if (u.dirty || u.gone?.length || moved) dirty();
}

// patch puts records into every list and page that shows them.
function patch(jobs: readonly Job[]): void {
  const byId = new Map<number, Job>();
  for (const j of jobs) {
    byId.set(j.id, j);
    recent.delete(j.id);
    recent.set(j.id, { job: j, at: messages });
    // Only where a page shows it or did: a list that rushes by must not fill the cache.
    if (client?.getQueryState(['job', j.id])) client.setQueryData(['job', j.id], j);
  }
  for (const id of recent.keys()) {
    if (recent.size <= keep) break;
    recent.delete(id);
  }
  client?.setQueriesData<Page>({ queryKey: ['jobs'] }, (old) => {
    if (!old?.jobs || !old.jobs.some((j) => byId.has(j.id))) return old;
    return { ...old, jobs: old.jobs.map((j) => byId.get(j.id) ?? j) };
  });
}

// paced returns what reads anew: at most once a pause, never while an answer is still on its way (else
// a slow server would never get to finish one), and once more after the last call.
function paced(pause: number, read: (queries: QueryClient) => Promise<void>): () => void {
  let wanted = false;
  let running = false;
  const run = async () => {
    running = true;
    while (wanted && client) {
      wanted = false;
      await Promise.all([sleep(pause), read(client)]);
    }
    running = false;
  };
  return () => {
    wanted = true;
    if (!running) void run();
  };
}

const patience = 20_000; // ms for an answer, after which it is asked for again
const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
const answered = (reading: Promise<void>) => Promise.race([reading, sleep(patience)]);
const kind = (name: string) => (queries: QueryClient) => answered(queries.invalidateQueries({ predicate: (q) => q.meta?.['live'] === name }));

const invalidate = [
  paced(1000, kind('list')), // lists: at most once a second
  paced(10_000, kind('slow')), // charts: they cost more and change less
];
const dirty = () => invalidate.forEach((f) => f());

// A feed may leave something out ten times a second. What is on its way is not thrown away for that, but
// may be older than what was left out: it is asked for once more when it is there.
const everything = paced(1000, async (queries) => {
  set({ connections: live.connections + 1 });
  const before = new Set(queries.getQueryCache().findAll({ fetchStatus: 'fetching' }));
  await answered(queries.invalidateQueries({}, { cancelRefetch: false }));
  if (before.size > 0) await answered(queries.invalidateQueries({ predicate: (q) => before.has(q) }));
});

// stamp and newest keep an answer from putting back what the feed has told since it was asked for.
export const stamp = () => messages;
export function newest(j: Job, asked: number): Job {
  const r = recent.get(j.id);
  return r && r.at > asked ? r.job : j;
}

// known is a job's record as the feed had it last.
export const known = (id: number): Job | undefined => recent.get(id)?.job;

function subscribe(f: () => void): () => void {
  listeners.add(f);
  return () => listeners.delete(f);
}

export const useFeedState = () => useSyncExternalStore(subscribe, () => live.state);
export const useStatus = () => useSyncExternalStore(subscribe, () => live.status);
export const useMachine = () => useSyncExternalStore(subscribe, () => live.machine);
export const useConnections = () => useSyncExternalStore(subscribe, () => live.connections);
export const useLogSize = (id: number) => useSyncExternalStore(subscribe, () => live.logs.get(id));

let telling = false;
function tell(): void {
  if (telling) return;
  telling = true;
  setTimeout(() => {
    telling = false;
    const jobs = new Set<number>();
    const logs = new Set<number>();
    for (const w of watches) {
      for (const id of w.jobs) jobs.add(id);
      for (const id of w.logs) logs.add(id);
    }
    send?.({ type: 'watch', watch: { jobs: [...jobs], logs: [...logs] } });
  }, 50);
}

const none: readonly number[] = [];

// useWatch asks the feed for these jobs' records, and for the growth of these logs.
export function useWatch(jobs: readonly number[], logs: readonly number[] = none): void {
  const key = `${jobs.join()};${logs.join()}`;
  // The lists are new with every rendering; what is in them is what counts.
  const w = useMemo(() => ({ jobs, logs }), [key]);
  useEffect(() => {
    watches.add(w);
    tell();
    return () => {
      watches.delete(w);
      tell();
    };
  }, [w]);
}
