import { useInfiniteQuery } from '@tanstack/react-query';
import { get } from '../api/client';
import type { AuditEntry } from '../api/types';
import { useI18n } from '../i18n';
import { Empty, Failure } from '../ui/parts';
import { Plain } from '../ui/plain';

interface AuditPage {
  entries: AuditEntry[];
  next_cursor?: string;
}

// Audit is who did what from where, newest first.
export function Audit() {
  const { t, f } = useI18n();
  const audit = useInfiniteQuery({
    queryKey: ['audit'],
    initialPageParam: '',
    queryFn: ({ pageParam, signal }) => get<AuditPage>('/api/audit', { cursor: pageParam, limit: 100 }, signal),
    getNextPageParam: (last) => last.next_cursor,
    refetchOnMount: 'always',
  });
  if (audit.error) return <Failure error={audit.error} retry={() => void audit.refetch()} />;
  const entries = audit.data?.pages.flatMap((p) => p.entries) ?? [];
  if (audit.data && entries.length === 0) return <Empty>{t('audit.none')}</Empty>;
  return (
    <div className="plain-scroll" tabIndex={0} role="region" aria-label={t('settings.audit')}>
      <table className="plain-table">
        <thead>
          <tr>
            <th scope="col">{t('audit.at')}</th>
            <th scope="col">{t('audit.who')}</th>
            <th scope="col">{t('audit.action')}</th>
            <th scope="col">{t('audit.target')}</th>
            <th scope="col">{t('audit.outcome')}</th>
            <th scope="col">{t('audit.from')}</th>
          </tr>
        </thead>
        <tbody>
          {entries.map((e) => (
            <tr key={e.id}>
              <td className="num nowrap">
                <time dateTime={e.at}>{f.time(e.at)}</time>
              </td>
              <td className="nowrap">
                <Plain text={e.who} /> <span className="faint">{e.role}</span>
              </td>
              <td>
                <Plain text={e.action} />
              </td>
              <td>
                <Plain text={e.target ?? ''} />
              </td>
              <td>
                <Plain text={e.outcome} />
              </td>
              <td className="dim nowrap">
                <Plain text={[e.via, e.from].filter(Boolean).join(' · ')} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {audit.hasNextPage && (
        <button type="button" className="link more-rows" disabled={audit.isFetchingNextPage} onClick={() => void audit.fetchNextPage()}>
          {t('more')}
        </button>
      )}
    </div>
  );
}
