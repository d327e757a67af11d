import { ended, live, states as allStates, waiting, type Filter, type State } from '../api/types';
import type { Params } from '../api/client';

// Query is which jobs a list shows. Its text form is what people type and what the URL keeps:
//   state:failed,stopped queue:mail tag:nightly type:shell owner:ada id:3,5-8 since:24h words
export interface Query {
  states: State[];
  queues: string[];
  types: string[];
  tags: string[];
  owner: string;
  ids: string[]; // numbers and ranges
  reasons: string[];
  exits: string[]; // exit codes
  since: string;
  until: string;
  words: string; // part of name or command
}

export const emptyQuery: Query = { states: [], queues: [], types: [], tags: [], owner: '', ids: [], reasons: [], exits: [], since: '', until: '', words: '' };

const groups: Readonly<Record<string, readonly State[]>> = { waiting, live, ended };
export const reasons = ['exit', 'signal', 'timeout', 'oom', 'spawn', 'lost', 'user', 'shutdown'] as const;

// fields are the words before a colon, as completion offers them.
export const fields = ['state', 'queue', 'tag', 'type', 'owner', 'id', 'reason', 'exit', 'since', 'until'] as const;
export type Field = (typeof fields)[number];

const lists: Partial<Record<Field, 'queues' | 'tags' | 'types' | 'reasons' | 'exits'>> = { queue: 'queues', tag: 'tags', type: 'types', reason: 'reasons', exit: 'exits' };

export interface Wrong {
  word: string;
  field: Field;
}

