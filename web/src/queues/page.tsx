import { Button, NumberInput, Switch, TextInput } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useState, type FormEvent } from 'react';
import { Link } from 'wouter';
import { get, send } from '../api/client';
import { live, waiting, type Queue } from '../api/types';
import { useStatus } from '../feed/live';
import { useI18n } from '../i18n';
import { jobsUrl } from '../jobs/url';
import { useMay } from '../session';
import { Dialog, confirm } from '../ui/dialog';
import { Act, Empty, Failure, PageHead } from '../ui/parts';
import { Plain } from '../ui/plain';
import { toast, toastError } from '../ui/toast';

const path = (q: Pick<Queue, 'name'>) => `/api/queues/${encodeURIComponent(q.name)}`;
const sum = (q: Queue, states: readonly string[]) => states.reduce((n, s) => n + Number(q.jobs?.[s] ?? 0), 0);

export default function Queues() {
  const { t } = useI18n();
  const operator = useMay('operator');
  const told = useStatus()?.queues;
  const asked = useQuery({ queryKey: ['queues'], meta: { live: 'list' }, queryFn: () => get<{ queues: Queue[] }>('/api/queues') });
  const [adding, setAdding] = useState(false);
  const queues = told ?? asked.data?.queues;
  return (
    <main className="page">
      <PageHead title={t('queues')} sub={queues && t('queues.count', { n: queues.length })}>
        {operator && <Act icon="plus" label={t('queues.add')} text kind="primary" onClick={() => setAdding(true)} />}
      </PageHead>
      {asked.error && !queues && <Failure error={asked.error} retry={() => void asked.refetch()} />}
      {queues?.length === 0 && <Empty>{t('queues.none')}</Empty>}
      <div className="plain-scroll" tabIndex={0} role="region" aria-label={t('queues')}>
        <table className="plain-table queues">
          <thead>
            <tr>
              <th scope="col">{t('queues.name')}</th>
              <th scope="col" className="end">{t('tab.live')}</th>
              <th scope="col" className="end">{t('queues.limit')}</th>
              <th scope="col" className="end">{t('tab.waiting')}</th>
              <th scope="col" className="end">{t('tab.completed')}</th>
              <th scope="col" className="end">{t('tab.failed')}</th>
              {operator && <th scope="col"><span className="sr-only">{t('actions')}</span></th>}
            </tr>
          </thead>
          <tbody>{queues?.map((q) => <Row key={q.name} queue={q} operator={operator} />)}</tbody>
        </table>
      </div>
      <AddQueue opened={adding} onClose={() => setAdding(false)} />
    </main>
  );
}

function Row({ queue: q, operator }: { queue: Queue; operator: boolean }) {
  const { t, f } = useI18n();
  const queries = useQueryClient();
  const change = async (what: Partial<Pick<Queue, 'paused' | 'concurrency' | 'start'>>, done: string, undo?: () => void) => {
    try {
      await send('PATCH', path(q), what);
      toast(done, undo ? { undo } : {});
      void queries.invalidateQueries({ queryKey: ['queues'] });
    } catch (e) {
      toastError(e);
    }
  };
  const pause = (paused: boolean): Promise<void> => change({ paused }, t(paused ? 'queues.paused.done' : 'queues.resumed.done', { name: q.name }), () => void pause(!paused));
  const remove = async () => {
    const yes = await confirm({ title: t('queues.delete.ask', { name: q.name }), body: <p>{t('queues.delete.about')}</p>, yes: t('act.delete'), danger: true });
    if (!yes) return;
    try {
      await send('DELETE', path(q));
      toast(t('queues.deleted', { name: q.name }));
      void queries.invalidateQueries({ queryKey: ['queues'] });
    } catch (e) {
      toastError(e);
    }
  };
  const n = (states: readonly string[], text: string) => {
    const count = sum(q, states);
    return count === 0 ? <span className="faint num">0</span> : <Link className="num" href={jobsUrl(`${text} queue:${q.name}`)}>{f.number(count)}</Link>;
  };
  const running = sum(q, live);
  return (
    <tr data-queue={q.name} className={q.paused ? 'paused' : ''}>
      <th scope="row">
        <Link href={jobsUrl(`queue:${q.name}`)} className="strong">
          <Plain text={q.name} />
        </Link>
        {q.paused && <span className="badge warn">{t('queues.paused')}</span>}
        {q.start === 'manual' && <span className="badge">{t('queues.manual')}</span>}
      </th>
      <td className="end" data-label={t('tab.live')}>{n(live, 'state:live')}</td>
      <td className="end" data-label={t('queues.limit')}>
        <Limit queue={q} editable={operator} onChange={(c) => void change({ concurrency: c }, t('queues.limit.done', { name: q.name }), () => void change({ concurrency: q.concurrency }, t('queues.limit.done', { name: q.name })))} />
        {q.concurrency > 0 && <progress className="progress" max={q.concurrency} value={Math.min(running, q.concurrency)} aria-label={t('queues.busy', { n: running, of: q.concurrency })} />}
      </td>
      <td className="end" data-label={t('tab.waiting')}>{n(waiting, 'state:waiting')}</td>
      <td className="end" data-label={t('tab.completed')}>{n(['completed'], 'state:completed')}</td>
      <td className="end" data-label={t('tab.failed')}>{n(['failed', 'skipped'], 'state:failed,skipped')}</td>
      {operator && (
        <td className="end nowrap does">
          <Act icon={q.paused ? 'play' : 'pause'} label={t(q.paused ? 'queues.resume' : 'queues.pause', { name: q.name })} onClick={() => void pause(!q.paused)} />
          <Act icon="trash" label={t('queues.delete', { name: q.name })} kind="danger" disabled={q.name === 'default'} onClick={() => void remove()} />
        </td>
      )}
    </tr>
  );
}

