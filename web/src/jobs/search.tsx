import { useEffect, useId, useRef, useState } from 'react';
import { states } from '../api/types';
import { useStatus } from '../feed/live';
import { useI18n } from '../i18n';
import { Icon } from '../ui/icons';
import { Plain } from '../ui/plain';
import { complete, parseQuery, reasons } from './query';

// Search is the query's text with completion. What is typed counts after a short pause, or at Enter.
export function Search({ text, onChange, focus }: { text: string; onChange: (text: string) => void; focus: number }) {
  const { t } = useI18n();
  const [draft, setDraft] = useState(text);
  const [open, setOpen] = useState(false);
  const [at, setAt] = useState(-1);
  const input = useRef<HTMLInputElement>(null);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const list = useId();
  const queues = useStatus()?.queues.map((q) => q.name) ?? [];

  const [seen, setSeen] = useState(text);
  if (text !== seen) {
    setSeen(text);
    if (text !== draft.trim()) setDraft(text);
  }
  useEffect(() => {
    if (focus > 0) {
      input.current?.focus();
      input.current?.select();
    }
  }, [focus]);
  useEffect(() => () => clearTimeout(timer.current), []);

  const known = {
    state: ['live', 'waiting', 'ended', ...states],
    queue: queues,
    type: ['command', 'shell'],
    reason: reasons,
    since: ['1h', '24h', '7d'],
    until: ['1h', '24h', '7d'],
  };
  const offers = open ? complete(draft, known) : [];
  const wrong = parseQuery(draft).wrong;

  const change = (value: string, now = false) => {
    setDraft(value);
    setAt(-1);
    setOpen(true);
    clearTimeout(timer.current);
    if (now) onChange(value.trim());
    else timer.current = setTimeout(() => onChange(value.trim()), 250);
  };
  const take = (offer: string) => {
    change(offer);
    input.current?.focus();
  };

  return (
    <div className="search">
      <Icon name="search" />
      <input
        ref={input}
        type="text"
        role="combobox"
        aria-label={t('search')}
        aria-expanded={offers.length > 0}
        aria-controls={list}
        aria-activedescendant={at >= 0 ? `${list}-${at}` : undefined}
        aria-autocomplete="list"
        aria-invalid={wrong.length > 0}
        autoComplete="off"
        spellCheck={false}
        placeholder={t('search.placeholder')}
        value={draft}
        onChange={(e) => change(e.currentTarget.value)}
        onFocus={() => setOpen(true)}
        onBlur={() => setOpen(false)}
        onKeyDown={(e) => {
          if (e.key === 'ArrowDown' && offers.length) {
            e.preventDefault();
            setAt((at + 1) % offers.length);
          } else if (e.key === 'ArrowUp' && offers.length) {
            e.preventDefault();
            setAt((at + offers.length - 1) % offers.length);
          } else if ((e.key === 'Enter' || e.key === 'Tab') && at >= 0 && offers[at]) {
            e.preventDefault();
            take(offers[at]);
          } else if (e.key === 'Tab' && !e.shiftKey && offers.length === 1 && offers[0]) {
            e.preventDefault();
            take(offers[0]);
          } else if (e.key === 'Enter') {
            change(draft, true);
            setOpen(false);
          } else if (e.key === 'Escape') {
            if (offers.length) setOpen(false);
            else input.current?.blur();
          }
        }}
      />
      {draft === '' && <kbd className="search-key">/</kbd>}
      {draft !== '' && (
        <button type="button" className="quiet" aria-label={t('search.clear')} onClick={() => change('', true)}>
          <Icon name="close" size={14} />
        </button>
      )}
      <ul id={list} role="listbox" aria-label={t('search.offers')} className="offers" hidden={offers.length === 0}>
        {offers.map((o, i) => (
          <li key={o} id={`${list}-${i}`} role="option" aria-selected={i === at} onMouseDown={(e) => e.preventDefault()} onClick={() => take(o)}>
            <Plain text={/\S*$/.exec(o)?.[0] ?? o} />
          </li>
        ))}
      </ul>
      {wrong.length > 0 && !open && (
        <div className="search-wrong" role="alert">
          {wrong.map((w) => t('search.wrong', { word: w.word, field: w.field })).join(' ')}
        </div>
      )}
    </div>
  );
}
