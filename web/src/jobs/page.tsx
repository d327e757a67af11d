import { Menu } from '@mantine/core';
import { useCallback, useEffect, useMemo, useState } from 'react';
import { Link, useSearch } from 'wouter';
import { ended, live, may, waiting, type Action, type Filter, type Job, type State } from '../api/types';
import { useStatus } from '../feed/live';
import { useI18n } from '../i18n';
import { useMay } from '../session';
import { Icon } from '../ui/icons';
import { useKeys, type Keys } from '../ui/keys';
import { Act, PageHead } from '../ui/parts';
import { Plain } from '../ui/plain';
import { useAct, useActOne } from './act';
import { columns } from './columns';
import { emptyQuery, formatQuery, ranges, shortStates, toFilter, toParams, type Query } from './query';
import { Search } from './search';
import { JobTable, noSelection, type Selection } from './table';
import { useView } from './url';

export function JobsPage() {
  const { t, f } = useI18n();
  const [view, setView] = useView();
  const operator = useMay('operator');
  const search = useSearch();
  const act = useAct();
  const actOne = useActOne();
  const [selection, setSelection] = useState<Selection>(noSelection);
  const [loaded, setLoaded] = useState({ count: 0, more: true });
  const [focus, setFocus] = useState(0);
  const status = useStatus();

  useEffect(() => {
    if (new URLSearchParams(search).get('focus') !== 'search') return;
    setFocus((n) => n + 1);
    setView({}, true);
  }, [search, setView]);
  useKeys({ '/': () => setFocus((n) => n + 1) });

  const minute = Math.floor(Date.now() / 60_000);
  const params = useMemo(() => ({ ...toParams(view.query, minute * 60_000), oldest: view.oldest }), [view.text, view.oldest, minute]);
  useEffect(() => setSelection(noSelection), [view.text]);

  const count = selection.all ? undefined : selection.ids.size;
  const selected = selection.all || selection.ids.size > 0;
  const filter = useCallback((): Filter => (selection.all ? toFilter(view.query, Date.now()) : { ids: ranges(selection.ids) }), [selection, view.query]);
  const run = (action: Action) =>
    void act(action, filter()).then((done) => {
      if (done) setSelection(noSelection);
    });
  const keysFor = (j: Job | undefined): Keys => {
    if (!operator) return {};
    const one = (action: Action) => () => {
      if (selected) run(action);
      else if (j && may(j.state)[action]) void actOne(action, j);
    };
    return { r: one('start'), s: one('stop'), h: one('hold'), d: one('delete') };
  };

  const states = view.query.states;
  const exact = exactCount(view.query, status?.jobs);
  const sum = exact ?? (loaded.more ? undefined : loaded.count);
  return (
    <main className="page fill">
      <PageHead title={t('jobs')} sub={<span className="num">{sum === undefined ? t('jobs.atLeast', { n: loaded.count }) : t('jobs.count', { n: sum })}</span>}>
        {operator && (
          <Link href="/jobs/new" className="act primary with-text">
            <Icon name="plus" />
            <span>{t('new')}</span>
          </Link>
        )}
      </PageHead>
      <div className="toolbar">
        <Search text={view.text} onChange={(text) => setView({ text }, true)} focus={focus} />
        <Act icon={view.oldest ? 'up' : 'down'} label={t(view.oldest ? 'sort.oldest' : 'sort.newest')} onClick={() => setView({ oldest: !view.oldest })} />
        <Columns shown={view.columns} onChange={(c) => setView({ columns: c }, true)} />
      </div>
      <StateTabs states={states} jobs={status?.jobs} onPick={(s) => setView({ query: { ...view.query, states: [...s] } })} />
      <Chips query={view.query} onChange={(query) => setView({ query })} />
      {selected && operator && (
        <div className="selbar" role="toolbar" aria-label={t('select.actions')}>
          <span className="num strong">{count === undefined ? t('select.all', { n: sum === undefined ? '…' : f.number(sum) }) : t('select.some', { n: count })}</span>
          {!selection.all && (loaded.more || loaded.count > selection.ids.size) && (
            <button type="button" className="link" onClick={() => setSelection({ ids: new Set(), all: true })}>
              {t('select.makeAll')}
            </button>
          )}
          <span className="grow" />
          <Act icon="play" label={t('act.start')} keys="r" text onClick={() => run('start')} />
          <Act icon="stop" label={t('act.stop')} keys="s" text onClick={() => run('stop')} />
          <Act icon="hold" label={t('act.hold')} keys="h" text onClick={() => run('hold')} />
          <Act icon="trash" label={t('act.delete')} keys="d" text kind="danger" onClick={() => run('delete')} />
          <Act icon="close" label={t('select.none')} keys="Esc" onClick={() => setSelection(noSelection)} />
        </div>
      )}
      <JobTable
        params={params}
        shown={view.columns}
        selectable={operator}
        selection={selection}
        onSelect={setSelection}
        onWindow={setLoaded}
        keysFor={keysFor}
        empty={view.text ? t('jobs.noneMatch') : t('jobs.none')}
      />
    </main>
  );
}

