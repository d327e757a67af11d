import { Button, PasswordInput } from '@mantine/core';
import { useState, type FormEvent } from 'react';
import { ApiError, loggedIn, send } from '../api/client';
import type { Me } from '../api/types';
import { useI18n } from '../i18n';
import { SchemeAndLang } from '../shell';
import { Failure } from '../ui/parts';

// takeCode returns the one-time code of a login link and takes it out of the address at once, so that
// it stays in no history.
export function takeCode(): string | undefined {
  const m = /^#login=([\w.~-]+)$/.exec(location.hash);
  if (!m) return undefined;
  history.replaceState(null, '', location.pathname + location.search);
  return m[1];
}

export async function redeem(what: { code: string } | { token: string }): Promise<Me> {
  const me = await send<Me>('POST', '/api/login', what);
  loggedIn();
  return me;
}

export function Login({ error: first, onDone }: { error?: unknown; onDone: (me: Me) => void }) {
  const { t } = useI18n();
  const [token, setToken] = useState('');
  const [error, setError] = useState<unknown>(first);
  const [busy, setBusy] = useState(false);

  const submit = (e: FormEvent) => {
    e.preventDefault();
    setBusy(true);
    setError(undefined);
    redeem({ token: token.trim() })
      .then(onDone)
      .catch((e: unknown) => setError(e))
      .finally(() => setBusy(false));
  };

  return (
    <main className="login">
      <form className="login-box" onSubmit={submit}>
        <div className="login-brand">
          <img src="/icon.svg" width={28} height={28} alt="" />
          <h1>queuemgr</h1>
          <span className="grow" />
          <SchemeAndLang />
        </div>
        {error !== undefined && <LoginFailure error={error} />}
        <p>{t('login.how')}</p>
        <pre className="code">queuemgr web --open</pre>
        <PasswordInput
          label={t('login.token')}
          description={t('login.token.about')}
          value={token}
          onChange={(e) => setToken(e.currentTarget.value)}
          autoComplete="off"
          spellCheck={false}
          required
          withAsterisk={false}
          visibilityToggleButtonProps={{ 'aria-label': t('login.show'), tabIndex: 0 }}
        />
        <Button type="submit" loading={busy} disabled={token.trim() === ''} fullWidth>
          {t('login.submit')}
        </Button>
      </form>
    </main>
  );
}

function LoginFailure({ error }: { error: unknown }) {
  const { t } = useI18n();
  if (error instanceof ApiError && error.problem.status === 429) return <div className="failure" role="alert">{t('login.throttled')}</div>;
  return <Failure error={error} />;
}
