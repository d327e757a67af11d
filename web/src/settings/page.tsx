import { useQuery } from '@tanstack/react-query';
import { Link } from 'wouter';
import { get, send } from '../api/client';
import type { Setting } from '../api/types';
import { useStatus } from '../feed/live';
import { Hooks } from '../hooks/deliveries';
import { useI18n } from '../i18n';
import { useMay, useMe } from '../session';
import { SchemeAndLang } from '../shell';
import { Act, Failure, PageHead, Section } from '../ui/parts';
import { Plain } from '../ui/plain';
import { Lasting } from '../ui/time';
import { Audit } from './audit';
import { Tokens } from './tokens';

const tabs = ['general', 'hooks', 'tokens', 'audit', 'config'] as const;
const open: readonly Tab[] = ['general', 'hooks']; // to everybody
type Tab = (typeof tabs)[number];

export default function Settings({ tab }: { tab?: string | undefined }) {
  const { t } = useI18n();
  const admin = useMay('admin');
  const mine = admin ? tabs : open;
  const now: Tab = mine.includes(tab as Tab) ? (tab as Tab) : 'general';
  return (
    <main className="page">
      <PageHead title={t('settings')} />
      <nav className="tabs" aria-label={t('settings')}>
        {mine.map((x) => (
          <Link key={x} href={x === 'general' ? '/settings' : `/settings/${x}`} className={x === now ? 'tab here' : 'tab'} aria-current={x === now ? 'page' : undefined}>
            {t(`settings.${x}`)}
          </Link>
        ))}
      </nav>
      {now === 'general' && <General />}
      {now === 'hooks' && <Hooks />}
      {now === 'tokens' && <Tokens />}
      {now === 'audit' && <Audit />}
      {now === 'config' && <Config />}
    </main>
  );
}

function General() {
  const { t, f } = useI18n();
  const me = useMe();
  const s = useStatus();
  return (
    <>
      <Section title={t('settings.you')}>
        <dl className="facts wide">
          <div>
            <dt>{t('settings.name')}</dt>
            <dd>
              <Plain text={me.name} />
            </dd>
          </div>
          <div>
            <dt>{t('settings.role')}</dt>
            <dd>{t(`role.${me.role}`)}</dd>
          </div>
          {me.expires_at && (
            <div>
              <dt>{t('settings.until')}</dt>
              <dd>{f.time(me.expires_at)}</dd>
            </div>
          )}
          <div>
            <dt>{t('settings.look')}</dt>
            <dd className="nav-tools">
              <SchemeAndLang />
              {me.via === 'session' && <Act icon="out" label={t('logout')} onClick={() => void send('POST', '/api/logout').finally(() => location.assign('/'))} />}
            </dd>
          </div>
        </dl>
      </Section>
      {s && (
        <Section title={t('settings.daemon')}>
          <dl className="facts wide">
            <div>
              <dt>{t('settings.version')}</dt>
              <dd>
                <Plain text={s.version} />
              </dd>
            </div>
            <div>
              <dt>{t('f.node')}</dt>
              <dd>
                <Plain text={s.node} />
              </dd>
            </div>
            <div>
              <dt>{t('settings.uptime')}</dt>
              <dd>
                <Lasting from={s.started_at} />
              </dd>
            </div>
            <div>
              <dt>{t('f.pid')}</dt>
              <dd className="num">{s.pid}</dd>
            </div>
            <div>
              <dt>{t('settings.api')}</dt>
              <dd>
                <Link href="/api/docs">{t('docs')}</Link>
              </dd>
            </div>
            <div>
              <dt>{t('settings.runner')}</dt>
              <dd className="num">{s.runner.pid === 0 ? t('settings.runner.none') : t('settings.runner.is', { pid: String(s.runner.pid), n: s.runner.running })}</dd>
            </div>
          </dl>
        </Section>
      )}
    </>
  );
}

function Config() {
  const { t } = useI18n();
  const config = useQuery({ queryKey: ['settings'], queryFn: () => get<{ settings: Setting[] }>('/api/settings') });
  if (config.error) return <Failure error={config.error} retry={() => void config.refetch()} />;
  return (
    <div className="plain-scroll" tabIndex={0} role="region" aria-label={t('settings.config')}>
      <table className="plain-table">
        <thead>
          <tr>
            <th scope="col">{t('config.key')}</th>
            <th scope="col">{t('config.value')}</th>
            <th scope="col">{t('config.source')}</th>
          </tr>
        </thead>
        <tbody>
          {config.data?.settings.map((s) => (
            <tr key={s.key}>
              <th scope="row" className="mono">
                {s.key}
              </th>
              <td className="mono">
                <Plain text={typeof s.value === 'string' ? s.value : JSON.stringify(s.value)} />
              </td>
              <td className="dim">
                <Plain text={s.source} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
