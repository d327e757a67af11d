import { useMantineColorScheme, useComputedColorScheme } from '@mantine/core';
import { useState, type ReactNode } from 'react';
import { Link, useLocation } from 'wouter';
import { send } from './api/client';
import { live as liveStates, waiting as waitingStates } from './api/types';
import { useFeedState, useStatus } from './feed/live';
import { useI18n } from './i18n';
import { useMay, useMe } from './session';
import { CheatSheet } from './ui/cheatsheet';
import { Icon, type IconName } from './ui/icons';
import { useKeys } from './ui/keys';
import { Act } from './ui/parts';
import { Plain } from './ui/plain';

export function Shell({ children }: { children: ReactNode }) {
  const { t } = useI18n();
  const [, go] = useLocation();
  const [help, setHelp] = useState(false);
  const operator = useMay('operator');
  useKeys({
    '?': () => setHelp(true),
    'g o': () => go('/'),
    'g j': () => go('/jobs'),
    'g q': () => go('/queues'),
    'g t': () => go('/types'),
    'g s': () => go('/settings'),
    '/': () => go('/jobs?focus=search'),
    ...(operator ? { n: () => go('/jobs/new') } : {}),
  });
  return (
    <div className="shell">
      <a className="skip" href="#content">
        {t('skip')}
      </a>
      <Nav onHelp={() => setHelp(true)} />
      <div className="content" id="content" tabIndex={-1}>
        <Connection />
        <Problems />
        {children}
      </div>
      <CheatSheet opened={help} onClose={() => setHelp(false)} />
    </div>
  );
}

function Nav({ onHelp }: { onHelp: () => void }) {
  const { t, f } = useI18n();
  const status = useStatus();
  const me = useMe();
  const count = (states: readonly string[]) => states.reduce((n, s) => n + (status?.jobs?.[s] ?? 0), 0);
  const running = count(liveStates);
  const waiting = count(waitingStates);
  return (
    <nav className="nav" aria-label={t('nav')}>
      <div className="brand">
        <img src="/icon.svg" width={20} height={20} alt="" />
        <span className="brand-name">queuemgr</span>
        {status && <Plain className="brand-node" text={status.node} />}
      </div>
      <NavLink to="/" icon="overview" label={t('nav.overview')} />
      <NavLink to="/jobs" icon="jobs" label={t('nav.jobs')} note={running + waiting > 0 ? f.number(running + waiting) : ''} />
      <NavLink to="/queues" icon="queues" label={t('nav.queues')} />
      <NavLink to="/types" icon="types" label={t('nav.types')} />
      <NavLink to="/settings" icon="settings" label={t('nav.settings')} />
      <span className="nav-space" />
      <div className="nav-foot">
        <div className="nav-me" title={t(`role.${me.role}`)}>
          <Plain className="ellipsis" text={me.name} />
          <span className="dim">{t(`role.${me.role}`)}</span>
        </div>
        <div className="nav-tools">
          <SchemeAndLang />
          <Act icon="keyboard" label={t('keys')} keys="?" onClick={onHelp} />
          {me.via === 'session' && <Act icon="out" label={t('logout')} onClick={() => void send('POST', '/api/logout').finally(() => location.assign('/'))} />}
        </div>
      </div>
    </nav>
  );
}

function NavLink({ to, icon, label, note }: { to: string; icon: IconName; label: string; note?: string }) {
  const [at] = useLocation();
  const here = to === '/' ? at === '/' : at.startsWith(to);
  return (
    <Link href={to} className={here ? 'nav-link here' : 'nav-link'} aria-current={here ? 'page' : undefined}>
      <Icon name={icon} />
      <span className="nav-label">{label}</span>
      {note && <span className="nav-note num">{note}</span>}
    </Link>
  );
}

export function SchemeAndLang() {
  const { t, lang, setLang } = useI18n();
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme('light', { getInitialValueInEffect: false });
  const other = lang === 'en' ? 'ru' : 'en';
  return (
    <>
      <Act icon={scheme === 'dark' ? 'sun' : 'moon'} label={t(scheme === 'dark' ? 'scheme.light' : 'scheme.dark')} onClick={() => setColorScheme(scheme === 'dark' ? 'light' : 'dark')} />
      <button type="button" className="act lang" lang={other} aria-label={other === 'ru' ? 'РУ, русский' : 'EN, English'} title={other === 'ru' ? 'Русский' : 'English'} onClick={() => setLang(other)}>
        {other === 'ru' ? 'РУ' : 'EN'}
      </button>
    </>
  );
}

// Connection says when what is shown may be old, and when it is right again.
function Connection() {
  const { t } = useI18n();
  const state = useFeedState();
  const [wasLost, setWasLost] = useState(false);
  if (state === 'lost' && !wasLost) setWasLost(true);
  const text = state === 'lost' ? t('feed.lost') : state === 'live' && wasLost ? t('feed.back') : '';
  return (
    <div role="status" className={`connection ${state}`} data-feed={state}>
      {text && (
        <span key={text} className="connection-text" onAnimationEnd={() => state === 'live' && setWasLost(false)}>
          {text}
        </span>
      )}
    </div>
  );
}

// Problems are conditions of the daemon that somebody should mend.
function Problems() {
  const { t } = useI18n();
  const problems = useStatus()?.problems ?? [];
  if (problems.length === 0) return null;
  return (
    <div className="problems" role="alert" aria-label={t('problems')}>
      {problems.map((p) => (
        <div key={p}>
          <Icon name="warn" /> <Plain text={p} />
        </div>
      ))}
    </div>
  );
}
