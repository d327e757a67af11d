import { useQuery } from '@tanstack/react-query';
import { Link } from 'wouter';
import { get } from '../api/client';
import type { Type } from '../api/types';
import { useI18n } from '../i18n';
import { jobsUrl } from '../jobs/url';
import { useMay } from '../session';
import { Icon } from '../ui/icons';
import { Empty, Failure, PageHead, Section } from '../ui/parts';
import { Plain } from '../ui/plain';
import { quote } from '../ui/state';
import { fieldsOf, rules, short, typeName } from './params';

// useTypes are all job types. They change with a reload of the daemon: what is on a page is read again
// when it is looked at.
export const useTypes = () => useQuery({ queryKey: ['types'], refetchOnMount: 'always', queryFn: ({ signal }) => get<{ types: Type[] }>('/api/types', undefined, signal) });

export default function Types() {
  const { t } = useI18n();
  const types = useTypes();
  const list = types.data?.types;
  return (
    <main className="page" aria-busy={types.isPending}>
      <PageHead title={t('types')} sub={list && t('types.count', { n: list.length })} />
      {types.error && <Failure error={types.error} retry={() => void types.refetch()} />}
      {list?.length === 0 && <Empty>{t('types.none')}</Empty>}
      {list?.map((type) => <OneType key={type.name} type={type} />)}
    </main>
  );
}

function OneType({ type }: { type: Type }) {
  const { t } = useI18n();
  const operator = useMay('operator');
  const fields = fieldsOf(type);
  return (
    <Section
      title={type.name}
      className="type"
      aside={
        <>
          <Link href={jobsUrl(`type:${type.name}`)}>{t('types.jobs')}</Link>
          {operator && !type.problem && (
            <Link href={`/jobs/new?type=${encodeURIComponent(type.name)}`} className="act with-text" aria-label={t('types.new', { name: type.name })}>
              <Icon name="plus" />
              <span>{t('new')}</span>
            </Link>
          )}
        </>
      }
    >
      {type.problem && (
        <div className="failure">
          <Icon name="warn" />
          <div className="grow">
            <strong>{t('types.problem')}</strong> <Plain text={type.problem} />
          </div>
        </div>
      )}
      {type.description && (
        <p>
          <Plain text={type.description} />
        </p>
      )}
      <p className="dim">
        <Plain text={type.source} />
        {type.command && (
          <>
            {' · '}
            <Plain className="mono" text={type.command.map(quote).join(' ')} />
          </>
        )}
      </p>
      <Settings type={type} />
      {fields.length > 0 && (
        <div className="plain-scroll" tabIndex={0} role="region" aria-label={t('types.paramsOf', { name: type.name })}>
          <table className="plain-table types">
            <thead>
              <tr>
                <th scope="col">{t('f.params')}</th>
                <th scope="col">{t('docs.type')}</th>
                <th scope="col">{t('types.default')}</th>
                <th scope="col">{t('docs.about')}</th>
              </tr>
            </thead>
            <tbody>
              {fields.map((f) => (
                <tr key={f.name} data-param={f.name}>
                  <th scope="row">
                    <Plain className="mono" text={f.name} />
                    {f.required && <span className="badge">{t('docs.required')}</span>}
                    {f.secret && <span className="badge">{t('types.secret')}</span>}
                  </th>
                  <td className="mono">
                    <Plain text={typeName(f.schema)} />
                  </td>
                  <td className="mono" data-label={t('types.default')}>{f.schema.default !== undefined && <Plain text={short(f.schema.default)} />}</td>
                  <td className="about">
                    {f.schema.description && <Plain text={f.schema.description} />}
                    {rules(f.schema).map((r) => (
                      <div key={r} className="dim">
                        <Plain text={r} />
                      </div>
                    ))}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {type.example !== undefined && (
        <details className="more">
          <summary>{t('docs.example')}</summary>
          <pre className="code" tabIndex={0} aria-label={t('docs.example')} role="region">
            <Plain text={JSON.stringify(type.example, null, 2)} />
          </pre>
        </details>
      )}
    </Section>
  );
}

// Settings are what its jobs have unless they say otherwise.
function Settings({ type }: { type: Type }) {
  const { t, f } = useI18n();
  const rows: [string, string][] = [];
  if (type.queue) rows.push([t('col.queue'), type.queue]);
  if (type.timeout) rows.push([t('f.timeout'), f.duration(type.timeout)]);
  if (type.grace) rows.push([t('f.grace'), f.duration(type.grace)]);
  if (type.watchdog) rows.push([t('f.watchdog'), f.duration(type.watchdog)]);
  if (type.stop_signal) rows.push([t('f.signal'), type.stop_signal]);
  if (type.on_lost === 'requeue') rows.push([t('f.lost'), t('f.lost.requeue')]);
  if (type.success_codes?.length) rows.push([t('f.success'), type.success_codes.join(', ')]);
  for (const h of type.hooks ?? []) rows.push([t('hooks.one'), `${h.on.join(', ')} → ${h.url ?? (h.command ?? []).map(quote).join(' ')}`]);
  if (rows.length === 0) return null;
  return (
    <dl className="facts wide">
      {rows.map(([label, value], i) => (
        <div key={i}>
          <dt>{label}</dt>
          <dd>
            <Plain text={value} />
          </dd>
        </div>
      ))}
    </dl>
  );
}
