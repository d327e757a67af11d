import { useQuery } from '@tanstack/react-query';
import { useState, type ReactNode } from 'react';
import { Link } from 'wouter';
import { ApiError, get, type Params } from '../api/client';
import { live, states, waiting, type Job, type Machine, type Page, type State, type Stats, type Status } from '../api/types';
import { newest, stamp, useMachine, useStatus, useWatch } from '../feed/live';
import { useI18n } from '../i18n';
import { JobName, JobProgress } from '../jobs/columns';
import { shortStates } from '../jobs/query';
import { jobsUrl } from '../jobs/url';
import { useMay } from '../session';
import { Icon } from '../ui/icons';
import { Failure, PageHead, Section } from '../ui/parts';
import { Plain } from '../ui/plain';
import { StateLabel, stateName } from '../ui/state';
import { Ago, Lasting } from '../ui/time';
import { Latency, Throughput } from './charts';

const ranges = ['1h', '24h', '7d'] as const;
type Range = (typeof ranges)[number];
const shown = 8;
const sample = 200;

const count = (s: Status | undefined, list: readonly State[]) => list.reduce((n, x) => n + Number(s?.jobs?.[x] ?? 0), 0);

function useJobs(params: Params, live: 'list' | 'slow' = 'list') {
  return useQuery({
    queryKey: ['jobs', params, 'overview'],
    meta: { live },
    queryFn: async ({ signal }) => {
      const asked = stamp();
      const page = await get<Page>('/api/jobs', params, signal);
      return { ...page, jobs: page.jobs.map((j) => newest(j, asked)) };
    },
  });
}

export function Overview() {
  const { t } = useI18n();
  const status = useStatus();
  const operator = useMay('operator');
  const running = useJobs({ state: live, limit: shown });
  const waits = useJobs({ state: waiting, limit: sample });
  const failed = useJobs({ state: ['failed', 'skipped'], ended_since: '24h', sort: '-ended', limit: shown });
  useWatch((running.data?.jobs ?? []).map((j) => j.id));
  const nRunning = count(status, live);
  const nWaiting = count(status, waiting);
  return (
    <main className="page">
      <PageHead title={t('nav.overview')} sub={status && <Uptime status={status} />}>
        {operator && (
          <Link href="/jobs/new" className="act primary with-text">
            <Icon name="plus" />
            <span>{t('new')}</span>
          </Link>
        )}
      </PageHead>
      {status && <StateBar status={status} />}
      <div className="overview">
        <div className="overview-main">
          <Section title={t('over.running')} aside={<More n={nRunning} to="state:live" />}>
            <List query={running} empty={t('over.running.none')} row={(j) => <RunningRow key={j.id} job={j} />} />
          </Section>
          <Section title={t('over.failed')} aside={<More to="state:failed,skipped since:24h" />}>
            <List query={failed} empty={t('over.failed.none')} row={(j) => <FailedRow key={j.id} job={j} />} />
          </Section>
        </div>
        <div className="overview-side">
          <Flow />
          <Section title={t('over.waiting')} aside={<More n={nWaiting} to="state:waiting" />}>
            <Waiting jobs={waits.data?.jobs ?? []} total={nWaiting} />
          </Section>
          <MachineSection />
        </div>
      </div>
    </main>
  );
}

function Uptime({ status }: { status: Status }) {
  const { t } = useI18n();
  return (
    <>
      <Plain text={status.node} /> · {t('over.up')} <Lasting from={status.started_at} />
    </>
  );
}

function More({ n, to }: { n?: number; to: string }) {
  const { t, f } = useI18n();
  return (
    <Link href={jobsUrl(to)} className="more-link">
      {n === undefined ? t('over.all') : t('over.all.n', { n: f.number(n) })}
    </Link>
  );
}

function List({ query, empty, row }: { query: ReturnType<typeof useJobs>; empty: string; row: (j: Job) => ReactNode }) {
  if (query.error) return <Failure error={query.error} retry={() => void query.refetch()} />;
  if (!query.data) return <div className="list" aria-busy="true" />;
  if (query.data.jobs.length === 0) return <p className="none">{empty}</p>;
  return <ul className="list">{query.data.jobs.map(row)}</ul>;
}

function RunningRow({ job: j }: { job: Job }) {
  return (
    <li>
      <Link href={`/jobs/${j.id}`} className="list-row running">
        <JobName job={j} />
        <span className="list-progress">
          <JobProgress job={j} />
        </span>
        <span className="num dim list-time">{j.started_at ? <Lasting from={j.started_at} /> : null}</span>
      </Link>
    </li>
  );
}

function FailedRow({ job: j }: { job: Job }) {
  return (
    <li>
      <Link href={`/jobs/${j.id}`} className="list-row failed">
        <JobName job={j} />
        <StateLabel job={j} />
        <span className="num dim list-time">{j.finished_at ? <Ago at={j.finished_at} /> : null}</span>
      </Link>
    </li>
  );
}

