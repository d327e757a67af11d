import type { Type } from '../api/types';

// What the page reads of a JSON Schema; what it does not know it leaves to the service, which checks.
export interface Schema {
  type?: string | readonly string[];
  description?: string;
  title?: string;
  default?: unknown;
  enum?: readonly unknown[];
  items?: Schema;
  properties?: Readonly<Record<string, Schema>>;
  required?: readonly string[];
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
  pattern?: string;
  format?: string;
  examples?: readonly unknown[];
  writeOnly?: boolean;
}

// Kind is the input that a parameter gets. What is none of the others is written as JSON.
export type Kind = 'text' | 'number' | 'integer' | 'boolean' | 'choice' | 'list' | 'json';

export interface Field {
  name: string;
  kind: Kind;
  required: boolean;
  secret: boolean;
  schema: Schema;
}

export type Params = Readonly<Record<string, unknown>>;

const numeric = ['number', 'integer'];

// kinds are the JSON types that a schema takes, null aside: a parameter without a value is left out.
const kinds = (s: Schema): readonly string[] => (s.type === undefined ? [] : typeof s.type === 'string' ? [s.type] : s.type).filter((k) => k !== 'null');

function kindOf(s: Schema): Kind {
  if (s.enum?.length) return 'choice';
  const of = kinds(s);
  // A number that may be a text too, as a time is: whatever is typed is a text.
  if (of.includes('string') && of.every((k) => k === 'string' || numeric.includes(k))) return 'text';
  if (of.length > 0 && of.every((k) => numeric.includes(k))) return of.includes('number') ? 'number' : 'integer';
  if (of.length !== 1) return 'json';
  if (of[0] === 'boolean') return 'boolean';
  if (of[0] !== 'array' || !s.items || s.items.enum) return 'json';
  const items = kinds(s.items);
  return items.length === 1 && (items[0] === 'string' || numeric.includes(items[0] ?? '')) ? 'list' : 'json';
}

// fieldsOf are the parameters of a type: those that must be given first, else in the schema's order.
export function fieldsOf(type: Pick<Type, 'schema' | 'secret'>): Field[] {
  const root = (type.schema ?? {}) as Schema;
  const fields = Object.entries(root.properties ?? {}).map(([name, schema]): Field => ({
    name,
    kind: kindOf(schema),
    required: root.required?.includes(name) ?? false,
    secret: type.secret?.includes(name) ?? false,
    schema,
  }));
  return [...fields.filter((f) => f.required), ...fields.filter((f) => !f.required)];
}

// firstParams are those of a new job: a switch that must be given is off until somebody turns it on.
export const firstParams = (type: Pick<Type, 'schema' | 'secret'>): Params =>
  Object.fromEntries(fieldsOf(type).filter((f) => f.kind === 'boolean' && f.required && f.schema.default === undefined).map((f) => [f.name, false]));

// typeName says in JSON Schema's words what a parameter is.
export function typeName(s: Schema): string {
  const of = kinds(s);
  if (of.length === 1 && of[0] === 'array') return s.items && kinds(s.items).length > 0 ? `${kinds(s.items).join(' | ')}[]` : 'array';
  return of.join(' | ') || 'JSON';
}

// rules are what a schema asks of a value, in signs that every language has.
export function rules(s: Schema): string[] {
  const out: string[] = [];
  if (s.enum) out.push(s.enum.map(short).join(' | '));
  if (s.items?.enum) out.push(s.items.enum.map(short).join(' | '));
  if (s.minimum !== undefined) out.push(`≥ ${s.minimum}`);
  if (s.exclusiveMinimum !== undefined) out.push(`> ${s.exclusiveMinimum}`);
  if (s.maximum !== undefined) out.push(`≤ ${s.maximum}`);
  if (s.exclusiveMaximum !== undefined) out.push(`< ${s.exclusiveMaximum}`);
  if (s.format === 'duration-seconds') out.push('90, 45s, 1h30m');
  else if (s.format) out.push(s.format);
  else if (s.pattern) out.push(s.pattern);
  return out;
}

// short is a value in one line.
export const short = (v: unknown): string => (typeof v === 'string' ? v : JSON.stringify(v));

// parseObject reads the JSON of an object; undefined for all else.
export function parseObject(text: string): Params | undefined {
  try {
    const v: unknown = JSON.parse(text);
    return typeof v === 'object' && v !== null && !Array.isArray(v) ? (v as Params) : undefined;
  } catch {
    return undefined;
  }
}

// put returns params with one of them changed; undefined leaves it out.
export function put(params: Params, name: string, value: unknown): Params {
  const { [name]: _, ...rest } = params;
  return value === undefined ? rest : { ...params, [name]: value };
}

// split parts params into what may be shown and what may not.
export function split(params: Params, secret: readonly string[]): { open: Params; hidden: Params } {
  const all = Object.entries(params);
  return { open: Object.fromEntries(all.filter(([n]) => !secret.includes(n))), hidden: Object.fromEntries(all.filter(([n]) => secret.includes(n))) };
}

// wrongParam is the parameter that an error is about: of the field params/sources/0 it is sources, of
// params it is "". undefined: the error is about something else.
export function wrongParam(field: string | undefined): string | undefined {
  const [head, name = ''] = field?.split('/') ?? [];
  return head === 'params' ? name.replaceAll('~1', '/').replaceAll('~0', '~') : undefined;
}

// lines and items turn a list into lines and back. What is no number where numbers are asked for stays
// a text: the service says which one it is.
export const lines = (value: unknown): string | undefined =>
  value === undefined ? '' : Array.isArray(value) && value.every((v) => (typeof v === 'string' && v !== '' && !v.includes('\n')) || typeof v === 'number') ? value.join('\n') : undefined;

export function items(text: string, schema: Schema): unknown[] | undefined {
  const all = text.split('\n').filter((l) => l !== '');
  if (all.length === 0) return undefined;
  const numbers = kinds(schema.items ?? {}).every((k) => numeric.includes(k));
  return numbers ? all.map((l) => (l.trim() !== '' && Number.isFinite(Number(l)) ? Number(l) : l)) : all;
}
