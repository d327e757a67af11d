import { Autocomplete, Button, Checkbox, NumberInput, SegmentedControl, Select, TagsInput, TextInput, Textarea } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useEffect, useRef, useState, type FormEvent } from 'react';
import { useLocation, useSearch } from 'wouter';
import { ApiError, get, send } from '../api/client';
import type { Job, JobSpec, Type } from '../api/types';
import { useStatus } from '../feed/live';
import { useI18n } from '../i18n';
import { useMay } from '../session';
import { ParamFields, isJson } from '../types/fields';
import { useTypes } from '../types/page';
import { firstParams, parseObject, split as partOf, wrongParam, type Params } from '../types/params';
import { Failure, PageHead, Empty } from '../ui/parts';
import { Plain } from '../ui/plain';
import { commandLine } from '../ui/state';
import { toast } from '../ui/toast';
import { parseEnv, seconds, shellSigns, splitCommand } from './command';

interface Form {
  mode: 'command' | 'shell' | 'type';
  type: string;
  params: Params;
  line: string;
  script: string;
  name: string;
  queue: string;
  priority: number;
  tags: string[];
  timeout: string;
  cwd: string;
  env: string;
  key: string;
  hold: boolean;
  split: boolean;
}

const blank: Form = { mode: 'command', type: '', params: {}, line: '', script: '', name: '', queue: 'default', priority: 0, tags: [], timeout: '', cwd: '', env: '', key: '', hold: false, split: false };

export default function NewJob() {
  const { t } = useI18n();
  const asked = new URLSearchParams(useSearch());
  const from = asked.get('from');
  const types = useTypes();
  const old = useQuery({ queryKey: ['job', Number(from)], enabled: from !== null, queryFn: () => get<Job>(`/api/jobs/${encodeURIComponent(from ?? '')}`) });
  if (!useMay('operator')) {
    return (
      <main className="page">
        <Empty>{t('notAllowed')}</Empty>
      </main>
    );
  }
  if ((from !== null && old.isPending) || types.isPending) return <main className="page" aria-busy="true" />;
  return <JobForm key={from ?? 'new'} old={old.data} error={old.error ?? types.error} types={(types.data?.types ?? []).filter((x) => !plain.includes(x.name))} wish={asked.get('type') ?? ''} />;
}

const plain: readonly string[] = ['command', 'shell']; // types without parameters: what they run is written down

function like(j: Job, types: readonly Type[]): Form {
  const shell = j.type === 'shell';
  const typed = !plain.includes(j.type) && j.params !== undefined;
  // In a record stands a word in a secret's place.
  const params = typed ? partOf(j.params as Params, types.find((x) => x.name === j.type)?.secret ?? []).open : {};
  return {
    ...blank,
    mode: typed ? 'type' : shell ? 'shell' : 'command',
    type: typed ? j.type : '',
    params,
    line: shell || typed ? '' : commandLine(j),
    script: shell ? commandLine(j) : '',
    name: j.name ?? '',
    queue: j.queue,
    priority: j.priority,
    tags: j.tags ?? [],
    timeout: j.timeout ? `${j.timeout}s` : '',
    cwd: j.cwd ?? '',
    split: j.split ?? false,
  };
}

interface Props {
  old: Job | undefined;
  error: unknown;
  types: readonly Type[]; // with parameters
  wish: string; // the type to begin with
}

