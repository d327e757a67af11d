import { plain, styleAfter, type Style } from './ansi';

// Part is what a read of a log answers: bytes from an offset on, and how long the log is by now.
export interface Part {
  data: Uint8Array;
  offset: number;
  size: number;
}
export type Read = (offset: number, limit: number) => Promise<Part>;

export interface Line {
  at: number; // offset of its first byte
  end: number; // offset behind it, its line feed included
  text: string;
  style: Style; // that it begins in
  cut: boolean; // it goes on in the next one: a very long line is shown in pieces
  open?: boolean; // its line feed has not come yet
}

const chunk = 256 << 10; // bytes a read
const piece = 16 << 10; // most bytes of a line in one piece
const most = 30_000; // lines kept
const stride = 8_000; // most lines that one read adds, so that what is in sight is never pushed out

const decoder = new TextDecoder();

// LogWindow is the part of a log that is in memory: whole lines of bytes start..end. It grows at
// either end as one scrolls, and forgets at the other, so that a log of any length takes the same memory.
export class LogWindow {
  lines: readonly Line[] = [];
  start = 0;
  end = 0;
  size = 0;
  // firstNumber is the number of the first line where it is known: from the log's beginning on.
  firstNumber: number | undefined = 1;
  private busy: Promise<unknown> = Promise.resolve();

  constructor(private readonly read: Read) {}

  get atStart(): boolean {
    return this.start === 0;
  }
  get atEnd(): boolean {
    return this.end >= this.size;
  }

  // Operations run one after the other.
  private inTurn<V>(f: () => Promise<V>): Promise<V> {
    const next = this.busy.then(f, f);
    this.busy = next.catch(() => {});
    return next;
  }

  // openEnd begins anew with the last lines.
  openEnd(): Promise<void> {
    return this.inTurn(async () => {
      this.size = Math.max(this.size, (await this.read(0, 1)).size);
      await this.load(Math.max(0, this.size - chunk), this.size);
    });
  }

  // openAt begins anew so that offset is in the window; it returns the line that offset is in.
  openAt(offset: number): Promise<number> {
    return this.inTurn(async () => {
      if (!(offset >= this.start && offset < this.end)) await this.load(Math.max(0, offset - chunk / 2), offset);
      return this.lineOf(offset);
    });
  }

  lineOf(offset: number): number {
    let low = 0;
    let high = this.lines.length - 1;
    while (low < high) {
      const mid = (low + high + 1) >> 1;
      if ((this.lines[mid]?.at ?? 0) <= offset) low = mid;
      else high = mid - 1;
    }
    return Math.max(0, low);
  }

  // load begins anew from a byte on, and keeps the lines around another one.
  private async load(from: number, around: number): Promise<void> {
    const part = await this.read(from, chunk);
    this.size = Math.max(this.size, part.size);
    const begin = from === 0 ? 0 : firstLine(part.data);
    const all = cut(part.data, begin, from, plain, from + part.data.length >= this.size);
    const i = all.findLastIndex((l) => l.at <= around);
    const first = Math.max(0, Math.min(i - stride / 2, all.length - stride));
    const lines = all.slice(first, first + stride);
    this.lines = lines;
    this.start = lines[0]?.at ?? from + begin;
    this.end = lines.at(-1)?.end ?? this.start;
    this.firstNumber = this.start === 0 ? 1 : undefined;
  }

  // older adds what is before the window; it returns how many lines came in at the top.
  older(): Promise<number> {
    return this.inTurn(async () => {
      if (this.atStart) return 0;
      const from = Math.max(0, this.start - chunk);
      const want = this.start - from;
      const part = await this.read(from, want);
      this.size = Math.max(this.size, part.size);
      const data = part.data.subarray(0, want);
      if (data.length < want) return 0; // the log has been cut since
      const lines = cut(data, from === 0 ? 0 : firstLine(data), from, plain, true).slice(-stride);
      if (lines.length === 0) return 0;
      this.lines = [...lines, ...this.lines].slice(0, most);
      this.start = lines[0]?.at ?? this.start;
      this.end = this.lines.at(-1)?.end ?? this.end;
      this.firstNumber = this.start === 0 ? 1 : undefined;
      return lines.length;
    });
  }

  // newer adds what is behind the window; it returns how many lines were forgotten at the top.
  newer(): Promise<number> {
    return this.inTurn(async () => {
      // A last line without its line feed may have grown: it is read again.
      const last = this.lines.at(-1);
      const open = last !== undefined && last.open === true;
      const from = open ? last.at : this.end;
      const part = await this.read(from, chunk);
      this.size = Math.max(this.size, part.size);
      if (part.data.length === 0) return 0;
      const before = open ? this.lines.slice(0, -1) : this.lines;
      const prior = before.at(-1);
      const style = open ? last.style : prior ? styleAfter(prior.text, prior.style) : plain;
      const lines = cut(part.data, 0, from, style, from + part.data.length >= this.size).slice(0, stride);
      const all = [...before, ...lines];
      const over = Math.max(0, all.length - most);
      this.lines = over > 0 ? all.slice(over) : all;
      this.start = this.lines[0]?.at ?? this.start;
      this.end = this.lines.at(-1)?.end ?? this.end;
      if (this.firstNumber !== undefined) this.firstNumber += over;
      return over;
    });
  }
}

// firstLine is where the first whole line of data begins; in the middle of an endless one, anywhere.
function firstLine(data: Uint8Array): number {
  const i = data.indexOf(10);
  return i < 0 || i + 1 >= data.length ? boundary(data, 0) : i + 1;
}

// boundary is the first place from i on where no character is cut in two.
function boundary(data: Uint8Array, i: number): number {
  for (let n = 0; n < 3 && ((data[i] ?? 0) & 0xc0) === 0x80; n++) i++;
  return i;
}

// cut makes lines of data from begin on; data[0] is at offset. What is behind the last line feed counts
// as a line where last says that nothing follows for now.
export function cut(data: Uint8Array, begin: number, offset: number, style: Style, last: boolean): Line[] {
  const lines: Line[] = [];
  const push = (from: number, to: number, end: number, isCut: boolean, open: boolean) => {
    const text = shown(decoder.decode(data.subarray(from, to)));
    lines.push({ at: offset + from, end: offset + end, text, style, cut: isCut, ...(open ? { open } : {}) });
    style = styleAfter(text, style);
  };
  let at = begin;
  while (at < data.length) {
    let feed = data.indexOf(10, at);
    const whole = feed >= 0;
    if (!whole) feed = data.length;
    // Pieces of a very long line.
    while (feed - at > piece) {
      const to = boundary(data, at + piece);
      push(at, to, to, true, false);
      at = to;
    }
    if (!whole) {
      if (last && at < data.length) push(at, data.length, data.length, false, true);
      break;
    }
    push(at, feed, feed + 1, false, false);
    at = feed + 1;
  }
  return lines;
}

// shown is what a terminal would show of a line in the end: what a carriage return overwrites is gone.
function shown(text: string): string {
  if (text.endsWith('\r')) text = text.slice(0, -1);
  const r = text.lastIndexOf('\r');
  return r >= 0 ? text.slice(r + 1) : text;
}
