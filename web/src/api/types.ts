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

// A member is a user of the machine over the unix socket; who comes over TCP is one of these.
export type Role = Exclude<Schemas['Me']['role'], 'member'>;
export type Me = Omit<Schemas['Me'], 'role'> & { role: Role };
export type Token = Omit<Schemas['Token'], 'role'> & { role: Role };
export type AuditEntry = Schemas['AuditEntry'];
export type Setting = Schemas['Setting'];
export type Machine = Schemas['Machine'];
export type Type = Schemas['Type'];
export type ConfiguredHook = Schemas['ConfiguredHook'];
export type Delivery = Schemas['Delivery'];
export type DeliveryPage = Schemas['DeliveryPage'];
export type LogSize = Schemas['FeedLog'];
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
