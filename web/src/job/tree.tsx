import { useState } from 'react';
import { useI18n } from '../i18n';
import { Plain } from '../ui/plain';

// most entries of one object or list that are shown before one asks for the rest.
const most = 100;

// Tree shows any JSON value; objects and lists open and close.
export function Tree({ value }: { value: unknown }) {
  return (
    <div className="tree mono">
      <Node value={value} depth={0} />
    </div>
  );
}

function Node({ name, value, depth }: { name?: string; value: unknown; depth: number }) {
  const { t } = useI18n();
  const [all, setAll] = useState(false);
  const label = name === undefined ? null : <Plain className="tree-key" text={name} />;
  if (typeof value !== 'object' || value === null) {
    return (
      <div className="tree-leaf">
        {label}
        <Leaf value={value} />
      </div>
    );
  }
  const list = Array.isArray(value);
  const entries = Object.entries(value);
  return (
    <details open={depth < 2}>
      <summary>
        {label}
        <span className="faint">{list ? `[${entries.length}]` : `{${entries.length}}`}</span>
      </summary>
      {(all ? entries : entries.slice(0, most)).map(([k, v]) => (
        <Node key={k} name={k} value={v} depth={depth + 1} />
      ))}
      {!all && entries.length > most && (
        <button type="button" className="link" onClick={() => setAll(true)}>
          {t('tree.more', { n: entries.length - most })}
        </button>
      )}
    </details>
  );
}

function Leaf({ value }: { value: unknown }) {
  if (typeof value === 'string') return <Plain className="tree-string" text={value} />;
  return <span className={value === null ? 'faint' : 'tree-other'}>{String(value)}</span>;
}