// Waiting groups what waits by why: of the newest ones where there are very many.
function Waiting({ jobs, total }: { jobs: readonly Job[]; total: number }) {
  const { t, f } = useI18n();
  if (total === 0) return <p className="none">{t('over.waiting.none')}</p>;
  const groups = new Map<string, { n: number; state: State }>();
  for (const j of jobs) {
    // A held job says how to start it, each in words of its own.
    const key = j.state === 'held' ? stateName(t, j.state) : j.wait_reason || stateName(t, j.state);
    const g = groups.get(key);
    if (g) g.n++;
    else groups.set(key, { n: 1, state: j.state });
  }
  const sorted = [...groups].sort((a, b) => b[1].n - a[1].n).slice(0, 6);
  return (
    <>
      <ul className="reasons">
        {sorted.map(([why, g]) => (
          <li key={why}>
            <span className={`dot s-${g.state}`} aria-hidden="true" />
            <Plain className="grow" text={why} />
            <span className="num strong">{f.number(g.n)}</span>
          </li>
        ))}
      </ul>
      {total > jobs.length && jobs.length > 0 && <p className="faint small">{t('over.waiting.sample', { n: jobs.length })}</p>}
    </>
  );
}

// StateBar is all jobs on record by state; a click lists them.
function StateBar({ status }: { status: Status }) {
  const { t, f } = useI18n();
  const groups: { key: 'live' | 'waiting' | 'completed' | 'failed' | 'stopped'; states: readonly State[]; dot: string }[] = [
    { key: 'live', states: live, dot: 'running' },
    { key: 'waiting', states: waiting, dot: 'queued' },
    { key: 'completed', states: ['completed'], dot: 'completed' },
    { key: 'failed', states: ['failed', 'skipped'], dot: 'failed' },
    { key: 'stopped', states: ['stopped'], dot: 'stopped' },
  ];
  const total = count(status, states);
  // Widths are in proportion, but twelve failures among a million stay wide enough to be seen and
  // clicked (their least width is in the style sheet); the tip says what the share is.
  return (
    <div className="statebar">
      <div className="statebar-bar" aria-hidden="true">
        {groups.map((g) => {
          const n = count(status, g.states);
          return n > 0 && <Link key={g.key} href={jobsUrl(`state:${shortStates(g.states).join(',')}`)} tabIndex={-1} className={`statebar-part s-${g.dot}`} style={{ flexGrow: n }} title={t('states.part', { name: t(`tab.${g.key}`), n, of: total, share: f.share(n / total) })} />;
        })}
        {total === 0 && <span className="statebar-part none" />}
      </div>
      <div className="statebar-legend">
        {groups.map((g) => (
          <Link key={g.key} href={jobsUrl(`state:${shortStates(g.states).join(',')}`)} className="stat" data-stat={g.key}>
            <span className="stat-n num">{f.number(count(status, g.states))}</span>
            <span className="stat-label">
              <span className={`dot s-${g.dot}`} aria-hidden="true" />
              {t(`tab.${g.key}`)}
            </span>
          </Link>
        ))}
      </div>
    </div>
  );
}

// Flow is how much ends and how long jobs wait. A service that keeps no statistics has none to show.
function Flow() {
  const { t } = useI18n();
  const [range, setRange] = useState<Range>('1h');
  const stats = useQuery({ queryKey: ['stats', range], meta: { live: 'slow' }, queryFn: ({ signal }) => get<Stats>('/api/stats', { range, buckets: 60 }, signal), placeholderData: (old) => old });
  if (stats.error instanceof ApiError && stats.error.code === 'not_found') return null;
  return (
    <Section
      title={t('over.flow')}
      aside={
        <div className="ranges" role="group" aria-label={t('over.range')}>
          {ranges.map((r) => (
            <button key={r} type="button" className={r === range ? 'tab here' : 'tab'} aria-pressed={r === range} onClick={() => setRange(r)}>
              {t(`range.${r}`)}
            </button>
          ))}
        </div>
      }
    >
      {stats.error ? (
        <Failure error={stats.error} retry={() => void stats.refetch()} />
      ) : stats.data ? (
        <>
          <h3 className="chart-title">{t('over.throughput')}</h3>
          <Throughput stats={stats.data} />
          <h3 className="chart-title">{t('over.latency')}</h3>
          <Latency stats={stats.data} />
        </>
      ) : (
        <div className="chart-room" aria-busy="true" />
      )}
    </Section>
  );
}

function MachineSection() {
  const { t, f } = useI18n();
  const told = useMachine();
  // The feed tells now and then; the first time one asks.
  const asked = useQuery({ queryKey: ['machine'], queryFn: ({ signal }) => get<Machine>('/api/machine', undefined, signal) });
  const m = told ?? asked.data;
  if (!m) return null;
  const used = m.memory_total - m.memory_available;
  const rows: [string, number, number, string][] = [
    [t('machine.load'), m.load[0] ?? 0, m.cpus, t('machine.load.of', { load: m.load.map((x) => x.toFixed(2)).join(' '), n: m.cpus })],
    [t('machine.memory'), used, m.memory_total, t('machine.of', { used: f.bytes(used), total: f.bytes(m.memory_total) })],
  ];
  if (m.disk_total) rows.push([t('machine.disk'), m.disk_total - m.disk_free, m.disk_total, t('machine.free', { free: f.bytes(m.disk_free) })]);
  return (
    <Section title={t('machine')}>
      <dl className="machine">
        {rows.map(([label, value, max, text]) => (
          <div key={label}>
            <dt>{label}</dt>
            <dd>
              <meter min={0} max={max} value={Math.min(value, max)} high={max * 0.9} aria-label={label} />
              <span className="num dim">{text}</span>
            </dd>
          </div>
        ))}
      </dl>
    </Section>
  );
}

