import { useSyncExternalStore } from 'react';
import { ApiError } from '../api/client';
import { useI18n } from '../i18n';
import { Icon } from './icons';
import { Plain } from './plain';

interface Toast {
  id: number;
  text: string;
  hint?: string | undefined;
  bad: boolean;
  undo?: (() => void) | undefined;
}

let toasts: readonly Toast[] = [];
let next = 1;
const listeners = new Set<() => void>();

function change(list: readonly Toast[]): void {
  toasts = list;
  for (const f of listeners) f();
}

const drop = (id: number) => change(toasts.filter((x) => x.id !== id));

// toast says what was done; with undo it can be taken back for a while.
export function toast(text: string, o: { undo?: () => void; bad?: boolean; hint?: string | undefined } = {}): void {
  const id = next++;
  change([...toasts.slice(-3), { id, text, hint: o.hint, bad: o.bad ?? false, undo: o.undo }]);
  setTimeout(() => drop(id), o.undo || o.bad ? 10_000 : 5_000);
}

export function toastError(e: unknown): void {
  if (e instanceof ApiError) toast(e.message, { bad: true, hint: e.problem.hint });
  else toast(String(e), { bad: true });
}

export function Toasts() {
  const { t } = useI18n();
  const list = useSyncExternalStore(
    (f) => {
      listeners.add(f);
      return () => listeners.delete(f);
    },
    () => toasts,
  );
  return (
    <div className="toasts" role="status" aria-live="polite">
      {list.map((x) => (
        <div key={x.id} className={x.bad ? 'toast bad' : 'toast'}>
          <Icon name={x.bad ? 'warn' : 'check'} />
          <div className="grow">
            <Plain text={x.text === 'unreachable' ? t('error.unreachable') : x.text} />
            {x.hint && <Plain className="dim block" text={x.hint} />}
          </div>
          {x.undo && (
            <button
              type="button"
              className="link"
              onClick={() => {
                x.undo?.();
                drop(x.id);
              }}
            >
              {t('undo')}
            </button>
          )}
          <button type="button" className="quiet" aria-label={t('close')} onClick={() => drop(x.id)}>
            <Icon name="close" size={14} />
          </button>
        </div>
      ))}
    </div>
  );
}
