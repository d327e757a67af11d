import { useQuery } from '@tanstack/react-query';
import { TextInput } from '@mantine/core';
import { Fragment, useEffect, useState, type ReactNode } from 'react';
import { get } from '../api/client';
import { useI18n } from '../i18n';
import { Empty, Failure, PageHead, Section } from '../ui/parts';
import { answersOf, curlOf, exampleOf, exampleOfParameter, groupsOf, nameOf, targetOf, type Content, type Document, type Entry, type Schema } from './document';

// The document is read from the daemon and shown as it is: there is one description of the API. Its
// words are English in both languages.
export default function Docs() {
  const { t } = useI18n();
  const [filter, setFilter] = useState('');
  const doc = useQuery({ queryKey: ['openapi'], queryFn: () => get<Document>('/api/openapi.json') });
  useTarget(doc.data !== undefined);
  if (doc.error) {
    return (
      <main className="page">
        <Failure error={doc.error} retry={() => void doc.refetch()} />
      </main>
    );
  }
  if (!doc.data) return <main className="page" aria-busy="true" />;
  const groups = groupsOf(doc.data, filter);
  return (
    <main className="page docs">
      <PageHead title={t('docs')} sub={<Words text={doc.data.info.description} />}>
        <a className="act with-text" href="/api/openapi.json" download="queuemgr-openapi.json">
          {t('docs.download')}
        </a>
      </PageHead>
      <p className="docs-login">{t('docs.login')}</p>
      <TextInput type="search" aria-label={t('docs.filter')} placeholder={t('docs.filter')} value={filter} onChange={(e) => setFilter(e.currentTarget.value)} />
      {groups.length === 0 && <Empty>{t('docs.none')}</Empty>}
      {groups.map((g) => (
        <Section key={g.name} title={g.name}>
          <p className="dim docs-about" lang="en">
            <Words text={g.about} />
          </p>
          {g.operations.map((op) => (
            <OperationEntry key={op.operationId} doc={doc.data} op={op} />
          ))}
        </Section>
      ))}
      {filter === '' && (
        <Section title={t('docs.types')}>
          {Object.entries(doc.data.components.schemas).map(([name, s]) => (
            <details key={name} className="docs-entry" id={`type-${name}`}>
              <summary>
                <span className="mono">{name}</span>
                <span className="dim" lang="en">
                  <Words text={s.description} />
                </span>
              </summary>
              <div className="docs-body">
                <Fields schema={s} />
              </div>
            </details>
          ))}
        </Section>
      )}
    </main>
  );
}

// useTarget opens what the address points to, also when it is opened from a link on the page.
function useTarget(ready: boolean) {
  useEffect(() => {
    if (!ready) return;
    const show = () => {
      const target = document.getElementById(targetOf(location.hash));
      if (!(target instanceof HTMLDetailsElement)) return;
      target.open = true;
      target.scrollIntoView();
      target.querySelector('summary')?.focus();
    };
    show();
    window.addEventListener('hashchange', show);
    return () => window.removeEventListener('hashchange', show);
  }, [ready]);
}

function OperationEntry({ doc, op }: { doc: Document; op: Entry }) {
  const { t } = useI18n();
  const [open, setOpen] = useState(false);
  return (
    <details className="docs-entry" id={op.operationId} onToggle={(e) => setOpen(e.currentTarget.open)}>
      <summary>
        <span className={`docs-method mono ${op.method}`}>{op.method.toUpperCase()}</span>
        <span className="docs-path mono">{op.path}</span>
        <span className="dim grow" lang="en">
          {op.summary}
        </span>
        <span className="badge">{op['x-role'] ?? t('docs.open')}</span>
      </summary>
      {open && <OperationBody doc={doc} op={op} />}
    </details>
  );
}

