import { Button, Checkbox, NumberInput, PasswordInput, Select, TextInput, Textarea } from '@mantine/core';
import { useState } from 'react';
import type { Type } from '../api/types';
import { useI18n } from '../i18n';
import { Plain, visible } from '../ui/plain';
import { fieldsOf, items, lines, parseObject, put, rules, short, split, type Field, type Params } from './params';

interface Props {
  type: Type;
  params: Params;
  onParams: (change: (old: Params) => Params) => void;
  // What was typed that is no JSON, by the parameter's name; "" is the whole. Nothing can be sent with it.
  drafts: Params;
  onDrafts: (change: (old: Params) => Params) => void;
  wrong: { name: string; message: string } | undefined; // what the service says of them
}

// ParamFields is the form that a type's schema makes, and the same as JSON beside it. Secrets are in
// the form alone.
export function ParamFields({ type, params, onParams, drafts, onDrafts, wrong }: Props) {
  const { t } = useI18n();
  const fields = fieldsOf(type);
  const secret = type.secret ?? [];
  const { open, hidden } = split(params, secret);
  const known = fields.some((f) => f.name === wrong?.name);
  const raw = drafts['']; // as it was typed, while it has the focus or is no JSON
  return (
    <div className="params">
      <div className="form-main" role="group" aria-label={t('f.params')}>
        {type.example !== undefined && (
          <div>
            <Button
              variant="default"
              size="xs"
              onClick={() => {
                onDrafts(() => ({}));
                onParams(() => ({ ...(type.example as Params), ...hidden }));
              }}
            >
              {t('new.example')}
            </Button>
          </div>
        )}
        {fields.map((f) => (
          <ParamField
            key={f.name}
            field={f}
            value={params[f.name]}
            onChange={(v) => {
              onParams((p) => put(p, f.name, v));
              onDrafts((d) => put(d, '', undefined));
            }}
            draft={drafts[f.name] as string | undefined}
            onDraft={(text) => onDrafts((d) => put(d, f.name, text))}
            error={wrong?.name === f.name ? wrong.message : undefined}
          />
        ))}
        {fields.length === 0 && <p className="faint">{t('types.noParams')}</p>}
      </div>
      <Textarea
        classNames={{ input: 'mono' }}
        label={t('new.json')}
        description={secret.length > 0 ? t('new.json.secret', { names: secret.join(', ') }) : t('new.json.about')}
        rows={12}
        spellCheck={false}
        value={typeof raw === 'string' ? raw : JSON.stringify(open, null, 2)}
        onChange={(e) => {
          const text = e.currentTarget.value;
          const p = parseObject(text);
          onDrafts(() => ({ '': text }));
          if (p) onParams(() => ({ ...hidden, ...p }));
        }}
        onBlur={() => typeof raw === 'string' && parseObject(raw) && onDrafts((d) => put(d, '', undefined))}
        error={typeof raw === 'string' && !parseObject(raw) ? t('new.error.json') : wrong && !known ? <Plain text={wrong.message} /> : undefined}
      />
    </div>
  );
}

