import type { Job, State } from '../api/types';
import { useI18n, type T } from '../i18n';

export const stateName = (t: T, s: State) => t(`state.${s}`);

// Dot is the mark of a state: its shape says as much as its colour.
export function Dot({ state }: { state: State }) {
  return <span className={`dot s-${state}`} aria-hidden="true" />;
}

export function StateLabel({ job }: { job: Pick<Job, 'state' | 'reason' | 'exit_code' | 'signal'> }) {
  const { t } = useI18n();
  const why = outcome(t, job);
  return (
    <span className={`state s-${job.state}`}>
      <Dot state={job.state} />
      <span className="state-name">{stateName(t, job.state)}</span>
      {why && <span className="state-why">{why}</span>}
    </span>
  );
}

// outcome says in a word or two why a job failed or was stopped.
export function outcome(t: T, j: Pick<Job, 'state' | 'reason' | 'exit_code' | 'signal'>): string {
  if (j.state === 'failed' && j.reason === 'exit' && j.exit_code !== undefined) return t('reason.exit', { code: String(j.exit_code) });
  if (j.state === 'failed' && j.reason === 'signal' && j.signal !== undefined) return t('reason.signal', { signal: String(j.signal) });
  if (j.reason === 'exit' || j.reason === 'signal' || !j.reason) return '';
  if (j.reason === 'user' || (j.state !== 'failed' && j.state !== 'stopped')) return ''; // that somebody stopped it says the state
  return t(`reason.${j.reason}`);
}

export function Progress({ value, label }: { value: number; label: string }) {
  return <progress className="progress" max={100} value={value} aria-label={label} />;
}

// eta returns seconds to the end, by the speed so far; undefined where that says little.
export function eta(progress: number | undefined, startedAt: string | undefined, now: number): number | undefined {
  if (progress === undefined || !startedAt || progress < 1 || progress >= 100) return undefined;
  const gone = (now - Date.parse(startedAt)) / 1000;
  if (!(gone >= 1)) return undefined;
  return (gone / progress) * (100 - progress);
}

// title is what a job is called: its name, or what it runs.
export function title(j: Pick<Job, 'name' | 'command' | 'type' | 'key' | 'params'>): string {
  return j.name || commandLine(j) || j.key || j.type;
}

// most characters of parameters that stand for a job where there is one line for it.
const most = 300;

// runsItself says that the job is one of a type written in Go: the command is the program's own.
export const runsItself = (j: Pick<Job, 'command'>) => j.command?.[1] === '_job';

// commandLine is what a job runs, for reading; of a type written in Go its name and parameters.
export function commandLine(j: Pick<Job, 'command' | 'type' | 'params'>): string {
  const c = j.command ?? [];
  if (runsItself(j)) return `${j.type} ${JSON.stringify(j.params ?? {}).slice(0, most)}`;
  if (j.type === 'shell') return c[c.length - 1] ?? '';
  return c.map(quote).join(' ');
}

// quote writes a word as a shell would take it.
export function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
