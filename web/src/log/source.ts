import { get, request, withParams } from '../api/client';
import type { Part } from './window';

export interface Which {
  id: number;
  attempt: number;
  stream: 'stdout' | 'stderr';
}

const params = (w: Which) => ({ attempt: w.attempt, stream: w.stream });
export const logUrl = (w: Which, more: Record<string, string | number | boolean> = {}) => withParams(`/api/jobs/${w.id}/logs`, { ...params(w), ...more });

// readLog reads one range of a log.
export async function readLog(w: Which, offset: number, limit: number): Promise<Part> {
  const r = await request('GET', logUrl(w, { offset, limit }));
  const data = new Uint8Array(await r.arrayBuffer());
  return { data, offset, size: Number(r.headers.get('Log-Size') ?? offset + data.length) };
}

interface Found {
  hits: { match: number }[];
  next?: number;
}

// find returns where text is next, from an offset on or backwards before it. The server looks through
// a bounded part at a time; stop ends a long search.
export async function find(w: Which, text: string, from: number, backwards: boolean, stop: AbortSignal): Promise<number | undefined> {
  let at: number | undefined = from;
  while (at !== undefined) {
    const found: Found = await get<Found>(`/api/jobs/${w.id}/logs`, { ...params(w), search: text, from: at, backwards, ignore_case: true, limit: 1 }, stop);
    if (found.hits[0]) return found.hits[0].match;
    at = found.next;
  }
  return undefined;
}

const trouble = /\b(errors?|fatal|panic|exception|traceback|fail(?:ed|ure|ures)?|segmentation fault|killed)\b/i;
const step = 256 << 10;
const farthest = 64 << 20;

// findTrouble returns the last line before an offset that looks like an error.
export async function findTrouble(w: Which, before: number, stop: AbortSignal): Promise<number | undefined> {
  const decoder = new TextDecoder('latin1'); // one character a byte: offsets stay right
  let end = before;
  while (end > 0 && before - end < farthest && !stop.aborted) {
    const from = Math.max(0, end - step);
    // A little of what was looked through before: a line may lie across the border.
    const until = Math.min(before, end + 512);
    const text = decoder.decode((await readLog(w, from, until - from)).data);
    let to = text.length;
    while (to > 0) {
      const start = to < 2 ? 0 : text.lastIndexOf('\n', to - 2) + 1;
      if (trouble.test(text.slice(start, to))) return from + start;
      to = start;
    }
    end = from;
  }
  return undefined;
}