// Limit is the queue's concurrency; it is changed where it stands.
function Limit({ queue: q, editable, onChange }: { queue: Queue; editable: boolean; onChange: (n: number) => void }) {
  const { t, f } = useI18n();
  const [draft, setDraft] = useState<string>();
  useEffect(() => setDraft(undefined), [q.concurrency]);
  if (!editable) return <span className="num">{q.concurrency === 0 ? t('queues.unlimited') : f.number(q.concurrency)}</span>;
  const save = () => {
    const n = Number(draft);
    if (draft !== undefined && draft.trim() !== '' && Number.isInteger(n) && n >= 0 && n !== q.concurrency) onChange(n);
    else setDraft(undefined);
  };
  return (
    <input
      className="inline-edit num"
      inputMode="numeric"
      aria-label={t('queues.limit.of', { name: q.name })}
      title={t('queues.limit.about')}
      value={draft ?? (q.concurrency === 0 ? '∞' : String(q.concurrency))}
      onFocus={(e) => {
        setDraft(String(q.concurrency));
        requestAnimationFrame(() => e.target.select());
      }}
      onChange={(e) => setDraft(e.currentTarget.value)}
      onBlur={save}
      onKeyDown={(e) => {
        if (e.key === 'Enter') e.currentTarget.blur();
        if (e.key === 'Escape') {
          setDraft(undefined);
          e.currentTarget.blur();
        }
      }}
    />
  );
}

function AddQueue({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  const { t } = useI18n();
  const queries = useQueryClient();
  const [name, setName] = useState('');
  const [limit, setLimit] = useState<number>(1);
  const [paused, setPaused] = useState(false);
  const [error, setError] = useState<unknown>();
  const submit = (e: FormEvent) => {
    e.preventDefault();
    setError(undefined);
    send('POST', '/api/queues', { name: name.trim(), concurrency: limit, paused })
      .then(() => {
        toast(t('queues.added', { name: name.trim() }));
        void queries.invalidateQueries({ queryKey: ['queues'] });
        setName('');
        onClose();
      })
      .catch(setError);
  };
  return (
    <Dialog opened={opened} onClose={onClose} title={t('queues.add')}>
      <form onSubmit={submit} className="stack">
        <TextInput data-autofocus label={t('queues.name')} description={t('queues.name.about')} value={name} onChange={(e) => setName(e.currentTarget.value)} autoComplete="off" />
        <NumberInput label={t('queues.limit')} description={t('queues.limit.about')} min={0} allowDecimal={false} value={limit} onChange={(v) => setLimit(Number(v) || 0)} />
        <Switch label={t('queues.startPaused')} checked={paused} onChange={(e) => setPaused(e.currentTarget.checked)} />
        {error !== undefined && <Failure error={error} />}
        <div className="dialog-foot">
          <Button variant="default" onClick={onClose}>
            {t('cancel')}
          </Button>
          <Button type="submit" disabled={name.trim() === ''}>
            {t('queues.add')}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