// isJson says whether a text is JSON; an empty one stands for no value.
export function isJson(text: string): boolean {
  if (text.trim() === '') return true;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

interface FieldProps {
  field: Field;
  value: unknown;
  onChange: (v: unknown) => void;
  draft: string | undefined;
  onDraft: (d: string | undefined) => void;
  error: string | undefined;
}

function ParamField({ field: f, value, onChange, draft, onDraft, error }: FieldProps) {
  const { t } = useI18n();
  const s = f.schema;
  const [text, setText] = useState<string>(); // of a list, while it has the focus
  const common = {
    label: <Plain className="mono" text={f.name} />,
    description: <About field={f} />,
    withAsterisk: f.required,
    'aria-required': f.required,
    error: error && <Plain text={error} />,
    'data-param': f.name,
  };
  const placeholder = visible(short(s.default ?? s.examples?.[0] ?? ''));
  const kind = fitting(f, value);
  if (kind === 'boolean') {
    return <Checkbox label={common.label} description={common.description} error={common.error} data-param={f.name} checked={(value ?? s.default ?? false) as boolean} onChange={(e) => onChange(e.currentTarget.checked)} />;
  }
  if (kind === 'choice') {
    // Values that are no texts are known by their JSON.
    const all = s.enum ?? [];
    return (
      <Select
        {...common}
        data={all.map((v) => ({ value: JSON.stringify(v), label: visible(short(v)) }))}
        placeholder={placeholder}
        value={value === undefined ? null : JSON.stringify(value)}
        onChange={(v) => onChange(v === null ? undefined : JSON.parse(v))}
        clearable={!f.required}
      />
    );
  }
  if (kind === 'number' || kind === 'integer') {
    return (
      <NumberInput
        {...common}
        placeholder={placeholder}
        allowDecimal={kind === 'number'}
        {...(s.minimum === undefined ? {} : { min: s.minimum })}
        {...(s.maximum === undefined ? {} : { max: s.maximum })}
        clampBehavior="none"
        value={(value ?? '') as number | string}
        onChange={(v) => onChange(v === '' || !Number.isFinite(Number(v)) ? undefined : Number(v))}
        autoComplete="off"
      />
    );
  }
  if (kind === 'text' && typeof value === 'string' && value.includes('\n') && !f.secret) {
    return <Textarea {...common} classNames={{ input: 'mono' }} rows={Math.min(12, value.split('\n').length + 1)} value={value} onChange={(e) => onChange(e.currentTarget.value === '' ? undefined : e.currentTarget.value)} spellCheck={false} />;
  }
  if (kind === 'text') {
    const Input = f.secret ? PasswordInput : TextInput;
    return (
      <Input
        {...common}
        {...(f.secret ? {} : { classNames: { input: 'mono' } })}
        placeholder={placeholder}
        value={value === undefined ? '' : String(value)}
        onChange={(e) => onChange(e.currentTarget.value === '' ? undefined : e.currentTarget.value)}
        autoComplete={f.secret ? 'new-password' : 'off'}
        spellCheck={false}
      />
    );
  }
  if (kind === 'list') {
    const shown = text ?? lines(value) ?? '';
    return (
      <Textarea
        {...common}
        classNames={{ input: 'mono' }}
        placeholder={Array.isArray(s.examples?.[0]) ? visible(s.examples[0].map(short).join('\n')) : undefined}
        rows={Math.min(12, Math.max(2, shown.split('\n').length))}
        value={shown}
        onChange={(e) => {
          setText(e.currentTarget.value);
          onChange(items(e.currentTarget.value, s));
        }}
        onBlur={() => setText(undefined)}
        spellCheck={false}
      />
    );
  }
  const json = draft ?? (value === undefined ? '' : JSON.stringify(value, null, f.secret ? 0 : 2));
  const own = {
    ...common,
    value: json,
    placeholder: s.examples?.length ? visible(JSON.stringify(s.examples[0])) : s.default === undefined ? undefined : visible(JSON.stringify(s.default)),
    error: isJson(json) ? common.error : t('new.error.value'),
    onBlur: () => isJson(json) && onDraft(undefined),
    spellCheck: false,
  };
  const typed = (next: string) => {
    onDraft(next);
    if (isJson(next)) onChange(next.trim() === '' ? undefined : JSON.parse(next));
  };
  return f.secret ? (
    <PasswordInput {...own} autoComplete="new-password" onChange={(e) => typed(e.currentTarget.value)} />
  ) : (
    <Textarea {...own} classNames={{ input: 'mono' }} rows={Math.min(12, Math.max(2, json.split('\n').length))} onChange={(e) => typed(e.currentTarget.value)} />
  );
}

// fitting is the input for a value: one that the field's own input could not hold is shown as JSON. A
// secret is never shown, so that what is more than a text is JSON in one line.
function fitting(f: Field, value: unknown): Field['kind'] {
  if (f.secret && f.kind !== 'text') return 'json';
  if (value === undefined) return f.kind;
  switch (f.kind) {
    case 'text':
      return typeof value === 'string' || typeof value === 'number' ? 'text' : 'json';
    case 'number':
    case 'integer':
      return typeof value === 'number' ? f.kind : 'json';
    case 'boolean':
      return typeof value === 'boolean' ? 'boolean' : 'json';
    case 'choice':
      return f.schema.enum?.some((v) => JSON.stringify(v) === JSON.stringify(value)) ? 'choice' : 'json';
    case 'list':
      return lines(value) === undefined ? 'json' : 'list';
    default:
      return 'json';
  }
}

// About says what a parameter is and must be.
function About({ field: f }: { field: Field }) {
  const { t } = useI18n();
  const s = f.schema;
  const facts = [
    ...(f.kind === 'list' ? [t('param.lines')] : []),
    ...(f.kind === 'json' || (f.secret && f.kind !== 'text') ? [t('param.json')] : []),
    ...(f.kind === 'choice' ? [] : rules(s).map(visible)),
    ...(s.default === undefined || f.kind === 'boolean' ? [] : [t('param.default', { value: short(s.default) })]),
  ];
  const about = s.description ?? s.title ?? '';
  return (
    <>
      {about && <Plain text={about} />}
      {about && facts.length > 0 && ' · '}
      {facts.join(' · ')}
    </>
  );
}
