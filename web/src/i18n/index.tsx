import { createContext, useContext, useEffect, useMemo, useState, type ReactNode } from 'react';
import { en, type Dictionary, type Key, type Plural } from './en';
import { ru } from './ru';
import { formatters, type Format } from './format';
import { visible } from '../ui/plain';

export type Lang = 'en' | 'ru';
export type Words = Readonly<Record<string, string | number>>;
export type T = (key: Key, words?: Words) => string;

const dictionaries: Record<Lang, Dictionary> = { en, ru };

// translate fills {words} in, which are text that somebody may have written: see visible. A text with plural forms takes the one for words.n.
export function translate(lang: Lang, key: Key, words: Words = {}, number = (n: number) => String(n)): string {
  const entry: string | Plural = dictionaries[lang][key];
  let text: string;
  if (typeof entry === 'string') {
    text = entry;
  } else {
    const form = new Intl.PluralRules(lang).select(Number(words['n'] ?? 0));
    text = entry[form as keyof Plural] ?? entry.other;
  }
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const w = words[name];
    return w === undefined ? whole : typeof w === 'number' ? number(w) : visible(w);
  });
}

interface I18n {
  lang: Lang;
  setLang: (l: Lang) => void;
  t: T;
  f: Format;
}

const Context = createContext<I18n | null>(null);
const stored = 'queuemgr.lang';

// chosenLang is the language that was chosen here, else the browser's.
export function chosenLang(): Lang {
  let wish = navigator.language;
  try {
    wish = localStorage.getItem(stored) ?? wish;
  } catch {
    // The browser keeps nothing for this page.
  }
  return wish.startsWith('ru') ? 'ru' : 'en';
}

export function I18nProvider({ children }: { children: ReactNode }) {
  const [lang, setLang] = useState<Lang>(chosenLang);
  useEffect(() => {
    document.documentElement.lang = lang;
    localStorage.setItem(stored, lang);
  }, [lang]);
  const value = useMemo<I18n>(() => {
    const t: T = (key, words) => translate(lang, key, words, f.number);
    const f: Format = formatters(lang, (key, words) => translate(lang, key, words));
    return { lang, setLang, t, f };
  }, [lang]);
  return <Context.Provider value={value}>{children}</Context.Provider>;
}

export function useI18n(): I18n {
  const c = useContext(Context);
  if (!c) throw new Error('useI18n outside of its provider');
  return c;
}
