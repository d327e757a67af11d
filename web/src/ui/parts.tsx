import type { ReactNode } from 'react';
import { ApiError } from '../api/client';
import { useI18n } from '../i18n';
import { Icon, type IconName } from './icons';
import { Plain } from './plain';

export function PageHead({ title, sub, children }: { title: ReactNode; sub?: ReactNode; children?: ReactNode }) {
  return (
    <header className="page-head">
      <div className="grow">
        <h1>{title}</h1>
        {sub && <div className="sub">{sub}</div>}
      </div>
      {children && <div className="actions">{children}</div>}
    </header>
  );
}

export function Section({ title, aside, children, className }: { title: string; aside?: ReactNode; children: ReactNode; className?: string }) {
  return (
    <section className={`section ${className ?? ''}`} aria-label={title}>
      <div className="section-head">
        <h2>{title}</h2>
        {aside && <div className="aside">{aside}</div>}
      </div>
      {children}
    </section>
  );
}

interface ActProps {
  icon: IconName;
  label: string;
  onClick: () => void;
  disabled?: boolean;
  pressed?: boolean;
  text?: boolean;
  kind?: 'danger' | 'primary';
  keys?: string;
}

// Act is a button with an icon; its label is read out, and shown where there is room.
export function Act({ icon, label, onClick, disabled, pressed, text, kind, keys }: ActProps) {
  return (
    <button
      type="button"
      className={`act ${kind ?? ''} ${text ? 'with-text' : ''}`}
      disabled={disabled}
      title={keys ? `${label}  ${keys}` : label}
      aria-label={text ? undefined : label}
      aria-pressed={pressed}
      onClick={onClick}
    >
      <Icon name={icon} />
      {text && <span>{label}</span>}
    </button>
  );
}

export function Empty({ children }: { children: ReactNode }) {
  return <div className="empty">{children}</div>;
}

// Failure shows what the server said, and what to do next.
export function Failure({ error, retry }: { error: unknown; retry?: () => void }) {
  const { t } = useI18n();
  const problem = error instanceof ApiError ? error.problem : undefined;
  const text = problem?.code === 'unreachable' ? t('error.unreachable') : problem ? problem.detail : String(error);
  return (
    <div className="failure" role="alert">
      <Icon name="warn" />
      <div className="grow">
        <Plain text={text} />
        {problem?.hint && <Plain className="dim block" text={problem.hint} />}
      </div>
      {retry && (
        <button type="button" className="link" onClick={retry}>
          {t('retry')}
        </button>
      )}
    </div>
  );
}
