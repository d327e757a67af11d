import { useCallback, useMemo } from 'react';
import { useLocation, useSearch } from 'wouter';
import { defaultColumns } from './columns';
import { formatQuery, parseQuery, type Query } from './query';

// The view of the list is in the URL: ?q=state:failed&cols=id,state,name. A link or bookmark is a saved view.
export interface View {
  query: Query;
  text: string;
  columns: string[];
  oldest: boolean;
}

export function useView(): [View, (change: Partial<View>, replace?: boolean) => void] {
  const search = useSearch();
  const [, go] = useLocation();
  const view = useMemo<View>(() => {
    const p = new URLSearchParams(search);
    const text = p.get('q') ?? '';
    return { text, query: parseQuery(text).query, columns: p.get('cols')?.split(',').filter(Boolean) ?? [...defaultColumns], oldest: p.get('oldest') === '1' };
  }, [search]);
  const set = useCallback(
    (change: Partial<View>, replace = false) => {
      const next = { ...view, ...change };
      if (change.query) next.text = formatQuery(change.query);
      const p = new URLSearchParams();
      if (next.text) p.set('q', next.text);
      if (next.columns.join() !== defaultColumns.join()) p.set('cols', next.columns.join());
      if (next.oldest) p.set('oldest', '1');
      const s = p.toString();
      go(s ? `/jobs?${s}` : '/jobs', { replace });
    },
    [view, go],
  );
  return [view, set];
}

export const jobsUrl = (text: string) => `/jobs?${new URLSearchParams({ q: text }).toString()}`;
