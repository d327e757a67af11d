import { useVirtualizer } from '@tanstack/react-virtual';
import { memo, useCallback, useEffect, useLayoutEffect, useMemo, useReducer, useRef, useState } from 'react';
import { useConnections, useLogSize, useWatch } from '../feed/live';
import { useI18n } from '../i18n';
import { Icon } from '../ui/icons';
import { useKeys } from '../ui/keys';
import { Act, Failure } from '../ui/parts';
import { visible } from '../ui/plain';
import { toast, toastError } from '../ui/toast';
import { parseLine } from './ansi';
import { find, findTrouble, logUrl, readLog, type Which } from './source';
import { LogWindow, type Line } from './window';

const lineHeight = 18;

// LogViewer shows one log of a job, of any size: it reads the part in sight, and follows the end.
export function LogViewer({ which, live }: { which: Which; live: boolean }) {
  const { t, f } = useI18n();
  const { id, attempt, stream } = which;
  const [version, redraw] = useReducer((n: number) => n + 1, 0);
  const [error, setError] = useState<unknown>();
  const [follow, setFollow] = useState(true);
  const [wrap, setWrap] = useState(() => localStorage.getItem('queuemgr.wrap') === '1');
  const [words, setWords] = useState('');
  const [hit, setHit] = useState<number>();
  const [seeking, setSeeking] = useState(false);
  const scroller = useRef<HTMLDivElement>(null);
  const field = useRef<HTMLInputElement>(null);
  const stop = useRef(new AbortController());
  const win = useMemo(() => new LogWindow((offset, limit) => readLog({ id, attempt, stream }, offset, limit)), [id, attempt, stream]);
  const following = useRef(follow);
  following.current = follow;

  const virtual = useVirtualizer({
    count: win.lines.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => lineHeight,
    getItemKey: (i) => win.lines[i]?.at ?? i,
    overscan: 30,
  });
  // While following, the end is in sight after each change; else what is in sight stays, and lines
  // that came or went above it move the place by as much.
  const shift = useRef(0);
  useLayoutEffect(() => {
    const el = scroller.current;
    if (!el) return;
    if (follow) el.scrollTop = el.scrollHeight;
    else if (shift.current !== 0) el.scrollTop += shift.current;
    shift.current = 0;
  }, [version, follow, wrap]);

  // What came well clears what went wrong before.
  const drawn = useCallback(() => {
    setError(undefined);
    redraw();
  }, []);
  const openEnd = useCallback(() => win.openEnd().then(drawn, setError), [win, drawn]);
  // Open at the end, whatever the size.
  useEffect(() => {
    const abort = stop;
    abort.current = new AbortController();
    void openEnd();
    return () => abort.current.abort();
  }, [openEnd]);

  // What the feed says of the log's growth.
  useWatch(useMemo(() => [], []), useMemo(() => (live ? [id] : []), [live, id]));
  const told = useLogSize(id);
  const size = told && told.attempt === attempt ? (stream === 'stderr' ? (told.stderr_size ?? 0) : told.size) : 0;
  const complete = told?.attempt === attempt && told.complete === true;
  const reading = useRef(false);
  const readOn = useCallback(async () => {
    if (reading.current) return;
    reading.current = true;
    try {
      do {
        await win.newer();
        drawn();
      } while (following.current && !win.atEnd);
    } catch (e) {
      setError(e);
    } finally {
      reading.current = false;
    }
  }, [win, drawn]);
  // The feed tells of a live log only. What was written while the connection was lost, or before the
  // job's end was told, is asked for.
  const connections = useConnections();
  const seen = useRef({ connections, live });
  useEffect(() => {
    const before = seen.current;
    seen.current = { connections, live };
    if (before.connections !== connections || before.live !== live) void (win.size > 0 ? readOn() : openEnd());
  }, [connections, live, win, readOn, openEnd]);
  useEffect(() => {
    if (size <= win.size && !complete) return;
    const wasAtEnd = win.atEnd;
    win.size = Math.max(win.size, size);
    if (follow && win.size - win.end > 2 << 20) {
      // It ran away: what is in between is left out and can be scrolled to.
      void openEnd();
    } else if (follow || wasAtEnd) {
      void readOn();
    } else {
      redraw();
    }
  }, [size, complete, follow, win, readOn, openEnd]);

  // More at either end as one comes near it.
  const loading = useRef(false);
  const lastTop = useRef(0);
  const onScroll = () => {
    const el = scroller.current;
    if (!el) return;
    const up = el.scrollTop < lastTop.current;
    lastTop.current = el.scrollTop;
    const bottom = el.scrollHeight - el.scrollTop - el.clientHeight;
    if (up && bottom > 60 && follow) setFollow(false);
    if (!up && bottom < 4 && win.atEnd && !follow) setFollow(true);
    if (loading.current || following.current) return;
    if (el.scrollTop < 2000 && !win.atStart) {
      loading.current = true;
      void win
        .older()
        .then((n) => {
          shift.current += n * lineHeight;
          drawn();
        }, setError)
        .finally(() => (loading.current = false));
    } else if (bottom < 2000 && !win.atEnd) {
      loading.current = true;
      void win
        .newer()
        .then((over) => {
          shift.current -= over * lineHeight;
          drawn();
        }, setError)
        .finally(() => (loading.current = false));
    }
  };

  const show = useCallback(
    async (offset: number) => {
      setFollow(false);
      const index = await win.openAt(offset);
      redraw();
      requestAnimationFrame(() => virtual.scrollToIndex(index, { align: 'center' }));
    },
    [win, virtual],
  );
  const items = virtual.getVirtualItems();
  const topLine = win.lines[virtual.range?.startIndex ?? 0];
  const position = topLine?.at ?? 0;

  const seek = async (look: (stop: AbortSignal) => Promise<number | undefined>) => {
    stop.current.abort();
    const abort = new AbortController();
    stop.current = abort;
    setSeeking(true);
    try {
      const at = await look(abort.signal);
      if (abort.signal.aborted) return;
      if (at === undefined) {
        toast(t('log.notFound'));
      } else {
        setHit(at);
        await show(at);
      }
    } catch (e) {
      if (!abort.signal.aborted) toastError(e);
    } finally {
      if (stop.current === abort) setSeeking(false);
    }
  };
  const search = (backwards: boolean) => {
    const text = words.trim();
    if (!text) return;
    const from = hit === undefined ? (backwards ? win.size : 0) : backwards ? hit : hit + 1;
    void seek((s) => find(which, text, from, backwards, s));
  };
  // The last error first, then those before it; or the first one, and those behind it.
  const trouble = (backwards: boolean) => void seek((s) => findTrouble(which, hit === undefined ? (backwards ? win.size : 0) : backwards ? hit : hit + 1, backwards, s));
  const goEnd = () => {
    setFollow(true);
    setHit(undefined);
    if (!win.atEnd || error !== undefined) void openEnd();
  };
  const toggleWrap = () => {
    localStorage.setItem('queuemgr.wrap', wrap ? '0' : '1');
    setWrap(!wrap);
    virtual.measure();
  };
  useKeys({ f: () => (follow ? setFollow(false) : goEnd()), w: toggleWrap, e: () => trouble(true), E: () => trouble(false), l: () => field.current?.focus() });

  const digits = win.firstNumber === undefined ? 0 : String(win.firstNumber + win.lines.length).length;
  const needle = words.trim().toLowerCase();
  return (
    <div className="log" data-at-end={win.atEnd}>
      <div className="log-bar" role="toolbar" aria-label={t('log')}>
        <div className="log-search">
          <Icon name="search" size={14} />
          <input
            ref={field}
            type="text"
            aria-label={t('log.search')}
            placeholder={t('log.search')}
            value={words}
            spellCheck={false}
            onChange={(e) => {
              setWords(e.currentTarget.value);
              setHit(undefined);
            }}
            onKeyDown={(e) => {
              if (e.key === 'Enter') search(!e.shiftKey);
              if (e.key === 'Escape') e.currentTarget.blur();
            }}
          />
          <Act icon="up" label={t('log.previous')} disabled={!needle} onClick={() => search(true)} />
          <Act icon="down" label={t('log.next')} disabled={!needle} onClick={() => search(false)} />
        </div>
        <span className="grow" />
        {seeking && (
          <button type="button" className="link" onClick={() => stop.current.abort()}>
            {t('log.searching')}
          </button>
        )}
        <Act icon="bug" label={t('log.error')} keys="e" onClick={() => trouble(true)} />
        <Act icon="first" label={t('log.firstError')} keys="E" onClick={() => trouble(false)} />
        <Act icon="wrap" label={t('log.wrap')} keys="w" pressed={wrap} onClick={toggleWrap} />
        <Act icon="follow" label={t('log.follow')} keys="f" pressed={follow} onClick={() => (follow ? setFollow(false) : goEnd())} />
        <a className="act" href={logUrl(which, { download: true })} download aria-label={t('log.download')} title={t('log.download')}>
          <Icon name="download" />
        </a>
      </div>
      {error !== undefined && <Failure error={error} retry={goEnd} />}
      <div ref={scroller} className={wrap ? 'log-lines wrap' : 'log-lines'} tabIndex={0} role="log" aria-live="off" aria-label={t('log.of', { id: String(id) })} onScroll={onScroll}>
        <div className="log-space" style={{ height: virtual.getTotalSize() }}>
          {items.map((item) => {
            const line = win.lines[item.index];
            return (
              line && (
                <div
                  key={item.key}
                  ref={wrap ? virtual.measureElement : undefined}
                  data-index={item.index}
                  className={hit !== undefined && hit >= line.at && hit < line.end ? 'log-line hit' : 'log-line'}
                  style={{ transform: `translateY(${item.start}px)` }}
                >
                  {digits > 0 && (
                    <span className="log-n" aria-hidden="true">
                      {String((win.firstNumber ?? 1) + item.index).padStart(digits)}
                    </span>
                  )}
                  <LogText line={line} needle={needle} />
                </div>
              )
            );
          })}
        </div>
        {win.lines.length === 0 && error === undefined && <div className="log-empty">{t(live ? 'log.waiting' : 'log.empty')}</div>}
      </div>
      <div className="log-foot">
        <span className="num dim">{t('log.position', { at: f.bytes(follow ? win.size : position), size: f.bytes(win.size) })}</span>
        <input
          type="range"
          className="log-range"
          aria-label={t('log.range')}
          min={0}
          max={Math.max(1, win.size)}
          step={1}
          value={follow ? win.size : position}
          onChange={(e) => void show(Number(e.currentTarget.value)).catch(setError)}
        />
      </div>
    </div>
  );
}

// LogText is one line: spans with classes, and marks where the search's words are.
const LogText = memo(function LogText({ line, needle }: { line: Line; needle: string }) {
  const { spans } = parseLine(line.text, line.style);
  return (
    <bdi className="log-text">
      {spans.map((s, i) => (
        <span key={i} className={s.className || undefined}>
          {needle ? marked(visible(s.text), needle) : visible(s.text)}
        </span>
      ))}
      {line.cut && <span className="log-cut">⏎</span>}
    </bdi>
  );
});

function marked(text: string, needle: string) {
  const out: (string | React.JSX.Element)[] = [];
  const lower = text.toLowerCase();
  let at = 0;
  for (let i = lower.indexOf(needle); i >= 0 && out.length < 200; i = lower.indexOf(needle, at)) {
    out.push(text.slice(at, i), <mark key={i}>{text.slice(i, i + needle.length)}</mark>);
    at = i + needle.length;
  }
  out.push(text.slice(at));
  return out;
}