function OperationBody({ doc, op }: { doc: Document; op: Entry }) {
  const { t } = useI18n();
  const answers = answersOf(doc, op);
  const good = answers.filter(([status]) => status < '300');
  const bad = answers.filter(([status]) => status >= '300');
  return (
    <div className="docs-body">
      {op.description && (
        <p lang="en">
          <Words text={op.description} />
        </p>
      )}
      <Code label={t('docs.ask')} text={curlOf(op, location.origin)} />
      {op.parameters && (
        <Table label={t('docs.params')} head={[t('docs.name'), t('docs.in'), t('docs.type'), t('docs.about'), t('docs.example')]}>
          {op.parameters.map((p) => (
            <tr key={`${p.in} ${p.name}`}>
              <Name name={p.name} required={p.required ?? false} />
              <td>{p.in}</td>
              <td>
                <Type schema={p.schema} />
              </td>
              <td lang="en">
                <Words text={p.description} />
              </td>
              <td className="mono">{exampleOfParameter(p)}</td>
            </tr>
          ))}
        </Table>
      )}
      {op.requestBody && <Contents title={t(op.requestBody.required ? 'docs.body' : 'docs.body.optional')} content={op.requestBody.content} />}
      {good.map(([status, a]) => (
        <Contents key={status} title={t('docs.answer', { status, text: a.description ?? '' })} content={a.content ?? {}} />
      ))}
      <Table label={t('docs.errors')} head={[t('docs.status'), t('docs.about'), t('docs.example')]}>
        {bad.map(([status, a]) => {
          const p = Object.values(Object.values(a.content ?? {})[0]?.examples ?? {})[0]?.value as { detail?: string } | undefined;
          return (
            <tr key={status}>
              <th scope="row" className="num">
                {status}
              </th>
              <td lang="en">{a.description}</td>
              <td lang="en" className="dim">
                {p?.detail}
              </td>
            </tr>
          );
        })}
      </Table>
    </div>
  );
}

function Contents({ title, content }: { title: string; content: Readonly<Record<string, Content>> }) {
  const kinds = Object.entries(content);
  return (
    <>
      <h3>{title}</h3>
      {kinds.map(([kind, c]) => (
        <Fragment key={kind}>
          <p>
            <span className="mono">{kind}</span> <Type schema={c.schema} />
          </p>
          {Object.entries(c.examples ?? {}).map(([name, e]) => (
            <Code key={name} label={`${kind} ${name}`} text={exampleOf(e)} />
          ))}
        </Fragment>
      ))}
    </>
  );
}

function Fields({ schema }: { schema: Schema }) {
  const { t } = useI18n();
  if (!schema.properties) {
    return (
      <p>
        <Type schema={schema} />
      </p>
    );
  }
  return (
    <Table label={t('docs.fields')} head={[t('docs.name'), t('docs.type'), t('docs.about')]}>
      {Object.entries(schema.properties).map(([name, s]) => (
        <tr key={name}>
          <Name name={name} required={schema.required?.includes(name) ?? false} />
          <td>
            <Type schema={s} />
          </td>
          <td lang="en">
            <Words text={s.description} />
          </td>
        </tr>
      ))}
    </Table>
  );
}

function Name({ name, required }: { name: string; required: boolean }) {
  const { t } = useI18n();
  return (
    <th scope="row" className="mono">
      {name}
      {required && <span className="docs-required">{t('docs.required')}</span>}
    </th>
  );
}

// Type names a schema; what has a name of its own is linked.
function Type({ schema }: { schema: Schema }): ReactNode {
  const name = nameOf(schema);
  if (name) return <a href={`#type-${name}`}>{name}</a>;
  if (schema.oneOf) return <span>{schema.oneOf.map((s, i) => <Fragment key={i}>{i > 0 && ' | '}<Type schema={s} /></Fragment>)}</span>;
  if (schema.items?.enum) return <span className="mono docs-enum">{`(${schema.items.enum.join(' | ')})[]`}</span>;
  if (schema.type === 'array') return <span><Type schema={schema.items ?? {}} />[]</span>;
  if (schema.enum) return <span className="mono docs-enum">{schema.enum.join(' | ')}</span>;
  if (typeof schema.additionalProperties === 'object') return <span>{'{…: '}<Type schema={schema.additionalProperties} />{'}'}</span>;
  return <span>{[schema.type ?? 'JSON', schema.format === 'date-time' ? 'RFC 3339' : ''].filter(Boolean).join(', ')}</span>;
}

function Table({ label, head, children }: { label: string; head: readonly string[]; children: ReactNode }) {
  return (
    <>
      <h3>{label}</h3>
      <div className="docs-scroll" tabIndex={0} role="region" aria-label={label}>
        <table className="plain-table">
          <thead>
            <tr>
              {head.map((h) => (
                <th key={h} scope="col">
                  {h}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>{children}</tbody>
        </table>
      </div>
    </>
  );
}

function Code({ label, text }: { label: string; text: string }) {
  return (
    <pre className="code" tabIndex={0} role="region" aria-label={label}>
      {text}
    </pre>
  );
}

// Words shows text of the document: what stands in backticks is code.
function Words({ text }: { text?: string | undefined }) {
  return <>{(text ?? '').split('`').map((part, i) => (i % 2 === 1 ? <code key={i}>{part}</code> : part))}</>;
}
