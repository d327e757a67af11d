import { useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from 'wouter';
import { get, send } from '../api/client';
import type { ConfiguredHook, Delivery, DeliveryPage, Job } from '../api/types';
import { useI18n } from '../i18n';
import { useMay } from '../session';
import { Act, Empty, Failure, Section } from '../ui/parts';
import { Plain } from '../ui/plain';
import { quote } from '../ui/state';
import { Ago } from '../ui/time';
import { toast, toastError } from '../ui/toast';

const path = '/api/hooks/deliveries';
// The feed tells of jobs, not of deliveries: while one is under way, or may come about, they are read
// again. ms.
const pause = 2000;
const settling = 5; // readings after a job went into another state: what is to be told is found a moment later
const underway = (d: Delivery) => d.state === 'pending' || d.state === 'failed';
const again = (list: readonly Delivery[] | undefined) => (list?.some(underway) ? pause : false);

// Deliveries shows who was told of a job, and whether it arrived. Without any there is nothing to see.
export function Deliveries({ job: j }: { job: Job }) {
  const { t } = useI18n();
  const deliveries = useQuery<DeliveryPage>({
    queryKey: ['deliveries', j.id, j.attempt, j.state],
    placeholderData: (old) => old,
    queryFn: ({ signal }) => get<DeliveryPage>(path, { job: j.id, limit: 100 }, signal),
    refetchInterval: (q) => again(q.state.data?.deliveries) || (q.state.dataUpdateCount < settling ? pause : false),
  });
  const list = deliveries.data?.deliveries ?? [];
  if (deliveries.error) {
    return (
      <Section title={t('hooks')}>
        <Failure error={deliveries.error} retry={() => void deliveries.refetch()} />
      </Section>
    );
  }
  if (list.length === 0 && !j.hooks?.length) return null;
  return (
    <Section title={t('hooks')}>
      {j.hooks?.map((h, i) => (
        <p key={i} className="dim small">
          {h.on.join(', ')} → <Plain className="mono" text={h.url ?? (h.command ?? []).map(quote).join(' ')} />
        </p>
      ))}
      <List deliveries={list} />
    </Section>
  );
}

// HooksOf are the hooks of settings and job types, and the newest deliveries of all jobs.
export function Hooks() {
  const { t } = useI18n();
  const hooks = useQuery({ queryKey: ['hooks'], refetchOnMount: 'always', queryFn: ({ signal }) => get<{ hooks: ConfiguredHook[] }>('/api/hooks', undefined, signal) });
  const deliveries = useInfiniteQuery({
    queryKey: ['deliveries'],
    refetchOnMount: 'always',
    initialPageParam: '',
    queryFn: ({ pageParam, signal }) => get<DeliveryPage>(path, { cursor: pageParam }, signal),
    getNextPageParam: (last) => last.next_cursor,
    refetchInterval: (q) => again(q.state.data?.pages.flatMap((p) => p.deliveries)),
  });
  const list = deliveries.data?.pages.flatMap((p) => p.deliveries);
  return (
    <>
      <Section title={t('hooks')}>
        {hooks.error && <Failure error={hooks.error} retry={() => void hooks.refetch()} />}
        {hooks.data?.hooks.length === 0 && <Empty>{t('hooks.none')}</Empty>}
        <ul className="hooks">
          {hooks.data?.hooks.map((h) => (
            <li key={`${h.source} ${h.name}`} data-hook={h.name}>
              <Configured hook={h} />
            </li>
          ))}
        </ul>
      </Section>
      <Section title={t('hooks.newest')}>
        {deliveries.error && <Failure error={deliveries.error} retry={() => void deliveries.refetch()} />}
        {list?.length === 0 && <Empty>{t('hooks.noDeliveries')}</Empty>}
        {list && <List deliveries={list} jobs />}
        {deliveries.hasNextPage && (
          <button type="button" className="link more-rows" disabled={deliveries.isFetchingNextPage} onClick={() => void deliveries.fetchNextPage()}>
            {t('more')}
          </button>
        )}
      </Section>
    </>
  );
}

function Configured({ hook: h }: { hook: ConfiguredHook }) {
  const { t, f } = useI18n();
  const only = [h.queue && `${t('col.queue')}: ${h.queue}`, h.type && `${t('col.type')}: ${h.type}`].filter(Boolean).join(' · ');
  return (
    <>
      <div className="hook-line">
        <Plain className="strong" text={h.name} />
        {h.signed && <span className="badge">{t('hooks.signed')}</span>}
        <span className="dim">{h.on.join(', ')}</span>
        {only && <Plain className="dim" text={only} />}
        <Plain className="faint" text={h.source} />
      </div>
      <Plain className="mono block" text={h.url ?? (h.command ?? []).map(quote).join(' ')} />
      <div className="dim small">{t('hooks.times', { timeout: f.duration(h.timeout), until: f.duration(h.give_up_after) })}</div>
      {h.last_error && (
        <div className="hook-error">
          <Plain text={h.last_error} /> {h.next_try && <Due at={h.next_try} />}
        </div>
      )}
    </>
  );
}

function Due({ at }: { at: string }) {
  const { t } = useI18n();
  return (
    <span className="dim">
      {t('hooks.next')} <Ago at={at} />
    </span>
  );
}

const looks = { pending: 's-queued', failed: 's-paused', done: 's-completed', given_up: 's-failed' } as const;

function List({ deliveries, jobs }: { deliveries: readonly Delivery[]; jobs?: boolean }) {
  const { t } = useI18n();
  const operator = useMay('operator');
  const queries = useQueryClient();
  const retry = (d: Delivery) =>
    void send<Delivery>('POST', `${path}/${d.id}/retry`)
      .then(() => toast(t('hooks.retried', { id: String(d.id) })))
      .catch(toastError)
      .finally(() => queries.invalidateQueries({ queryKey: ['deliveries'] }));
  return (
    <ul className="hooks">
      {deliveries.map((d) => (
        <li key={d.id} data-delivery={d.id} data-state={d.state}>
          <div className="hook-line">
            <span className={`state ${looks[d.state]}`}>
              <span className={`dot ${looks[d.state]}`} aria-hidden="true" />
              <span className="state-name">{t(`hooks.state.${d.state}`)}</span>
            </span>
            <span>{d.event}</span>
            {jobs && (
              <Link href={`/jobs/${d.job_id}`} className="num">
                {t('hooks.job', { id: String(d.job_id) })}
              </Link>
            )}
            <Plain className="dim grow" text={d.hook} />
            {operator && (d.state === 'failed' || d.state === 'given_up') && <Act icon="again" label={t('hooks.retry', { id: String(d.id) })} onClick={() => retry(d)} />}
          </div>
          <div className="dim small">
            {t('hooks.tries', { n: d.tries })} · <Ago at={d.ended_at ?? d.created_at} />
            {d.next_try && underway(d) && (
              <>
                {' · '}
                <Due at={d.next_try} />
              </>
            )}
          </div>
          {d.last_error && d.state !== 'done' && (
            <div className="hook-error">
              <Plain text={d.last_error} />
            </div>
          )}
        </li>
      ))}
    </ul>
  );
}