function JobForm({ old, error: firstError, types, wish }: Props) {
  const { t } = useI18n();
  const [, go] = useLocation();
  const [form, setForm] = useState<Form>(() => {
    if (old) return like(old, types);
    if (wish === 'shell') return { ...blank, mode: 'shell' };
    const wished = types.find((x) => x.name === wish);
    return wished ? { ...blank, mode: 'type', type: wished.name, params: firstParams(wished), queue: '' } : blank;
  });
  const [drafts, setDrafts] = useState<Params>({});
  const page = useRef<HTMLFormElement>(null);
  const [error, setError] = useState<unknown>(firstError ?? undefined);
  const [busy, setBusy] = useState(false);
  const queues = useStatus()?.queues.map((q) => q.name) ?? [];
  const set = <K extends keyof Form>(key: K, value: Form[K]) => setForm((f) => ({ ...f, [key]: value }));

  const split = splitCommand(form.line);
  const env = parseEnv(form.env);
  const timeout = seconds(form.timeout);
  const problems = {
    line: form.mode === 'command' && split.error ? t(`new.error.${split.error}`) : undefined,
    timeout: timeout === undefined ? t('new.error.time') : undefined,
    env: env.wrong.length > 0 ? t('new.error.env', { lines: env.wrong.join(', ') }) : undefined,
  };
  const type = form.mode === 'type' ? types.find((x) => x.name === form.type) : undefined;
  const empty = form.mode === 'type' ? !type || type.problem !== undefined : form.mode === 'command' ? split.argv.length === 0 : form.script.trim() === '';
  const drafted = form.mode !== 'type' || Object.entries(drafts).every(([name, text]) => (name === '' ? parseObject(String(text)) !== undefined : isJson(String(text))));
  const ready = !empty && drafted && Object.values(problems).every((p) => p === undefined);
  const problem = error instanceof ApiError ? error.problem : undefined;
  const field = problem?.field;
  const param = wrongParam(field);
  const wrong = (name: string) => (field?.split(/[.[]/)[0] === name ? problem?.detail : undefined);

  // Where the service found something wrong, it is put right.
  useEffect(() => {
    if (error !== undefined) page.current?.querySelector<HTMLElement>('[aria-invalid=true]')?.focus();
  }, [error]);

  const choose = (name: string) => {
    const next = types.find((x) => x.name === name);
    setDrafts({});
    setError(undefined);
    setForm((f) => ({ ...f, type: name, params: next ? firstParams(next) : {} }));
  };

  const submit = (e: FormEvent) => {
    e.preventDefault();
    if (!ready || busy) return;
    // A type may have a queue of its own.
    const spec: JobSpec = form.queue ? { queue: form.queue } : form.mode === 'type' ? {} : { queue: 'default' };
    if (form.mode === 'type') {
      spec.type = form.type;
      spec.params = form.params;
    } else if (form.mode === 'command') spec.command = split.argv;
    else spec.shell = form.script;
    if (form.name) spec.name = form.name;
    if (form.priority) spec.priority = form.priority;
    if (form.tags.length) spec.tags = form.tags;
    if (timeout) spec.timeout = timeout;
    if (form.cwd) spec.cwd = form.cwd;
    if (form.key) spec.key = form.key;
    if (form.hold) spec.hold = true;
    if (form.split) spec.split = true;
    if (Object.keys(env.env).length) spec.env = env.env;
    setBusy(true);
    setError(undefined);
    send<Job>('POST', '/api/jobs', spec)
      .then((j) => {
        toast(t('new.added', { id: String(j.id) }));
        go(`/jobs/${j.id}`);
      })
      .catch((e: unknown) => setError(e))
      .finally(() => setBusy(false));
  };

  return (
    <main className="page">
      <PageHead title={t(old ? 'new.again' : 'new.title')} sub={old ? t('new.from', { id: String(old.id) }) : undefined} />
      <form className={form.mode === 'type' ? 'form typed' : 'form'} onSubmit={submit} ref={page}>
        <div className="form-main">
          <SegmentedControl
            value={form.mode}
            onChange={(v) => {
              setError(undefined);
              // The queue that stands there is none that somebody chose; a type has its own.
              setForm((f) => ({ ...f, mode: v as Form['mode'], queue: v === 'type' && f.queue === 'default' ? '' : v !== 'type' && f.queue === '' ? 'default' : f.queue }));
            }}
            data={[
              { value: 'command', label: t('new.command') },
              { value: 'shell', label: t('new.shell') },
              { value: 'type', label: t('new.type') },
            ]}
            aria-label={t('new.kind')}
          />
          {form.mode === 'type' ? (
            <>
              <Select
                classNames={{ input: 'mono' }}
                label={t('col.type')}
                description={type?.description ? <Plain text={type.description} /> : t('new.type.about')}
                data={types.map((x) => x.name)}
                value={type ? form.type : null}
                onChange={(v) => choose(v ?? '')}
                error={form.type !== '' && !type ? t('new.type.gone', { name: form.type }) : type?.problem ? <Plain text={type.problem} /> : wrong('type') && <Plain text={wrong('type') ?? ''} />}
                allowDeselect={false}
                searchable
              />
              {type && !type.problem && (
                <ParamFields
                  key={type.name}
                  type={type}
                  params={form.params}
                  onParams={(change) => setForm((f) => ({ ...f, params: change(f.params) }))}
                  drafts={drafts}
                  onDrafts={setDrafts}
                  wrong={param !== undefined && problem ? { name: param, message: [problem.detail, problem.hint].filter(Boolean).join('; ') } : undefined}
                />
              )}
            </>
          ) : form.mode === 'command' ? (
            <>
              <TextInput
                data-autofocus
                autoFocus
                classNames={{ input: 'mono' }}
                label={t('new.line')}
                placeholder="rsync -a /srv/photos /backup"
                value={form.line}
                onChange={(e) => set('line', e.currentTarget.value)}
                error={problems.line ?? wrong('command')}
                spellCheck={false}
                autoComplete="off"
              />
              <div className="argv" aria-label={t('new.preview')} role="group">
                {split.argv.map((w, i) => (
                  <code key={i} className={i === 0 ? 'arg program' : 'arg'}>
                    {w === '' ? '""' : <Plain text={w} />}
                  </code>
                ))}
                {split.argv.length === 0 && <span className="faint">{t('new.preview.none')}</span>}
              </div>
              {shellSigns(form.line) && (
                <p className="note">
                  {t('new.shellSigns')}{' '}
                  <button
                    type="button"
                    className="link"
                    onClick={() => setForm((f) => ({ ...f, mode: 'shell', script: f.line }))}
                  >
                    {t('new.asShell')}
                  </button>
                </p>
              )}
            </>
          ) : (
            <Textarea
              classNames={{ input: 'mono' }}
              label={t('new.script')}
              description={t('new.script.about')}
              rows={6}
              value={form.script}
              onChange={(e) => set('script', e.currentTarget.value)}
              error={wrong('shell')}
              spellCheck={false}
            />
          )}
          <div className="form-pair">
            <TextInput label={t('new.name')} value={form.name} onChange={(e) => set('name', e.currentTarget.value)} error={wrong('name')} autoComplete="off" />
            <Autocomplete label={t('col.queue')} placeholder={type?.queue ?? 'default'} data={queues} value={form.queue} onChange={(v) => set('queue', v)} error={wrong('queue')} />
          </div>
          <div className="form-pair three">
            <NumberInput label={t('col.priority')} description={t('new.priority.about')} value={form.priority} onChange={(v) => set('priority', Number(v) || 0)} allowDecimal={false} error={wrong('priority')} hideControls />
            <TextInput label={t('f.timeout')} description={t('new.timeout.about')} placeholder="1h30m" value={form.timeout} onChange={(e) => set('timeout', e.currentTarget.value)} error={problems.timeout ?? wrong('timeout')} />
            <TagsInput label={t('col.tags')} description={t('new.tags.about')} value={form.tags} onChange={(v) => set('tags', v)} error={wrong('tags')} />
          </div>
          <details className="more" open={form.cwd !== '' || form.split || field === 'env'}>
            <summary>{t('new.more')}</summary>
            <div className="form-pair">
              <TextInput classNames={{ input: 'mono' }} label={t('f.cwd')} placeholder="/" value={form.cwd} onChange={(e) => set('cwd', e.currentTarget.value)} error={wrong('cwd')} />
              <TextInput label={t('f.key')} description={t('new.key.about')} value={form.key} onChange={(e) => set('key', e.currentTarget.value)} error={wrong('key')} />
            </div>
            <Textarea classNames={{ input: 'mono' }} label={t('new.env')} description={t(old ? 'new.env.again' : 'new.env.about')} placeholder="NAME=value" rows={3} value={form.env} onChange={(e) => set('env', e.currentTarget.value)} error={problems.env ?? wrong('env')} spellCheck={false} />
            <Checkbox label={t('new.split')} checked={form.split} onChange={(e) => set('split', e.currentTarget.checked)} />
          </details>
          <Checkbox label={t('new.hold')} checked={form.hold} onChange={(e) => set('hold', e.currentTarget.checked)} />
          {error !== undefined && <Failure error={error} />}
          <div className="form-foot">
            <Button type="submit" loading={busy} disabled={!ready}>
              {t('new.submit')}
            </Button>
          </div>
        </div>
      </form>
    </main>
  );
}
