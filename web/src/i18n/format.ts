import type { T } from '.';

export interface Format {
  number: (n: number) => string;
  bytes: (n: number) => string;
  // duration of seconds: 0.4 s, 12 s, 3 m 05 s, 2 h 10 m, 4 d 3 h
  duration: (seconds: number) => string;
  // ago: how long before now, or when it was where that is long
  ago: (iso: string, now: number) => string;
  time: (iso: string | number) => string;
  clock: (iso: string | number) => string;
  date: (iso: string | number) => string;
  percent: (part: number) => string;
  // share of a whole, from 0 to 1: 12 %, 0.3 %, less than 0.1 %
  share: (part: number) => string;
}

const pad = (n: number) => String(n).padStart(2, '0');

export function formatters(lang: string, t: T): Format {
  const number = new Intl.NumberFormat(lang);
  const one = new Intl.NumberFormat(lang, { maximumFractionDigits: 1 });
  const time = new Intl.DateTimeFormat(lang, { dateStyle: 'medium', timeStyle: 'medium' });
  const clock = new Intl.DateTimeFormat(lang, { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false });
  const date = new Intl.DateTimeFormat(lang, { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', hour12: false });
  const units = t('unit.bytes').split(' ');

  const duration = (seconds: number): string => {
    if (seconds < 0) return duration(0);
    if (seconds > 0 && seconds < 1) return t('unit.msOf', { n: Math.max(1, Math.round(seconds * 1000)) });
    if (seconds < 10) return `${one.format(Math.floor(seconds * 10) / 10)} ${t('unit.s')}`;
    const s = Math.floor(seconds);
    if (s < 60) return `${s} ${t('unit.s')}`;
    if (s < 3600) return `${Math.floor(s / 60)} ${t('unit.m')} ${pad(s % 60)} ${t('unit.s')}`;
    if (s < 86400) return `${Math.floor(s / 3600)} ${t('unit.h')} ${pad(Math.floor((s % 3600) / 60))} ${t('unit.m')}`;
    return `${number.format(Math.floor(s / 86400))} ${t('unit.d')} ${Math.floor((s % 86400) / 3600)} ${t('unit.h')}`;
  };

  return {
    number: (n) => number.format(n),
    bytes: (n) => {
      let i = 0;
      while (n >= 1000 && i < units.length - 1) {
        n /= 1024;
        i++;
      }
      return `${n < 10 && i > 0 ? one.format(n) : number.format(Math.round(n))} ${units[i] ?? ''}`;
    },
    duration,
    ago: (iso, now) => {
      const s = Math.round((now - Date.parse(iso)) / 1000);
      if (s < 0) return t('time.in', { time: duration(Math.max(1, -s)) });
      if (s < 2) return t('time.now');
      if (s < 60) return t('time.ago', { time: `${s} ${t('unit.s')}` });
      if (s < 3600) return t('time.ago', { time: `${Math.floor(s / 60)} ${t('unit.m')}` });
      if (s < 86400) return t('time.ago', { time: `${Math.floor(s / 3600)} ${t('unit.h')}` });
      return date.format(Date.parse(iso));
    },
    time: (iso) => time.format(typeof iso === 'number' ? iso : Date.parse(iso)),
    clock: (iso) => clock.format(typeof iso === 'number' ? iso : Date.parse(iso)),
    date: (iso) => date.format(typeof iso === 'number' ? iso : Date.parse(iso)),
    share: (part) => (part > 0 && part < 0.001 ? `< ${one.format(0.1)} %` : `${one.format(part > 0.999 && part < 1 ? 99.9 : part * 100)} %`),
    percent: (part) => `${number.format(Math.round(part))} %`,
  };
}
