import { flexRender, getCoreRowModel, useReactTable } from '@tanstack/react-table';
import { useVirtualizer } from '@tanstack/react-virtual';
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'react';
import { useLocation } from 'wouter';
import type { Params } from '../api/client';
import type { Job } from '../api/types';
import { useWatch } from '../feed/live';
import { useI18n } from '../i18n';
import { Empty, Failure } from '../ui/parts';
import { StateLabel } from '../ui/state';
import { Ago } from '../ui/time';
import { JobName, JobProgress, columns } from './columns';
import { useJobWindow, type Window } from './window';
import { useKeys, type Keys } from '../ui/keys';

export interface Selection {
  ids: ReadonlySet<number>;
  all: boolean; // all that the query selects
}
export const noSelection: Selection = { ids: new Set(), all: false };

interface Props {
  params: Params;
  shown: readonly string[];
  selectable: boolean;
  selection: Selection;
  onSelect: (s: Selection) => void;
  onWindow?: (w: { count: number; more: boolean }) => void;
  keysFor: (cursor: Job | undefined) => Keys;
  empty: string;
}

const narrowQuery = matchMedia('(max-width: 720px)');

function useNarrow(): boolean {
  const [narrow, set] = useState(narrowQuery.matches);
  useEffect(() => {
    const f = () => set(narrowQuery.matches);
    narrowQuery.addEventListener('change', f);
    return () => narrowQuery.removeEventListener('change', f);
  }, []);
  return narrow;
}

