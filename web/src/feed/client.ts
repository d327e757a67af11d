import { FeedCore, type FeedMessage, type Watch } from './core';

export type FromTab = { type: 'hello'; lock: string } | { type: 'watch'; watch: Watch } | { type: 'wake' } | { type: 'connect' };

// openFeed joins the feed that all tabs share, or opens one in the page where there are no shared
// workers. The answer sends to it.
export function openFeed(receive: (m: FeedMessage) => void): (m: FromTab) => void {
  const send = 'SharedWorker' in window && 'locks' in navigator ? shared(receive) : own(receive);
  const wake = () => {
    if (document.visibilityState === 'visible') send({ type: 'wake' });
  };
  document.addEventListener('visibilitychange', wake);
  window.addEventListener('online', wake);
  window.addEventListener('pageshow', wake);
  return send;
}

function shared(receive: (m: FeedMessage) => void): (m: FromTab) => void {
  const worker = new SharedWorker(new URL('./worker.ts', import.meta.url), { type: 'module', name: 'queuemgr-feed' });
  worker.port.onmessage = (e: MessageEvent<FeedMessage>) => receive(e.data);
  const lock = `queuemgr-tab-${crypto.getRandomValues(new Uint32Array(4)).join('-')}`;
  // Held until the tab is gone: the promise never ends.
  void navigator.locks.request(lock, () => {
    worker.port.postMessage({ type: 'hello', lock } satisfies FromTab);
    return new Promise<void>(() => {});
  });
  return (m) => worker.port.postMessage(m);
}

function own(receive: (m: FeedMessage) => void): (m: FromTab) => void {
  const core = new FeedCore(receive);
  core.connect();
  return (m) => {
    if (m.type === 'watch') core.watch(m.watch);
    else if (m.type === 'wake') core.wake();
    else if (m.type === 'connect') core.connect();
  };
}