// exactCount is how many jobs a query selects where the counters of the states alone tell it.
function exactCount(q: Query, jobs: Record<string, unknown> | undefined): number | undefined {
  if (!jobs || formatQuery({ ...q, states: [] }) !== '') return undefined;
  const list: readonly string[] = q.states.length ? q.states : [...live, ...waiting, ...ended];
  return list.reduce((n, s) => n + Number(jobs[s] ?? 0), 0);
}

const tabs: readonly { key: 'all' | 'live' | 'waiting' | 'completed' | 'failed' | 'stopped'; states: readonly State[] }[] = [
  { key: 'all', states: [] },
  { key: 'live', states: live },
  { key: 'waiting', states: waiting },
  { key: 'completed', states: ['completed'] },
  { key: 'failed', states: ['failed', 'skipped'] },
  { key: 'stopped', states: ['stopped'] },
];

function StateTabs({ states, jobs, onPick }: { states: readonly State[]; jobs: Record<string, unknown> | undefined; onPick: (s: readonly State[]) => void }) {
  const { t, f } = useI18n();
  return (
    <div className="tabs" role="group" aria-label={t('states')}>
      {tabs.map((tab) => {
        const here = tab.states.length === states.length && tab.states.every((s) => states.includes(s));
        const of = tab.states.length ? tab.states : [...live, ...waiting, ...ended];
        const n = of.reduce((sum, s) => sum + Number(jobs?.[s] ?? 0), 0);
        return (
          <button key={tab.key} type="button" className={here ? 'tab here' : 'tab'} aria-pressed={here} onClick={() => onPick(tab.states)}>
            {tab.states[0] && <span className={`dot s-${tab.key === 'live' ? 'running' : tab.key === 'waiting' ? 'queued' : tab.key}`} aria-hidden="true" />}
            {t(`tab.${tab.key}`)}
            <span className="num tab-n">{f.number(n)}</span>
          </button>
        );
      })}
    </div>
  );
}

// Chips are the conditions beside the states, each to be taken away by a click.
function Chips({ query, onChange }: { query: Query; onChange: (q: Query) => void }) {
  const { t } = useI18n();
  const chips: { name: string; value: string; without: Query }[] = [];
  const list = (name: string, key: 'queues' | 'types' | 'tags' | 'ids' | 'reasons' | 'exits') => {
    for (const v of query[key]) chips.push({ name, value: v, without: { ...query, [key]: query[key].filter((x) => x !== v) } });
  };
  const inTab = tabs.some((tab) => tab.states.length === query.states.length && tab.states.every((s) => query.states.includes(s)));
  if (!inTab) {
    for (const s of query.states) chips.push({ name: 'state', value: s, without: { ...query, states: query.states.filter((x) => x !== s) } });
    if (shortStates(query.states).length === 1 && query.states.length > 1) chips.splice(0, query.states.length, { name: 'state', value: shortStates(query.states)[0] ?? '', without: { ...query, states: [] } });
  }
  list('queue', 'queues');
  list('type', 'types');
  list('tag', 'tags');
  list('id', 'ids');
  list('reason', 'reasons');
  list('exit', 'exits');
  if (query.owner) chips.push({ name: 'owner', value: query.owner, without: { ...query, owner: '' } });
  if (query.since) chips.push({ name: 'since', value: query.since, without: { ...query, since: '' } });
  if (query.until) chips.push({ name: 'until', value: query.until, without: { ...query, until: '' } });
  if (query.words) chips.push({ name: t('chip.words'), value: query.words, without: { ...query, words: '' } });
  if (chips.length === 0) return null;
  return (
    <div className="chips" role="group" aria-label={t('chips')}>
      {chips.map((c) => (
        <button key={c.name + c.value} type="button" className="chip" aria-label={t('chip.remove', { name: c.name, value: c.value })} onClick={() => onChange(c.without)}>
          <span className="dim">{c.name}</span> <Plain text={c.value} /> <Icon name="close" size={12} />
        </button>
      ))}
      <button type="button" className="link" onClick={() => onChange(emptyQuery)}>
        {t('chips.clear')}
      </button>
    </div>
  );
}

function Columns({ shown, onChange }: { shown: readonly string[]; onChange: (c: string[]) => void }) {
  const { t } = useI18n();
  const order = columns.map((c) => c.id ?? '');
  return (
    <Menu position="bottom-end" closeOnItemClick={false} transitionProps={{ duration: 80 }}>
      <Menu.Target>
        <button type="button" className="act" aria-label={t('columns')} title={t('columns')}>
          <Icon name="columns" />
        </button>
      </Menu.Target>
      <Menu.Dropdown>
        {columns.map((c) => {
          const id = c.id ?? '';
          const on = shown.includes(id);
          return (
            <Menu.Item
              key={id}
              role="menuitemcheckbox"
              aria-checked={on}
              disabled={id === 'name'}
              leftSection={<span className={on ? '' : 'invisible'}><Icon name="check" size={14} /></span>}
              onClick={() => onChange(order.filter((o) => (o === id ? !on : shown.includes(o))))}
            >
              {c.meta ? t(c.meta.label) : id}
            </Menu.Item>
          );
        })}
      </Menu.Dropdown>
    </Menu>
  );
}