// JobTable shows a list of any length: only the rows in sight exist, and only their pages are read.
export function JobTable({ params, shown, selectable, selection, onSelect, onWindow, keysFor, empty }: Props) {
  const { t } = useI18n();
  const [, go] = useLocation();
  const narrow = useNarrow();
  const height = narrow ? 56 : 34;
  const scroller = useRef<HTMLDivElement>(null);
  const [range, setRange] = useState({ first: 0, last: 40 });
  const w = useJobWindow(params, range.first, range.last);

  const virtual = useVirtualizer({
    count: w.count,
    getScrollElement: () => scroller.current,
    estimateSize: () => height,
    overscan: 12,
    getItemKey: (i) => w.at(i)?.id ?? `row-${i}`,
  });
  useEffect(() => virtual.measure(), [virtual, height]);
  const items = virtual.getVirtualItems();
  const first = items[0]?.index ?? 0;
  // One page further than what is in sight, so that scrolling does not wait.
  const last = (items.at(-1)?.index ?? 40) + 40;
  useEffect(() => setRange((r) => (r.first === first && r.last === last ? r : { first, last })), [first, last]);
  useEffect(() => onWindow?.({ count: w.count, more: w.more }), [w.count, w.more, onWindow]);
  useSteady(scroller, w, height);

  const visible = useSame(items.map((i) => w.at(i.index)).filter((j): j is Job => j !== undefined));
  useWatch(visible.map((j) => j.id));

  const visibility = useMemo(() => Object.fromEntries(columns.map((c) => [c.id ?? '', shown.includes(c.id ?? '')])), [shown]);
  const table = useReactTable({
    data: visible,
    columns,
    getCoreRowModel: getCoreRowModel(),
    getRowId: (j) => String(j.id),
    autoResetAll: false, // the rows in sight are no page of the table's own
    state: { columnVisibility: visibility, columnOrder: [...shown] },
  });
  const rows = table.getRowModel().rowsById;
  const template = (selectable ? '34px ' : '') + table.getVisibleLeafColumns().map((c) => c.columnDef.meta?.width ?? '1fr').join(' ');

  const [cursor, setCursor] = useState<{ index: number; id: number | undefined }>({ index: -1, id: undefined });
  const current = cursor.index >= 0 ? w.at(cursor.index) : undefined;
  const move = (by: number) => {
    if (w.count === 0) return;
    // The job under the cursor may have moved; the cursor stays with it.
    const now = visible.findIndex((j) => j.id === cursor.id);
    const base = now >= 0 ? (items.find((i) => w.at(i.index)?.id === cursor.id)?.index ?? cursor.index) : cursor.index;
    const index = Math.max(0, Math.min(w.count - 1, base + by));
    setCursor({ index, id: w.at(index)?.id });
    virtual.scrollToIndex(index);
  };
  const toggle = (id: number) => {
    const ids = new Set(selection.all ? [] : selection.ids);
    if (!ids.delete(id)) ids.add(id);
    onSelect({ ids, all: false });
  };
  const focused = current && current.id === cursor.id ? current : visible.find((j) => j.id === cursor.id);
  useKeys({
    j: () => move(1),
    k: () => move(-1),
    ArrowDown: () => move(1),
    ArrowUp: () => move(-1),
    PageDown: () => move(20),
    PageUp: () => move(-20),
    Home: () => move(-w.count),
    End: () => move(w.count),
    Enter: () => focused && go(`/jobs/${focused.id}`),
    ...(selectable
      ? {
          x: () => focused && toggle(focused.id),
          a: () => onSelect({ ids: new Set(), all: true }),
          Escape: () => onSelect(noSelection),
        }
      : {}),
    ...keysFor(focused),
  });

  if (w.error) return <Failure error={w.error} retry={w.retry} />;
  const allLoaded = w.rows.length > 0 && w.rows.every((j) => selection.ids.has(j.id));
  return (
    <div
      ref={scroller}
      className={narrow ? 'table narrow' : 'table'}
      role="grid"
      aria-label={t('jobs')}
      aria-rowcount={w.more ? -1 : w.count + 1}
      aria-colcount={table.getVisibleLeafColumns().length + (selectable ? 1 : 0)}
      aria-multiselectable={selectable || undefined}
      aria-activedescendant={focused ? `job-${focused.id}` : undefined}
      aria-busy={w.pending}
      tabIndex={0}
    >
      <div className="thead" role="rowgroup">
        <div className="tr" role="row" aria-rowindex={1} style={{ gridTemplateColumns: template }}>
          {selectable && (
            <div className="td check" role="columnheader">
              <input
                type="checkbox"
                aria-label={t('select.loaded')}
                checked={selection.all || allLoaded}
                onChange={(e) => onSelect(e.currentTarget.checked ? { ids: new Set(w.rows.map((j) => j.id)), all: false } : noSelection)}
              />
            </div>
          )}
          {table.getVisibleLeafColumns().map((c) => (
            <div key={c.id} className={c.columnDef.meta?.end ? 'td end' : 'td'} role="columnheader">
              {c.columnDef.meta ? t(c.columnDef.meta.label) : ''}
            </div>
          ))}
        </div>
      </div>
      <div className="tbody" role="rowgroup" style={{ height: virtual.getTotalSize() }}>
        {items.map((item) => {
          const j = w.at(item.index);
          const style = { transform: `translateY(${item.start}px)`, height, gridTemplateColumns: template };
          if (!j) {
            return (
              <div key={item.key} className="tr waiting" role="row" aria-rowindex={item.index + 2} style={style}>
                <div className="td" role="gridcell">
                  <span className="bone" />
                </div>
              </div>
            );
          }
          const selected = selection.all || selection.ids.has(j.id);
          return (
            <div
              key={item.key}
              id={`job-${j.id}`}
              className={`tr row ${j.id === cursor.id ? 'cursor' : ''} ${selected ? 'selected' : ''}`}
              role="row"
              aria-rowindex={item.index + 2}
              aria-selected={selectable ? selected : undefined}
              data-job={j.id}
              data-state={j.state}
              style={style}
              onClick={(e) => {
                if (e.shiftKey && selectable) toggle(j.id);
                else if (e.metaKey || e.ctrlKey) window.open(`/jobs/${j.id}`);
                else go(`/jobs/${j.id}`);
              }}
            >
              {selectable && (
                <div className="td check" role="gridcell" onClick={(e) => e.stopPropagation()}>
                  <input type="checkbox" tabIndex={-1} aria-label={t('select.job', { id: String(j.id) })} checked={selected} onChange={() => toggle(j.id)} />
                </div>
              )}
              {narrow ? (
                <div className="td card" role="gridcell">
                  <div className="card-line">
                    <JobName job={j} />
                    <span className="num faint">{j.id}</span>
                  </div>
                  <div className="card-line">
                    <StateLabel job={j} />
                    <span className="grow ellipsis">
                      <JobProgress job={j} />
                    </span>
                    <span className="num faint">
                      <Ago at={j.created_at} />
                    </span>
                  </div>
                </div>
              ) : (
                rows[String(j.id)]?.getVisibleCells().map((c) => (
                  <div key={c.id} className={c.column.columnDef.meta?.end ? 'td end' : 'td'} role="gridcell">
                    {flexRender(c.column.columnDef.cell, c.getContext())}
                  </div>
                ))
              )}
            </div>
          );
        })}
      </div>
      {!w.pending && w.count === 0 && <Empty>{empty}</Empty>}
    </div>
  );
}

// useSame returns the list of before where nothing in it has changed.
function useSame<V>(list: V[]): V[] {
  const kept = useRef(list);
  if (kept.current.length !== list.length || list.some((v, i) => v !== kept.current[i])) kept.current = list;
  return kept.current;
}

// useSteady keeps the rows in sight where they are when new ones come in above them.
function useSteady(scroller: React.RefObject<HTMLDivElement | null>, w: Window, height: number): void {
  const before = useRef<number | undefined>(undefined);
  const top = w.at(0)?.id;
  useLayoutEffect(() => {
    const el = scroller.current;
    const old = before.current;
    before.current = top;
    if (!el || old === undefined || top === undefined || old === top || el.scrollTop < height) return;
    for (let i = 1; i < 100; i++) {
      if (w.at(i)?.id === old) {
        el.scrollTop += i * height;
        return;
      }
    }
  }, [top, height, scroller, w]);
}
