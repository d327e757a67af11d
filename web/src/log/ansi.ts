// ANSI escape sequences of a job's output: colours and weights become classes, everything else that
// would move a cursor or set a title is left out. Nothing of it ever becomes markup or style.

export interface Style {
  fg: number; // 0–255, -1 the default
  bg: number;
  bold: boolean;
  dim: boolean;
  italic: boolean;
  underline: boolean;
  inverse: boolean;
  strike: boolean;
}

export interface Span {
  text: string;
  className: string;
}

export const plain: Style = { fg: -1, bg: -1, bold: false, dim: false, italic: false, underline: false, inverse: false, strike: false };

// CSI … final; OSC, DCS, PM, APC, SOS … up to BEL or ST; two-character escapes. A sequence that the
// line cuts off counts to its end.
const sequence = /\u001b\[([0-?]*)[ -/]*([@-~]|$)|\u001b[\]P^_X][^\u0007\u001b]*(?:\u0007|\u001b\\|$)|\u001b[ -/]*[0-~]?/g;

// parseLine cuts a line into spans, beginning in style; it returns the style that it ends in.
export function parseLine(line: string, style: Style): { spans: Span[]; style: Style } {
  if (!line.includes('\u001b')) return { spans: line ? [{ text: line, className: classes(style) }] : [], style };
  const spans: Span[] = [];
  let at = 0;
  const push = (text: string) => {
    if (!text) return;
    const className = classes(style);
    const last = spans.at(-1);
    if (last && last.className === className) last.text += text;
    else spans.push({ text, className });
  };
  for (const m of line.matchAll(sequence)) {
    push(line.slice(at, m.index));
    at = m.index + m[0].length;
    if (m[2] === 'm') style = sgr(style, m[1] ?? '');
  }
  push(line.slice(at));
  return { spans, style };
}

// styleAfter is the style that a line ends in.
export function styleAfter(line: string, style: Style): Style {
  return line.includes('\u001b') ? parseLine(line, style).style : style;
}

// strip is the text of a line without its sequences.
export function strip(line: string): string {
  return line.replace(sequence, '');
}

function sgr(from: Style, text: string): Style {
  if (/[<-?]/.test(text)) return from; // private: no SGR
  const s = { ...from };
  const n = text.split(/[;:]/).map((x) => (x === '' ? 0 : Number(x)));
  for (let i = 0; i < n.length; i++) {
    const c = n[i] ?? 0;
    if (c === 0) Object.assign(s, plain);
    else if (c === 1) s.bold = true;
    else if (c === 2) s.dim = true;
    else if (c === 3) s.italic = true;
    else if (c === 4) s.underline = true;
    else if (c === 7) s.inverse = true;
    else if (c === 9) s.strike = true;
    else if (c === 21 || c === 22) s.bold = s.dim = false;
    else if (c === 23) s.italic = false;
    else if (c === 24) s.underline = false;
    else if (c === 27) s.inverse = false;
    else if (c === 29) s.strike = false;
    else if (c >= 30 && c <= 37) s.fg = c - 30;
    else if (c >= 40 && c <= 47) s.bg = c - 40;
    else if (c >= 90 && c <= 97) s.fg = c - 82;
    else if (c >= 100 && c <= 107) s.bg = c - 92;
    else if (c === 39) s.fg = -1;
    else if (c === 49) s.bg = -1;
    else if (c === 38 || c === 48) {
      let colour = -1;
      if (n[i + 1] === 5) {
        colour = byte(n[i + 2]);
        i += 2;
      } else if (n[i + 1] === 2) {
        colour = nearest(byte(n[i + 2]), byte(n[i + 3]), byte(n[i + 4]));
        i += 4;
      }
      if (c === 38) s.fg = colour;
      else s.bg = colour;
    }
  }
  return s;
}

const byte = (n: number | undefined) => Math.max(0, Math.min(255, n ?? 0));

// nearest is the entry of the 256-colour cube that is closest to a colour.
function nearest(r: number, g: number, b: number): number {
  if (Math.max(r, g, b) - Math.min(r, g, b) < 10) {
    if (r < 4) return 16;
    if (r > 246) return 231;
    return 232 + Math.round(((r - 8) / 247) * 24);
  }
  const level = (v: number) => (v < 48 ? 0 : v < 115 ? 1 : Math.floor((v - 35) / 40));
  return 16 + 36 * level(r) + 6 * level(g) + level(b);
}

export function classes(s: Style): string {
  const c: string[] = [];
  const fg = s.inverse ? s.bg : s.fg;
  const bg = s.inverse ? s.fg : s.bg;
  if (fg >= 0) c.push(`f${fg}`);
  if (bg >= 0) c.push(`b${bg}`);
  if (s.inverse) {
    if (fg < 0) c.push('fi');
    if (bg < 0) c.push('bi');
  }
  if (s.bold) c.push('ab');
  if (s.dim) c.push('ad');
  if (s.italic) c.push('ai');
  if (s.underline) c.push('au');
  if (s.strike) c.push('as');
  return c.join(' ');
}
