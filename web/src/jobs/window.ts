import { useQueries } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';
import { get, type Params } from '../api/client';
import type { Job, Page } from '../api/types';
import { newest, stamp } from '../feed/live';

export const pageSize = 100;

export interface Window {
  count: number; // rows known of so far
  more: boolean; // there are pages behind the last one
  at: (index: number) => Job | undefined;
  rows: Job[]; // those that are loaded, in order
  pending: boolean; // nothing has come yet
  error: unknown;
  retry: () => void;
}

// useJobWindow reads the pages that rows first..last are on, by keyset cursors. Pages out of sight are
// forgotten after a while and read again by their cursor, so that memory stays bounded however far
// one scrolls.
export function useJobWindow(params: Params, first: number, last: number): Window {
  const key = JSON.stringify(params);
  const [chain, setChain] = useState<{ key: string; cursors: string[] }>({ key, cursors: [''] });
  const cursors = chain.key === key ? chain.cursors : [''];
  const from = Math.min(Math.floor(first / pageSize), cursors.length - 1);
  const to = Math.min(Math.floor(last / pageSize), cursors.length - 1);
  const shown: number[] = [];
  for (let i = from; i <= to; i++) shown.push(i);

  const results = useQueries({
    queries: shown.map((i) => ({
      queryKey: ['jobs', params, cursors[i] ?? ''],
      meta: { live: 'list' },
      gcTime: 30_000,
      queryFn: async ({ signal }: { signal: AbortSignal }) => {
        const asked = stamp();
        const page = await get<Page>('/api/jobs', { ...params, limit: pageSize, cursor: cursors[i] }, signal);
        return { ...page, jobs: page.jobs.map((j) => newest(j, asked)) };
      },
    })),
  });

  // What a page had last stays in sight while its successor is on its way.
  const kept = useRef<{ key: string; pages: Map<number, Page> }>({ key, pages: new Map() });
  if (kept.current.key !== key) kept.current = { key, pages: new Map() };
  const pages = kept.current.pages;
  shown.forEach((i, n) => {
    const data = results[n]?.data;
    if (data) pages.set(i, data);
  });
  for (const i of pages.keys()) if (i < from - 2 || i > to + 2) pages.delete(i);

  // A page's end is where the next one begins: the chain follows what the pages say now.
  const ends = shown.map((i, n) => `${i}:${results[n]?.data ? (results[n].data.next_cursor ?? 'end') : '?'}`).join(' ');
  useEffect(() => {
    setChain((old) => {
      let list = old.key === key ? old.cursors : [''];
      shown.forEach((i, n) => {
        const data = results[n]?.data;
        if (!data || i >= list.length) return;
        if (!data.next_cursor) list = list.slice(0, i + 1);
        else if (list[i + 1] !== data.next_cursor) list = [...list.slice(0, i + 1), data.next_cursor, ...list.slice(i + 2)];
      });
      return old.key === key && list === old.cursors ? old : { key, cursors: list };
    });

  }, [key, ends]);

  const end = pages.get(cursors.length - 1);
  const more = end === undefined || end.next_cursor !== undefined;
  const count = (cursors.length - 1) * pageSize + (end ? end.jobs.length : pages.size === 0 ? 0 : pageSize);
  const bad = results.find((r) => r.error);
  return {
    count,
    more,
    at: (index) => pages.get(Math.floor(index / pageSize))?.jobs[index % pageSize],
    rows: [...pages.keys()].sort((a, b) => a - b).flatMap((i) => pages.get(i)?.jobs ?? []),
    pending: pages.size === 0 && !bad,
    error: pages.size === 0 ? bad?.error : undefined,
    retry: () => results.forEach((r) => void r.refetch()),
  };
}
