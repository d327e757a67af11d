import type { Attempt, Job, State } from '../api/types';
import { isEnded, isLive } from '../api/types';
import { useI18n } from '../i18n';
import { Section } from '../ui/parts';
import { Dot, outcome, stateName } from '../ui/state';
import { Lasting } from '../ui/time';

interface Step {
  key: string;
  state: State | 'created';
  at: string;
  label: string;
  note?: string;
  from?: string | undefined; // the time before, for how long it took
  to?: string | undefined;
  attempt?: number;
}

// TimeLine is what happened to a job, in order; a click on an attempt shows its log.
export function TimeLine({ job: j, attempts, picked, onPick }: { job: Job; attempts: readonly Attempt[]; picked: number; onPick: (attempt: number) => void }) {
  const { t, f } = useI18n();
  const steps: Step[] = [{ key: 'created', state: 'created', at: j.created_at, label: t('time.created') }];
  const run = (a: Pick<Attempt, 'attempt' | 'started_at' | 'finished_at' | 'state' | 'reason' | 'exit_code' | 'signal'>, ended: boolean) => {
    if (a.started_at) steps.push({ key: `start-${a.attempt}`, state: 'running', at: a.started_at, label: t('time.started', { n: String(a.attempt) }), attempt: a.attempt, ...(ended ? {} : { from: a.started_at }) });
    const at = a.finished_at ?? a.started_at;
    if (ended && at) {
      const note = outcome(t, a as Job);
      steps.push({ key: `end-${a.attempt}`, state: a.state as State, at, label: stateName(t, a.state as State), note, attempt: a.attempt, from: a.started_at, to: a.finished_at });
    }
  };
  for (const a of attempts) if (a.attempt < j.attempt || !isEnded(j.state)) if (a.attempt !== j.attempt) run(a, true);
  if (j.attempt > 0 && (isLive(j.state) || j.finished_at)) run(j, isEnded(j.state));
  if (j.queued_at && (!j.started_at || j.queued_at > j.started_at) && !isEnded(j.state)) steps.push({ key: 'queued', state: j.state, at: j.queued_at, label: t('time.queued'), from: j.queued_at });
  if (j.start_at && j.state === 'scheduled') steps.push({ key: 'start_at', state: 'scheduled', at: j.start_at, label: t('time.due') });
  return (
    <Section title={t('timeline')}>
      <ol className="timeline">
        {steps.map((s) => {
          const body = (
            <>
              {s.state === 'created' ? <span className="dot s-created" aria-hidden="true" /> : <Dot state={s.state} />}
              <span className="tl-label">
                {s.label}
                {s.note && <span className="dim"> · {s.note}</span>}
              </span>
              <span className="tl-time num">
                {s.from && (
                  <span className="tl-span">
                    <Lasting from={s.from} to={s.to} />
                  </span>
                )}
                <time dateTime={s.at} title={f.time(s.at)}>
                  {f.clock(s.at)}
                </time>
              </span>
            </>
          );
          const n = s.attempt;
          return (
            <li key={s.key} className={n === picked ? 'picked' : ''}>
              {n !== undefined && j.attempt > 1 ? (
                <button type="button" aria-pressed={n === picked} onClick={() => onPick(n)}>
                  {body}
                </button>
              ) : (
                <div>{body}</div>
              )}
            </li>
          );
        })}
      </ol>
    </Section>
  );
}
