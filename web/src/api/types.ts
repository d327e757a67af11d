// Names for what the OpenAPI document describes. schema.d.ts is generated from it (npm run types).
import type { components } from './schema';

type Schemas = components['schemas'];

export type Job = Schemas['Job'];
export type State = Job['state'];
export type Attempt = Schemas['Attempt'];
export type Page = Schemas['Page'];
export type Queue = Schemas['Queue'];
export type Status = Schemas['Status'];
export type JobSpec = Schemas['JobSpec'];
export type Filter = Schemas['Filter'];
export type ActRequest = Schemas['ActRequest'];
export type ActResult = Schemas['ActResult'];
export type Usage = Schemas['Usage'];
export type Stats = Schemas['Stats'];
export type Problem = Omit<Schemas['Problem'], 'code'> & { code: string };
export type Action = ActRequest['action'];

export type Role = 'viewer' | 'operator' | 'admin';
export interface Me {
  name: string;
  role: Role;
  via: 'socket' | 'token' | 'session';
  expires_at?: string;
}
export interface Token {
  id: string;
  name: string;
  role: Role;
  created_at: string;
  created_by: string;
  expires_at?: string;
  last_used_at?: string;
}
export interface AuditEntry {
  id: string | number;
  at: string;
  who: string;
  role: string;
  via: string;
  from: string;
  action: string;
  target: string;
  outcome: string;
}
export interface Setting {
  key: string;
  value: unknown;
  source: string;
}
export interface Machine {
  load: [number, number, number];
  cpus: number;
  memory_total: number;
  memory_available: number;
  disk_free: number;
  disk_total?: number;
}
export interface LogSize {
  attempt: number;
  size: number;
  stderr_size?: number;
  complete?: boolean;
}

export const waiting: readonly State[] = ['queued', 'scheduled', 'blocked', 'held'];
export const live: readonly State[] = ['starting', 'running', 'paused', 'stopping'];
export const ended: readonly State[] = ['completed', 'failed', 'stopped', 'skipped'];
export const states: readonly State[] = [...live, ...waiting, ...ended];

export const isWaiting = (s: State) => waiting.includes(s);
export const isLive = (s: State) => live.includes(s);
export const isEnded = (s: State) => ended.includes(s) || s === 'deleted';

// may says which actions a job's state allows; the server decides in the end.
export function may(s: State): Record<Action | 'again', boolean> {
  return {
    start: isWaiting(s) || (isEnded(s) && s !== 'deleted'),
    stop: isWaiting(s) || isLive(s),
    hold: s === 'queued' || s === 'scheduled' || s === 'blocked',
    delete: s !== 'deleted',
    again: true,
  };
}
