import { useSyncExternalStore } from 'react';
import { useI18n } from '../i18n';

// One clock for all that shows a passing time; it stands still while nobody looks.
let now = Date.now();
let timer: ReturnType<typeof setInterval> | undefined;
const listeners = new Set<() => void>();

function tick(): void {
  if (document.visibilityState === 'hidden') return;
  now = Date.now();
  for (const f of listeners) f();
}

function subscribe(f: () => void): () => void {
  listeners.add(f);
  if (!timer) {
    now = Date.now();
    timer = setInterval(tick, 1000);
    document.addEventListener('visibilitychange', tick);
  }
  return () => {
    listeners.delete(f);
    if (listeners.size === 0) {
      clearInterval(timer);
      timer = undefined;
      document.removeEventListener('visibilitychange', tick);
    }
  };
}

export const useNow = () => useSyncExternalStore(subscribe, () => now);

// Ago shows how long ago something was, and when exactly on hover.
export function Ago({ at }: { at: string }) {
  const { f } = useI18n();
  return (
    <time dateTime={at} title={f.time(at)}>
      {f.ago(at, useNow())}
    </time>
  );
}

// Lasting shows how long something takes or took.
export function Lasting({ from, to }: { from: string; to?: string | undefined }) {
  return to ? <Span seconds={(Date.parse(to) - Date.parse(from)) / 1000} /> : <Running from={from} />;
}

function Running({ from }: { from: string }) {
  return <Span seconds={Math.floor((useNow() - Date.parse(from)) / 1000)} />;
}

function Span({ seconds }: { seconds: number }) {
  const { f } = useI18n();
  return <span className="num">{f.duration(seconds)}</span>;
}