// split cuts text into words; quotes keep spaces together.
function split(text: string): string[] {
  return text.match(/(?:[^\s"]+|"[^"]*"?)+/g) ?? [];
}

const unquote = (s: string) => s.replaceAll('"', '');
const add = <V,>(list: V[], values: readonly V[]) => [...list, ...values.filter((v) => !list.includes(v))];

// parseQuery reads text. What it can't read is named and left out, so that half a word does no harm.
export function parseQuery(text: string): { query: Query; wrong: Wrong[] } {
  const q: Query = { ...emptyQuery };
  const wrong: Wrong[] = [];
  const words: string[] = [];
  for (const word of split(text)) {
    const colon = word.indexOf(':');
    const field = word.slice(0, Math.max(colon, 0)).toLowerCase() as Field;
    if (colon < 1 || !fields.includes(field)) {
      words.push(unquote(word));
      continue;
    }
    const values = unquote(word.slice(colon + 1)).split(',').filter(Boolean);
    if (values.length === 0) continue;
    const bad = (ok: (v: string) => boolean) => {
      for (const v of values.filter((v) => !ok(v))) wrong.push({ word: v, field });
      return values.filter(ok);
    };
    const list = lists[field];
    if (field === 'state') {
      const known = bad((v) => v in groups || v === 'deleted' || (allStates as readonly string[]).includes(v));
      q.states = known.reduce((l, v) => add(l, groups[v] ?? [v as State]), q.states);
    } else if (field === 'id') {
      q.ids = add(q.ids, bad((v) => /^\d{1,15}(-\d{1,15})?$/.test(v)));
    } else if (field === 'exit') {
      q.exits = add(q.exits, bad((v) => /^\d{1,3}$/.test(v)));
    } else if (field === 'reason') {
      q.reasons = add(q.reasons, bad((v) => (reasons as readonly string[]).includes(v)));
    } else if (field === 'since' || field === 'until') {
      q[field] = bad(isTime).at(-1) ?? q[field];
    } else if (field === 'owner') {
      q.owner = values.at(-1) ?? '';
    } else if (list) {
      q[list] = add(q[list], values);
    }
  }
  q.words = words.join(' ').trim();
  return { query: q, wrong };
}

// isTime takes what the server takes: a duration ago (90s, 24h, 7d) or a date with or without a time.
function isTime(v: string): boolean {
  return /^\d+(\.\d+)?(s|m|h|d|w)$/.test(v) || (/^\d{4}-\d\d-\d\d/.test(v) && !Number.isNaN(Date.parse(v)));
}

const quoted = (v: string) => (/\s/.test(v) ? `"${v}"` : v);

export function formatQuery(q: Query): string {
  const parts: string[] = [];
  const list = (name: Field, values: readonly string[]) => values.length > 0 && parts.push(`${name}:${values.map(quoted).join(',')}`);
  list('state', shortStates(q.states));
  list('queue', q.queues);
  list('type', q.types);
  list('tag', q.tags);
  list('owner', q.owner ? [q.owner] : []);
  list('id', q.ids);
  list('reason', q.reasons);
  list('exit', q.exits);
  list('since', q.since ? [q.since] : []);
  list('until', q.until ? [q.until] : []);
  if (q.words) parts.push(q.words);
  return parts.join(' ');
}

// shortStates writes a whole group by its name.
export function shortStates(list: readonly State[]): string[] {
  let rest = [...list];
  const out: string[] = [];
  for (const [name, members] of Object.entries(groups)) {
    if (members.every((m) => rest.includes(m))) {
      out.push(name);
      rest = rest.filter((s) => !members.includes(s));
    }
  }
  return [...out, ...rest];
}

const unit: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

// moment turns a time as typed into RFC 3339.
export function moment(v: string, now: number): string | undefined {
  if (!v) return undefined;
  const m = /^(\d+(?:\.\d+)?)([smhdw])$/.exec(v);
  const at = m ? now - Number(m[1]) * (unit[m[2] ?? 's'] ?? 1) * 1000 : Date.parse(v);
  return Number.isNaN(at) ? undefined : new Date(at).toISOString();
}

// toParams is the query of GET /api/jobs. Times are rounded to the minute, so that a list asked for
// twice is the same list.
export function toParams(q: Query, now: number): Params {
  const minute = Math.floor(now / 60_000) * 60_000;
  return {
    state: q.states,
    queue: q.queues,
    type: q.types,
    tag: q.tags,
    owner: q.owner,
    select: q.ids,
    reason: q.reasons,
    exit_code: q.exits,
    since: moment(q.since, minute),
    until: moment(q.until, minute),
    text: q.words,
  };
}

// toFilter is the same for an action on all that the query selects.
export function toFilter(q: Query, now: number): Filter {
  const f: Filter = {};
  if (q.states.length) f.states = q.states;
  if (q.queues.length) f.queues = q.queues;
  if (q.types.length) f.types = q.types;
  if (q.tags.length) f.tags = q.tags;
  if (q.owner) f.owner = q.owner;
  if (q.ids.length) {
    f.ids = q.ids.map((r) => {
      const [from = '0', to = from] = r.split('-');
      return { from: Number(from), to: Number(to) };
    });
  }
  if (q.reasons.length) f.reasons = q.reasons as NonNullable<Filter['reasons']>;
  if (q.exits.length) f.exit_codes = q.exits.map(Number);
  if (q.since) f.since = moment(q.since, now);
  if (q.until) f.until = moment(q.until, now);
  if (q.words) f.text = q.words;
  return f;
}

// ranges writes numbers as a filter's ranges.
export function ranges(ids: Iterable<number>): { from: number; to: number }[] {
  const out: { from: number; to: number }[] = [];
  for (const id of [...ids].sort((a, b) => a - b)) {
    const last = out.at(-1);
    if (last && id === last.to + 1) last.to = id;
    else if (!last || id > last.to) out.push({ from: id, to: id });
  }
  return out;
}

// complete offers ends for the word that is being typed at the end of text.
export function complete(text: string, known: Partial<Record<Field, readonly string[]>>): string[] {
  const word = /\S*$/.exec(text)?.[0] ?? '';
  const before = text.slice(0, text.length - word.length);
  const colon = word.indexOf(':');
  if (colon < 0) {
    if (word === '') return [];
    return fields.filter((f) => f.startsWith(word.toLowerCase()) && f !== word).map((f) => `${before}${f}:`);
  }
  const field = word.slice(0, colon) as Field;
  const values = word.slice(colon + 1).split(',');
  const part = values.pop() ?? '';
  const head = `${before}${field}:${values.map((v) => `${v},`).join('')}`;
  return (known[field] ?? []).filter((v) => v.startsWith(part) && v !== part && !values.includes(v)).slice(0, 12).map((v) => head + v);
}
