import { createColumnHelper } from '@tanstack/react-table';
import type { ReactNode } from 'react';
import { isLive, isWaiting, type Job } from '../api/types';
import type { Key } from '../i18n/en';
import { useI18n } from '../i18n';
import { Plain } from '../ui/plain';
import { Progress, StateLabel, commandLine, eta, title } from '../ui/state';
import { Ago, Lasting, useNow } from '../ui/time';

declare module '@tanstack/react-table' {
  // What a column needs beside its content: its width in the grid, and its name.
  interface ColumnMeta<TData, TValue> {
    width: string;
    label: Key;
    end?: boolean;
    unused?: [TData, TValue];
  }
}

const h = createColumnHelper<Job>();
const col = (id: string, width: string, label: Key, cell: (j: Job) => ReactNode, end = false) => h.display({ id, meta: { width, label, end }, cell: (c) => cell(c.row.original) });

// What there is nothing to say of stays empty: a column of dashes is noise.
const dash = null;

export const columns = [
  col('id', '64px', 'col.id', (j) => <span className="num dim">{j.id}</span>),
  col('state', 'minmax(120px, 172px)', 'col.state', (j) => <StateLabel job={j} />),
  col('name', 'minmax(200px, 5fr)', 'col.name', (j) => <JobName job={j} />),
  col('progress', 'minmax(120px, 2fr)', 'col.progress', (j) => <JobProgress job={j} />),
  col('queue', 'minmax(64px, 110px)', 'col.queue', (j) => <Plain className="ellipsis" text={j.queue} />),
  col('type', '84px', 'col.type', (j) => <Plain className="ellipsis" text={j.type} />),
  col('tags', 'minmax(80px, 1fr)', 'col.tags', (j) => (j.tags?.length ? <Plain className="ellipsis" text={j.tags.join(', ')} /> : dash)),
  col('owner', '88px', 'col.owner', (j) => (j.owner ? <Plain className="ellipsis" text={j.owner} /> : dash)),
  col('priority', '64px', 'col.priority', (j) => <span className={j.priority === 0 ? 'num faint' : 'num'}>{j.priority}</span>, true),
  col('attempt', '64px', 'col.attempt', (j) => <span className="num dim">{j.max_attempts > 1 ? `${j.attempt}/${j.max_attempts}` : j.attempt}</span>, true),
  col('exit', '56px', 'col.exit', (j) => (j.exit_code === undefined ? dash : <span className="num">{j.exit_code}</span>), true),
  col('cpu', '76px', 'col.cpu', (j) => <Cpu job={j} />, true),
  col('memory', '80px', 'col.memory', (j) => <Memory job={j} />, true),
  col('duration', '80px', 'col.duration', (j) => (j.started_at ? <Lasting from={j.started_at} to={isLive(j.state) ? undefined : (j.finished_at ?? j.started_at)} /> : dash), true),
  col('created', '104px', 'col.created', (j) => <Ago at={j.created_at} />, true),
  col('finished', '112px', 'col.finished', (j) => (j.finished_at ? <Ago at={j.finished_at} /> : dash), true),
];

export const defaultColumns: readonly string[] = ['id', 'state', 'name', 'progress', 'queue', 'duration', 'created'];

export function JobName({ job }: { job: Job }) {
  const command = commandLine(job);
  return (
    <span className="job-name">
      <Plain className={job.name ? 'job-title' : 'job-title mono'} text={title(job).split('\n', 1)[0] ?? ''} />
      {job.name && command && <Plain className="job-command mono" text={command.split('\n', 1)[0] ?? ''} />}
    </span>
  );
}

// JobProgress says how far a job is, or why it is not running.
export function JobProgress({ job }: { job: Job }) {
  const { t } = useI18n();
  if (isWaiting(job.state)) return job.wait_reason ? <Plain className="ellipsis dim" text={job.wait_reason} /> : dash;
  if (isLive(job.state)) {
    if (job.progress !== undefined) return <Running job={job} />;
    return job.status_text ? <Plain className="ellipsis dim" text={job.status_text} /> : dash;
  }
  if (job.error) return <Plain className="ellipsis dim" text={job.error} />;
  if (job.status_text) return <Plain className="ellipsis dim" text={job.status_text} />;
  return job.state === 'completed' && job.result !== undefined ? <span className="dim ellipsis">{t('col.hasResult')}</span> : dash;
}

function Running({ job }: { job: Job }) {
  const { t, f } = useI18n();
  const left = eta(job.progress, job.started_at, useNow());
  return (
    <span className="job-progress">
      <Progress value={job.progress ?? 0} label={t('col.progress')} />
      <span className="num dim">{f.percent(job.progress ?? 0)}</span>
      {left !== undefined && <span className="num faint eta">{t('eta', { time: f.duration(Math.max(1, Math.round(left))) })}</span>}
    </span>
  );
}

function Cpu({ job }: { job: Job }) {
  const { f } = useI18n();
  return job.usage ? <span className="num">{f.duration(job.usage.cpu_user + job.usage.cpu_system)}</span> : dash;
}

function Memory({ job }: { job: Job }) {
  const { f } = useI18n();
  return job.usage?.max_rss ? <span className="num">{f.bytes(job.usage.max_rss)}</span> : dash;
}
