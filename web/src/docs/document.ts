// The OpenAPI document as far as the page shows it.
export interface Schema {
  $ref?: string;
  type?: string;
  format?: string;
  description?: string;
  enum?: readonly unknown[];
  items?: Schema;
  oneOf?: readonly Schema[];
  properties?: Readonly<Record<string, Schema>>;
  required?: readonly string[];
  additionalProperties?: Schema | boolean;
}

export interface Example {
  value: unknown;
}

export interface Content {
  schema: Schema;
  examples?: Readonly<Record<string, Example>>;
}

export interface Parameter {
  name: string;
  in: string;
  required?: boolean;
  description?: string;
  example?: unknown;
  examples?: Readonly<Record<string, Example>>;
  schema: Schema;
}

export interface Answer {
  $ref?: string;
  description?: string;
  content?: Readonly<Record<string, Content>>;
}

export interface Operation {
  operationId: string;
  summary: string;
  description?: string;
  tags: readonly string[];
  parameters?: readonly Parameter[];
  requestBody?: { required?: boolean; content: Readonly<Record<string, Content>> };
  responses: Readonly<Record<string, Answer>>;
  'x-role'?: string;
}

export interface Document {
  info: { title: string; version: string; description?: string };
  tags: readonly { name: string; description?: string }[];
  paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  components: { schemas: Readonly<Record<string, Schema>>; responses: Readonly<Record<string, Answer>> };
}

export interface Entry extends Operation {
  method: string;
  path: string;
}

export interface Group {
  name: string;
  about: string;
  operations: Entry[];
}

const methods = ['get', 'post', 'put', 'patch', 'delete'];

// groupsOf returns the operations by their tags, in the document's order, those alone that hold every word.
export function groupsOf(doc: Document, filter: string): Group[] {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const groups = doc.tags.map((t): Group => ({ name: t.name, about: t.description ?? '', operations: [] }));
  for (const [path, item] of Object.entries(doc.paths)) {
    for (const method of methods) {
      const op = item[method];
      if (!op) continue;
      const text = [method, path, op.operationId, op.summary, op.description, ...(op.parameters ?? []).map((p) => p.name)].join(' ').toLowerCase();
      if (words.every((w) => text.includes(w))) groups.find((g) => g.name === op.tags[0])?.operations.push({ ...op, method, path });
    }
  }
  return groups.filter((g) => g.operations.length > 0);
}

// nameOf returns what a reference refers to, '' for a schema or answer that stands for itself.
export function nameOf(s: { $ref?: string }): string {
  return s.$ref?.split('/').at(-1) ?? '';
}

// answersOf returns an operation's answers with what they refer to.
export function answersOf(doc: Document, op: Operation): [string, Answer][] {
  return Object.entries(op.responses).map(([status, a]) => [status, doc.components.responses[nameOf(a)] ?? a]);
}

// exampleOf returns an example as text: JSON in lines, text as it is.
export function exampleOf(e: Example): string {
  return typeof e.value === 'string' ? e.value : JSON.stringify(e.value, null, 2);
}

// exampleOfParameter returns how a parameter is written.
export function exampleOfParameter(p: Parameter): string {
  const v = p.example ?? Object.values(p.examples ?? {})[0]?.value;
  return v === undefined ? '' : Array.isArray(v) ? v.join(',') : String(v);
}

const quote = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;

// curlOf returns a command that asks for an operation: parameters in the path and the first body's example.
export function curlOf(op: Entry, origin: string): string {
  let path = op.path;
  for (const p of op.parameters ?? []) if (p.in === 'path') path = path.replace(`{${p.name}}`, encodeURIComponent(exampleOfParameter(p)));
  const lines = [`curl${op.method === 'get' ? '' : ` -X ${op.method.toUpperCase()}`} ${quote(origin + path)}`];
  if (op['x-role']) lines.push('-H "Authorization: Bearer $TOKEN"');
  const body = op.requestBody && Object.entries(op.requestBody.content)[0];
  const example = body && Object.values(body[1].examples ?? {})[0];
  if (body && example) lines.push(`-H ${quote(`Content-Type: ${body[0]}`)}`, `-d ${quote(typeof example.value === 'string' ? example.value : JSON.stringify(example.value))}`);
  return lines.join(' \\\n  ');
}

// targetOf is the id that an address points to. What is no percent-encoding is taken as it is written.
export function targetOf(hash: string): string {
  const id = hash.slice(1);
  try {
    return decodeURIComponent(id);
  } catch {
    return id;
  }
}
