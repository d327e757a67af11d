import { useEffect, useRef } from 'react';

type Handler = (e: KeyboardEvent) => void;
export type Keys = Readonly<Record<string, Handler>>;

const stack: { keys: Keys }[] = [];
let prefix = '';
let prefixTimer: ReturnType<typeof setTimeout> | undefined;

const typing = (e: KeyboardEvent): boolean => {
  const el = e.target as HTMLElement | null;
  return !!el?.closest('input, textarea, select, [contenteditable], [role=dialog], [role=menu], [role=listbox]');
};

function onKey(e: KeyboardEvent): void {
  if (e.ctrlKey || e.metaKey || e.altKey || e.defaultPrevented || typing(e)) return;
  const name = prefix ? `${prefix} ${e.key}` : e.key;
  prefix = '';
  clearTimeout(prefixTimer);
  for (let i = stack.length - 1; i >= 0; i--) {
    const f = stack[i]?.keys[name];
    if (f) {
      // On a button or link Enter and space are its own.
      if ((e.key === 'Enter' || e.key === ' ') && (e.target as HTMLElement | null)?.closest('a, button')) return;
      e.preventDefault();
      f(e);
      return;
    }
  }
  if (stack.some((l) => Object.keys(l.keys).some((k) => k.startsWith(`${name} `)))) {
    prefix = name;
    prefixTimer = setTimeout(() => (prefix = ''), 1200);
  }
}

// useKeys binds single keys and two-key sequences ("g o") while a component is shown; the one that
// came last wins.
export function useKeys(keys: Keys): void {
  const layer = useRef({ keys });
  layer.current.keys = keys;
  useEffect(() => {
    const l = layer.current;
    stack.push(l);
    if (stack.length === 1) document.addEventListener('keydown', onKey);
    return () => {
      stack.splice(stack.indexOf(l), 1);
      if (stack.length === 0) document.removeEventListener('keydown', onKey);
    };
  }, []);
}
