import type { ReactNode } from 'react';
import { Link } from 'wouter';
import type { Job } from '../api/types';
import { useI18n } from '../i18n';
import { jobsUrl } from '../jobs/url';
import { Deliveries } from '../hooks/deliveries';
import { Section, Act } from '../ui/parts';
import { Plain } from '../ui/plain';
import { commandLine, runsItself } from '../ui/state';
import { toast } from '../ui/toast';
import { Tree } from './tree';

// Details is the record of a job, most asked for first. What is not set is not shown.
export function Details({ job: j }: { job: Job }) {
  const { t, f } = useI18n();
  const command = runsItself(j) ? '' : commandLine(j); // its type and parameters are there
  const copy = () => void navigator.clipboard?.writeText(command).then(() => toast(t('copied')));
  const rows: [string, ReactNode][] = [];
  const row = (label: string, value: ReactNode) => value !== undefined && value !== '' && value !== null && rows.push([label, value]);
  const text = (s: string | undefined) => (s ? <Plain text={s} /> : undefined);
  row(t('col.queue'), <Link href={jobsUrl(`queue:${j.queue}`)}><Plain text={j.queue} /></Link>);
  row(t('col.type'), text(j.type));
  row(t('f.key'), text(j.key));
  row(t('col.owner'), text(j.owner));
  row(t('f.user'), text(j.user));
  row(t('col.tags'), j.tags?.length ? <span className="tags">{j.tags.map((tag) => <Link key={tag} className="tag" href={jobsUrl(`tag:${tag}`)}><Plain text={tag} /></Link>)}</span> : undefined);
  row(t('col.priority'), j.priority !== 0 ? String(j.priority) : undefined);
  row(t('f.attempts'), j.max_attempts > 1 ? `${j.attempt} / ${j.max_attempts}` : undefined);
  row(t('f.timeout'), j.timeout ? f.duration(j.timeout) : undefined);
  row(t('f.grace'), j.grace ? f.duration(j.grace) : undefined);
  row(t('f.watchdog'), j.watchdog ? f.duration(j.watchdog) : undefined);
  row(t('f.signal'), text(j.stop_signal));
  row(t('f.success'), j.success_codes?.length ? <span className="num">{j.success_codes.join(', ')}</span> : undefined);
  row(t('f.lost'), j.on_lost === 'requeue' ? t('f.lost.requeue') : undefined);
  row(t('f.after'), j.after?.length ? j.after.map((id) => <Link key={id} href={`/jobs/${id}`} className="num after">{id}</Link>) : undefined);
  row(t('f.cwd'), j.cwd ? <Plain className="mono" text={j.cwd} /> : undefined);
  row(t('f.pid'), j.pid ? <span className="num">{j.pid}</span> : undefined);
  row(t('f.node'), text(j.node));
  row(t('f.run'), j.run_id ? <Plain className="mono" text={j.run_id} /> : undefined);
  const u = j.usage;
  return (
    <>
      {j.notes?.length ? (
        <Section title={t('f.notes')}>
          <ul className="notes">
            {j.notes.map((n, i) => (
              <li key={i}>
                <Plain text={n} />
              </li>
            ))}
          </ul>
        </Section>
      ) : null}
      {command && (
        <Section title={t(j.type === 'shell' ? 'f.script' : 'f.command')} aside={<Act icon="copy" label={t('copy')} onClick={copy} />}>
          <pre className="code wrap" tabIndex={0}>
            <Plain text={command} />
          </pre>
        </Section>
      )}
      {j.result !== undefined && (
        <Section title={t('f.result')}>
          <Tree value={j.result} />
        </Section>
      )}
      {j.params !== undefined && (
        <Section title={t('f.params')}>
          <Tree value={j.params} />
        </Section>
      )}
      <Deliveries job={j} />
      {u && (
        <Section title={t('f.usage')}>
          <dl className="facts">
            <div>
              <dt>{t('f.cpu')}</dt>
              <dd className="num">{t('f.cpu.split', { user: f.duration(u.cpu_user), system: f.duration(u.cpu_system) })}</dd>
            </div>
            <div>
              <dt>{t('col.memory')}</dt>
              <dd className="num">{f.bytes(u.max_rss)}</dd>
            </div>
            <div>
              <dt>{t('f.io')}</dt>
              <dd className="num">{t('f.io.split', { read: f.bytes(u.read_bytes), write: f.bytes(u.write_bytes) })}</dd>
            </div>
          </dl>
        </Section>
      )}
      <Section title={t('details')}>
        <dl className="facts">
          {rows.map(([label, value]) => (
            <div key={label}>
              <dt>{label}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        </dl>
      </Section>
    </>
  );
}
