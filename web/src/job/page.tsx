import { useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { Link, useLocation } from 'wouter';
import { get } from '../api/client';
import { isLive, isWaiting, may, type Action, type Attempt, type Job } from '../api/types';
import { known, newest, stamp, useWatch } from '../feed/live';
import { useI18n } from '../i18n';
import { useActOne } from '../jobs/act';
import { LogViewer } from '../log/viewer';
import { useMay } from '../session';
import { Icon } from '../ui/icons';
import { useKeys } from '../ui/keys';
import { Act, Failure } from '../ui/parts';
import { Plain } from '../ui/plain';
import { Progress, StateLabel, eta, outcome, stateName, title } from '../ui/state';
import { useNow } from '../ui/time';
import { Details } from './details';
import { TimeLine } from './timeline';

export default function JobPage({ id: text }: { id: string }) {
  const { t } = useI18n();
  const key = /^\d+$/.test(text) ? Number(text) : text;
  const job = useQuery({
    queryKey: ['job', key],
    meta: { live: 'list' },
    placeholderData: typeof key === 'number' ? known(key) : undefined,
    queryFn: async ({ signal }) => {
      const asked = stamp();
      return newest(await get<Job>(`/api/jobs/${encodeURIComponent(text)}`, undefined, signal), asked);
    },
  });
  if (job.error && !job.data) {
    return (
      <main className="page">
        <Crumbs id={text} />
        <h1 className="sr-only">{t('job')}</h1>
        <Failure error={job.error} retry={() => void job.refetch()} />
      </main>
    );
  }
  return job.data ? <Loaded job={job.data} /> : <main className="page" aria-busy="true" />;
}

// Crumbs say where one is, and lead back to the list.
function Crumbs({ id }: { id: string }) {
  const { t } = useI18n();
  return (
    <div className="crumbs">
      <Link href="/jobs">{t('jobs')}</Link>
      <span aria-hidden="true">/</span>
      <Plain className="num ellipsis" text={id} />
    </div>
  );
}

function Loaded({ job: j }: { job: Job }) {
  const { t } = useI18n();
  const [, go] = useLocation();
  const operator = useMay('operator');
  const actOne = useActOne();
  const ids = useMemo(() => [j.id], [j.id]);
  useWatch(ids);
  const attempts = useQuery({
    queryKey: ['attempts', j.id, j.attempt],
    enabled: j.attempt > 0,
    queryFn: ({ signal }) => get<{ attempts: Attempt[] }>(`/api/jobs/${j.id}/attempts`, undefined, signal),
  });
  const [picked, setPicked] = useState<number>();
  const [stream, setStream] = useState<'stdout' | 'stderr'>('stdout');
  const attempt = picked ?? j.attempt;
  const can = may(j.state);
  const run = (action: Action) => operator && can[action] && void actOne(action, j);
  useKeys({
    r: () => run('start'),
    s: () => run('stop'),
    h: () => run('hold'),
    d: () => run('delete'),
    c: () => operator && go(`/jobs/new?from=${j.id}`),
    u: () => (history.length > 1 ? history.back() : go('/jobs')),
  });

  return (
    <main className="page fill job-page">
      <header className="page-head job-head">
        <div className="grow">
          <Crumbs id={String(j.id)} />
          <h1>
            <Plain text={title(j).split('\n', 1)[0] ?? ''} />
          </h1>
        </div>
        {operator && (
          <div className="actions">
            {can.start && <Act icon={isWaiting(j.state) ? 'play' : 'again'} label={t(isWaiting(j.state) ? 'act.start' : 'act.again')} keys="r" text onClick={() => run('start')} />}
            {can.hold && <Act icon="hold" label={t('act.hold')} keys="h" text onClick={() => run('hold')} />}
            {can.stop && <Act icon="stop" label={t('act.stop')} keys="s" text onClick={() => run('stop')} />}
            <Link href={`/jobs/new?from=${j.id}`} className="act" aria-label={t('act.change')} title={`${t('act.change')}  c`}>
              <Icon name="edit" />
            </Link>
            {can.delete && <Act icon="trash" label={t('act.delete')} keys="d" kind="danger" onClick={() => run('delete')} />}
          </div>
        )}
      </header>
      <Strip job={j} />
      <div className="job-grid">
        <div className="job-main">
          {attempt > 0 ? (
            <>
              <div className="log-tabs">
                {j.split &&
                  (['stdout', 'stderr'] as const).map((s) => (
                    <button key={s} type="button" className={s === stream ? 'tab here' : 'tab'} aria-pressed={s === stream} onClick={() => setStream(s)}>
                      {s}
                    </button>
                  ))}
                {attempt !== j.attempt && (
                  <button type="button" className="link" onClick={() => setPicked(undefined)}>
                    {t('log.oldAttempt', { n: String(attempt) })}
                  </button>
                )}
              </div>
              <LogViewer key={`${attempt}-${stream}`} which={{ id: j.id, attempt, stream: j.split ? stream : 'stdout' }} live={attempt === j.attempt && isLive(j.state)} />
            </>
          ) : (
            <div className="log-none">{t(isWaiting(j.state) ? 'log.notYet' : 'log.never')}</div>
          )}
        </div>
        <aside className="job-side" aria-label={t('details')}>
          <TimeLine job={j} attempts={attempts.data?.attempts ?? []} picked={attempt} onPick={setPicked} />
          <Details job={j} />
        </aside>
      </div>
    </main>
  );
}

// Strip is the one line that matters most: the state, how far, and why.
function Strip({ job: j }: { job: Job }) {
  const { t, f } = useI18n();
  const left = eta(j.progress, j.started_at, useNow());
  const why = outcome(t, j);
  return (
    <div className={`strip s-${j.state}`} data-state={j.state}>
      <StateLabel job={{ ...j, reason: undefined } as Job} />
      {isLive(j.state) && j.progress !== undefined && (
        <span className="strip-progress">
          <Progress value={j.progress} label={t('col.progress')} />
          <span className="num">{f.percent(j.progress)}</span>
          {left !== undefined && <span className="num dim">{t('eta', { time: f.duration(Math.max(1, Math.round(left))) })}</span>}
        </span>
      )}
      {isWaiting(j.state) && j.wait_reason && <Plain className="strip-why" text={j.wait_reason} />}
      {why && <span className="strip-why">{why}</span>}
      {j.error && <Plain className="strip-why" text={j.error} />}
      {j.status_text && <Plain className="dim ellipsis" text={j.status_text} />}
      <span className="sr-only" role="status">
        {t('job.now', { id: String(j.id), state: stateName(t, j.state) })}
      </span>
    </div>
  );
}
