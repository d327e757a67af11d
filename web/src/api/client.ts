import type { Problem } from './types';

// ApiError is a problem document of the server, or the absence of one.
export class ApiError extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail);
  }
  get code(): string {
    return this.problem.code;
  }
}

type Value = string | number | boolean | readonly (string | number)[] | undefined;
export type Params = Readonly<Record<string, Value>>;

// withParams appends the parameters that are set; lists are joined by commas.
export function withParams(path: string, params?: Params): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params ?? {})) {
    if (value === undefined || value === '' || value === false || (Array.isArray(value) && value.length === 0)) continue;
    query.set(name, Array.isArray(value) ? value.join(',') : String(value));
  }
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

let onUnauthenticated = () => {};

// whenUnauthenticated is called when an answer says that the login is over.
export function whenUnauthenticated(f: () => void): void {
  onUnauthenticated = f;
}

let logins = 0;

// loggedIn says that a new login has begun: what was asked before, and is refused only now, ends no login.
export function loggedIn(): void {
  logins++;
}

export async function problemOf(r: Response): Promise<Problem> {
  try {
    const p = (await r.json()) as Problem;
    if (typeof p.detail === 'string') return p;
  } catch {
    // Not JSON: a proxy's page. The status says what there is to say.
  }
  const retry = r.headers.get('Retry-After');
  return { type: 'about:blank', title: r.statusText, status: r.status, detail: `HTTP ${r.status} ${r.statusText}${retry ? ` (${retry} s)` : ''}`, code: 'internal' };
}

// request sends one request and returns the answer, or throws what the server said.
export async function request(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Response> {
  const before = logins;
  let r: Response;
  try {
    r = await fetch(path, {
      method,
      signal: signal ?? null,
      credentials: 'same-origin',
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } }),
    });
  } catch (e) {
    if (signal?.aborted) throw e;
    throw new ApiError({ type: 'about:blank', title: 'Unreachable', status: 0, detail: 'unreachable', code: 'unreachable' });
  }
  if (r.ok) return r;
  if (r.status === 401 && path !== '/api/login' && before === logins) onUnauthenticated();
  throw new ApiError(await problemOf(r));
}

export async function get<T>(path: string, params?: Params, signal?: AbortSignal): Promise<T> {
  return (await request('GET', withParams(path, params), undefined, signal)).json() as Promise<T>;
}

export async function send<T = void>(method: 'POST' | 'PATCH' | 'DELETE' | 'PUT', path: string, body?: unknown): Promise<T> {
  const r = await request(method, path, body);
  if (r.status === 204) return undefined as T;
  const text = await r.text();
  return (text ? JSON.parse(text) : undefined) as T;
}
