import { get, request, withParams, type Params } from '../api/client';
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

// find returns where text is next, from an offset on or backwards before it.
export const find = (w: Which, text: string, from: number, backwards: boolean, stop: AbortSignal): Promise<number | undefined> => seek(w, { search: text, ignore_case: true }, from, backwards, stop);

// seek asks again and again: the server looks through a bounded part at a time. stop ends a long search.
async function seek(w: Which, what: Params, from: number, backwards: boolean, stop: AbortSignal): Promise<number | undefined> {
  let at: number | undefined = from;
  while (at !== undefined) {
    const found: Found = await get<Found>(`/api/jobs/${w.id}/logs`, { ...params(w), ...what, from: at, backwards, limit: 1 }, stop);
    if (found.hits[0]) return found.hits[0].match;
    at = found.next;
  }
  return undefined;
}

// findTrouble returns where the next line is that looks like an error.
export const findTrouble = (w: Which, from: number, backwards: boolean, stop: AbortSignal): Promise<number | undefined> => seek(w, { errors: true }, from, backwards, stop);
