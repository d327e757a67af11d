// The one connection of all tabs, in a SharedWorker. A tab holds a lock of its own while it lives:
// when the worker gets that lock the tab is gone, however it went.
import { FeedCore, type Watch } from './core';
import type { FromTab } from './client';

interface Tab {
  port: MessagePort;
  watch: Watch;
}

const tabs = new Set<Tab>();
const core = new FeedCore((m) => {
  for (const t of tabs) t.port.postMessage(m);
});

function watchAll(): void {
  const jobs = new Set<number>();
  const logs = new Set<number>();
  for (const t of tabs) {
    for (const id of t.watch.jobs) jobs.add(id);
    for (const id of t.watch.logs) logs.add(id);
  }
  core.watch({ jobs: [...jobs], logs: [...logs] });
}

function connect(port: MessagePort): void {
  const tab: Tab = { port, watch: { jobs: [], logs: [] } };
  const first = tabs.size === 0;
  tabs.add(tab);
  port.onmessage = (e: MessageEvent<FromTab>) => {
    const m = e.data;
    if (m.type === 'hello') {
      void navigator.locks.request(m.lock, () => {
        tabs.delete(tab);
        watchAll();
        if (tabs.size === 0) core.close();
      });
    } else if (m.type === 'watch') {
      tab.watch = m.watch;
      watchAll();
    } else if (m.type === 'wake') {
      core.wake();
    } else if (m.type === 'connect') {
      core.connect();
    }
  };
  // A tab comes with a login: what was closed for the lack of one is opened again, for all.
  if (first || core.closed) core.connect();
  for (const m of core.snapshot()) port.postMessage(m);
}

(self as unknown as SharedWorkerGlobalScope).onconnect = (e) => {
  const port = e.ports[0];
  if (port) connect(port);
};
