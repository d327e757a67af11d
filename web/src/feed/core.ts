import type { Job, LogSize, Machine, Status } from '../api/types';
import { SseParser } from './sse';

export interface Update {
  seq: number;
  status?: Status;
  jobs?: Job[];
  gone?: number[];
  dirty?: boolean;
  resync?: boolean;
  logs?: Record<string, LogSize>;
  machine?: Machine;
}

export type FeedState = 'connecting' | 'live' | 'lost' | 'closed';

// What a feed tells: `fresh` is the start of a connection, after which all that is shown is read anew.
export type FeedMessage =
  | { type: 'state'; state: FeedState }
  | { type: 'fresh'; status: Status }
  | { type: 'update'; update: Update };

export interface Watch {
  jobs: number[];
  logs: number[];
}

// silence is how long a connection may say nothing, in ms; the server's heartbeats come far more often.
const silence = 45_000;
const firstRetry = 500;
const lastRetry = 15_000;
const mostJobs = 2000; // what one feed watches
const mostLogs = 20;

// newest takes the last ones where it is too much: what came into sight last.
const newest = (ids: readonly number[], most: number) => ids.slice(-most).sort((a, b) => a - b);

// FeedCore keeps one connection to /api/feed and comes back when it is lost: soon at first, then less often.
export class FeedCore {
  private state: FeedState = 'connecting';
  private status: Status | undefined;
  private machine: Machine | undefined;
  private feed = '';
  private watched: Watch = { jobs: [], logs: [] };
  private told = '';
  private telling = false;
  private abort: AbortController | undefined;
  private retry = firstRetry;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private heard = 0;
  private guard: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly emit: (m: FeedMessage) => void) {}

  // snapshot is what somebody who comes later has to know.
  snapshot(): FeedMessage[] {
    const all: FeedMessage[] = [{ type: 'state', state: this.state }];
    if (this.status && this.state === 'live') {
      all.push({ type: 'fresh', status: this.status });
      if (this.machine) all.push({ type: 'update', update: { seq: 0, machine: this.machine } });
    }
    return all;
  }

  get closed(): boolean {
    return this.state === 'closed';
  }

  // connect opens the connection now, whatever it waited for.
  connect(): void {
    this.drop();
    const abort = new AbortController();
    this.abort = abort;
    this.watchOver(abort); // the first byte may never come either
    void this.run(abort);
  }

  close(): void {
    this.drop();
    this.set('closed');
  }

  // drop ends the connection that there is, and whatever waits for it.
  private drop(): void {
    clearTimeout(this.timer);
    clearTimeout(this.guard);
    this.abort?.abort();
    this.abort = undefined;
    this.feed = '';
  }

  // wake is told when the machine may have slept or the network came back.
  wake(): void {
    if (this.state === 'closed') return;
    if (this.state !== 'live' || Date.now() - this.heard > silence) this.connect();
  }

  watch(w: Watch): void {
    this.watched = { jobs: newest(w.jobs, mostJobs), logs: newest(w.logs, mostLogs) };
    void this.tell();
  }

  private set(state: FeedState): void {
    if (this.state === state) return;
    this.state = state;
    this.emit({ type: 'state', state });
  }

  private async run(abort: AbortController): Promise<void> {
    try {
      const r = await fetch('/api/feed', { signal: abort.signal, credentials: 'same-origin', headers: { Accept: 'text/event-stream' }, cache: 'no-store' });
      if (this.abort !== abort) return;
      if (r.status === 401 || r.status === 403) {
        this.close();
        return;
      }
      if (!r.ok || !r.body) throw new Error(`feed: HTTP ${r.status}`);
      const parser = new SseParser(
        (name, data) => this.abort === abort && this.event(name, data),
        () => this.abort === abort && this.alive(abort),
      );
      const reader = r.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        parser.push(value);
      }
    } catch {
      // Lost, whatever it was: the state says so, and the next try may tell more.
    }
    if (this.abort !== abort) return; // another connection took its place, or none is wanted
    this.drop(); // what can't be read is not left open
    this.set('lost');
    // A little chance in it: not every page comes back to a restarted daemon in the same moment.
    this.timer = setTimeout(() => this.connect(), this.retry * (0.75 + Math.random() / 2));
    this.retry = Math.min(this.retry * 2, lastRetry);
  }

  private alive(abort: AbortController): void {
    this.heard = Date.now();
    this.watchOver(abort);
  }

  // watchOver gives up on a connection that says nothing: it counts as lost.
  private watchOver(abort: AbortController): void {
    clearTimeout(this.guard);
    this.guard = setTimeout(() => abort.abort(), silence);
  }

  private event(name: string, data: string): void {
    const value: unknown = JSON.parse(data);
    if (name === 'hello') {
      const hello = value as { feed: string; status: Status };
      this.feed = hello.feed;
      this.status = hello.status;
      this.told = '';
      this.set('live');
      this.emit({ type: 'fresh', status: hello.status });
      void this.tell();
    } else if (name === 'update' || name === 'resync') {
      const update = value as Update;
      if (update.status) this.status = update.status;
      if (update.machine) this.machine = update.machine;
      // Something was left out: all that is shown is read anew. It comes first, as it also forgets what
      // was told; the rest of this message is not part of that.
      if ((name === 'resync' || update.resync) && this.status) this.emit({ type: 'fresh', status: this.status });
      this.emit({ type: 'update', update });
    }
  }

  // tell says to the server what is watched, one request at a time and the latest wish last.
  private async tell(): Promise<void> {
    if (this.telling || !this.feed || !this.abort) return;
    this.telling = true;
    const { feed, abort } = this;
    try {
      for (let body = ''; this.abort === abort; this.told = body) {
        body = JSON.stringify(this.watched);
        if (body === this.told) break;
        const r = await fetch(`/api/feed/${encodeURIComponent(feed)}`, { method: 'PUT', body, signal: abort.signal, credentials: 'same-origin', headers: { 'Content-Type': 'application/json' } });
        if (!r.ok) throw new Error(`feed: HTTP ${r.status}`);
        if (this.abort !== abort) break; // told a feed that is over
        // Only now it works in both directions. A hello alone is no reason to come back soon: a feed that
        // greets and takes no PUT would be asked in a loop.
        this.retry = firstRetry;
      }
    } catch {
      // A feed that can't be told what to watch is no use. Its successor is told anew.
      abort.abort();
    } finally {
      this.telling = false;
    }
    if (this.abort !== abort) void this.tell();
  }
}
