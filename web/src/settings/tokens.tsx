import { Button, Select, TextInput } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { get, send } from '../api/client';
import type { Role, Token } from '../api/types';
import { useI18n } from '../i18n';
import { Dialog, confirm } from '../ui/dialog';
import { Act, Empty, Failure } from '../ui/parts';
import { Plain } from '../ui/plain';
import { Ago } from '../ui/time';
import { toast, toastError } from '../ui/toast';

const roles: readonly Role[] = ['viewer', 'operator', 'admin'];
const spans = ['86400', '2592000', '31536000', '0'] as const;

export function Tokens() {
  const { t, f } = useI18n();
  const queries = useQueryClient();
  const tokens = useQuery({ queryKey: ['tokens'], queryFn: () => get<{ tokens: Token[] }>('/api/tokens'), refetchOnMount: 'always' });
  const [adding, setAdding] = useState(false);
  const again = () => void queries.invalidateQueries({ queryKey: ['tokens'] });
  const revoke = async (x: Token) => {
    const yes = await confirm({ title: t('tokens.revoke.ask', { name: x.name }), body: <p>{t('tokens.revoke.about')}</p>, yes: t('tokens.revoke'), danger: true });
    if (!yes) return;
    try {
      await send('DELETE', `/api/tokens/${encodeURIComponent(x.id)}`);
      toast(t('tokens.revoked', { name: x.name }));
      again();
    } catch (e) {
      toastError(e);
    }
  };
  const list = tokens.data?.tokens;
  return (
    <>
      <div className="section-bar">
        <p className="dim grow">{t('tokens.about')}</p>
        <Act icon="plus" label={t('tokens.add')} text kind="primary" onClick={() => setAdding(true)} />
      </div>
      {tokens.error && <Failure error={tokens.error} retry={() => void tokens.refetch()} />}
      {list?.length === 0 && <Empty>{t('tokens.none')}</Empty>}
      {list && list.length > 0 && (
        <div className="plain-scroll" tabIndex={0} role="region" aria-label={t('settings.tokens')}>
          <table className="plain-table">
            <thead>
              <tr>
                <th scope="col">{t('settings.name')}</th>
                <th scope="col">{t('settings.role')}</th>
                <th scope="col">{t('col.created')}</th>
                <th scope="col">{t('tokens.expires')}</th>
                <th scope="col">{t('tokens.used')}</th>
                <th scope="col">
                  <span className="sr-only">{t('actions')}</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {list.map((x) => (
                <tr key={x.id}>
                  <th scope="row">
                    <Plain text={x.name} />
                  </th>
                  <td>{t(`role.${x.role}`)}</td>
                  <td className="nowrap">
                    <Ago at={x.created_at} /> {x.created_by && <Plain className="faint" text={x.created_by} />}
                  </td>
                  <td className="nowrap">{x.expires_at ? f.date(x.expires_at) : <span className="faint">{t('tokens.never')}</span>}</td>
                  <td className="nowrap">{x.last_used_at ? <Ago at={x.last_used_at} /> : <span className="faint">{t('tokens.unused')}</span>}</td>
                  <td className="end">
                    <Act icon="trash" label={t('tokens.revoke.of', { name: x.name })} kind="danger" onClick={() => void revoke(x)} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <AddToken opened={adding} onClose={() => setAdding(false)} onAdded={again} />
    </>
  );
}

function AddToken({ opened, onClose, onAdded }: { opened: boolean; onClose: () => void; onAdded: () => void }) {
  const { t } = useI18n();
  const [name, setName] = useState('');
  const [role, setRole] = useState<Role>('viewer');
  const [span, setSpan] = useState<string>('2592000');
  const [secret, setSecret] = useState<string>();
  const [error, setError] = useState<unknown>();
  const close = () => {
    setSecret(undefined);
    setName('');
    setError(undefined);
    onClose();
  };
  const submit = (e: FormEvent) => {
    e.preventDefault();
    setError(undefined);
    send<Token & { secret: string }>('POST', '/api/tokens', { name: name.trim(), role, ...(span === '0' ? {} : { expires_in: Number(span) }) })
      .then((x) => {
        setSecret(x.secret);
        onAdded();
      })
      .catch(setError);
  };
  return (
    <Dialog opened={opened} onClose={close} title={t('tokens.add')}>
      {secret === undefined ? (
        <form onSubmit={submit} className="stack">
          <TextInput data-autofocus label={t('settings.name')} description={t('tokens.name.about')} value={name} onChange={(e) => setName(e.currentTarget.value)} autoComplete="off" />
          <Select
            label={t('settings.role')}
            description={t(`role.${role}.about`)}
            data={roles.map((r) => ({ value: r, label: t(`role.${r}`) }))}
            value={role}
            onChange={(v) => setRole((v as Role | null) ?? 'viewer')}
            allowDeselect={false}
          />
          <Select label={t('tokens.expires')} data={spans.map((s) => ({ value: s, label: t(`tokens.span.${s}`) }))} value={span} onChange={(v) => setSpan(v ?? '2592000')} allowDeselect={false} />
          {error !== undefined && <Failure error={error} />}
          <div className="dialog-foot">
            <Button variant="default" onClick={close}>
              {t('cancel')}
            </Button>
            <Button type="submit" disabled={name.trim() === ''}>
              {t('tokens.add')}
            </Button>
          </div>
        </form>
      ) : (
        <div className="stack">
          <p>{t('tokens.secret')}</p>
          <pre className="code wrap" tabIndex={0} data-secret>
            {secret}
          </pre>
          <div className="dialog-foot">
            <Button variant="default" onClick={() => void navigator.clipboard?.writeText(secret).then(() => toast(t('copied')))}>
              {t('copy')}
            </Button>
            <Button onClick={close}>{t('tokens.kept')}</Button>
          </div>
        </div>
      )}
    </Dialog>
  );
}
