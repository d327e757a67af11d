import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { states } from '../api/types';
import { en, type Plural } from './en';
import { formatters } from './format';
import { translate, type T } from '.';
import { ru } from './ru';

const forms = (x: string | Plural) => (typeof x === 'string' ? [x] : Object.values(x).filter((v) => v !== undefined));
const words = (s: string) => (s.match(/\{\w+\}/g) ?? []).sort();

test('both languages have every text, with the same words filled in', () => {
  expect(Object.keys(ru).sort()).toEqual(Object.keys(en).sort());
  for (const key of Object.keys(en) as (keyof typeof en)[]) {
    for (const form of forms(ru[key])) {
      expect(words(form), key).toEqual(words(forms(en[key])[0] ?? ''));
      expect(form.trim(), key).not.toBe('');
    }
    if (typeof en[key] !== 'string') for (const form of ['one', 'few', 'many'] as const) expect((ru[key] as Plural)[form], `${key}.${form}`).toBeTruthy();
  }
});

test('Russian is Russian', () => {
  const same = (Object.keys(en) as (keyof typeof en)[]).filter((k) => JSON.stringify(en[k]) === JSON.stringify(ru[k]));
  expect(same).toEqual([]);
});

test('plural forms', () => {
  const said = [1, 2, 5, 11, 21, 22, 1000].map((n) => translate('ru', 'jobs.count', { n }));
  expect(said).toEqual(['1 задание', '2 задания', '5 заданий', '11 заданий', '21 задание', '22 задания', '1000 заданий']);
  expect([0, 1, 2].map((n) => translate('en', 'jobs.count', { n }))).toEqual(['0 jobs', '1 job', '2 jobs']);
});

test('every state and its group have a name', () => {
  for (const s of states) expect(en).toHaveProperty([`state.${s}`]);
});

test('every text is used, and no component has words of its own', () => {
  const root = join(__dirname, '..');
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((f) => /\.tsx?$/.test(f) && !/\.test\.|schema\.d|i18n\/(en|ru)/.test(f));
  const source = files.map((f) => readFileSync(join(root, f), 'utf8'));
  const all = source.join('\n');
  const templates = [...all.matchAll(/t\(`([\w.]*)\$\{[^`]*?\}([\w.]*)`/g)].map((m) => [m[1] ?? '', m[2] ?? ''] as const);
  const unused = Object.keys(en).filter((k) => !all.includes(`'${k}'`) && !templates.some(([a, b]) => k.startsWith(a) && k.endsWith(b)));
  expect(unused).toEqual([]);
  // Text between tags that is not in braces, and labels that are plain strings.
  const own = files.flatMap((f, i) =>
    f.endsWith('.tsx') ? [...(source[i] ?? '').matchAll(/>\s*([A-Z][a-z]+ [^<>{}=;()]*)<\/|(?:aria-label|title|placeholder|label)="([A-Z][a-z][^"]*)"/g)].map((m) => `${f}: ${m[1] ?? m[2]}`) : [],
  );
  expect(own).toEqual([]);
});

test('durations and sizes', () => {
  const f = formatters('en', ((key, w) => translate('en', key, w)) as T);
  expect([0, 0.0124, 2.36, 59, 61, 3661, 90_000].map(f.duration)).toEqual(['0 s', '12 ms', '2.3 s', '59 s', '1 m 01 s', '1 h 01 m', '1 d 1 h']);
  expect([0, 999, 1000, 1536, 5 << 20, 3 * 2 ** 30].map(f.bytes)).toEqual(['0 B', '999 B', '1 KiB', '1.5 KiB', '5 MiB', '3 GiB']);
});

test('what is filled in cannot turn a text around', () => {
  expect(translate('en', 'tokens.revoke.ask', { name: 'a\u202eb' })).toBe('Revoke token a⟨U+202E⟩b?');
});
