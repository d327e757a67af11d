// A client made of the OpenAPI document alone, by openapi-typescript and openapi-fetch, drives the built program over TCP with a token.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import createClient, { type Client } from 'openapi-fetch';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { components, paths } from '../src/api/schema';

const program = fileURLToPath(new URL('../../bin/queuemgr', import.meta.url));
const home = mkdtempSync(join(tmpdir(), 'queuemgr-client-'));
const run = (...args: string[]) =>
  execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, QUEUEMGR_HOME: home, QUEUEMGR_WEB_LISTEN: '127.0.0.1:0' } });

let client: Client<paths>;
let viewer: Client<paths>;
beforeAll(() => {
  run('service', 'start');
  const baseUrl = (JSON.parse(run('service', 'status', '--json')) as components['schemas']['Status']).web!.url!;
  const as = (role: string) => {
    const { secret } = JSON.parse(run('token', 'add', role, '--role', role, '--json')) as components['schemas']['Token'];
    return createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${secret}` } });
  };
  client = as('operator');
  viewer = as('viewer');
});
afterAll(() => {
  run('service', 'stop');
  rmSync(home, { recursive: true, force: true });
});

// given returns what a request was answered with; a problem fails the test.
function given<T>(answer: { data?: T; error?: unknown; response: Response }): T {
  if (answer.data === undefined) throw new Error(`${answer.response.url}: ${answer.response.status} ${JSON.stringify(answer.error)}`);
  return answer.data;
}

test('adds a job, waits, reads its log, finds it and deletes it', async () => {
  const added = given(await client.POST('/api/jobs', { body: { shell: 'echo out; echo err >&2; exit 3', name: 'by a client', tags: ['generated'] } }));
  if (!('id' in added)) throw new Error(`one job was added, the answer is ${JSON.stringify(added)}`);
  const path = { id: String(added.id) };

  const ended = given(await client.GET('/api/jobs/{id}', { params: { path, query: { wait: 30 } } }));
  expect({ state: ended.state, reason: ended.reason, code: ended.exit_code }).toEqual({ state: 'failed', reason: 'exit', code: 3 });
  expect(given(await client.GET('/api/jobs/{id}/logs', { params: { path }, parseAs: 'text' }))).toBe('out\nerr\n');

  const page = given(await client.GET('/api/jobs', { params: { query: { state: ['failed', 'stopped'], exit_code: [3], tag: ['generated'] } } }));
  expect(page.jobs?.map((j) => j.id)).toEqual([added.id]);

  expect((await viewer.POST('/api/jobs/{id}/delete', { params: { path } })).error).toMatchObject({ status: 403, code: 'forbidden' });
  const deleted = given(await client.POST('/api/jobs/{id}/delete', { params: { path } }));
  expect(deleted.state).toBe('deleted');
  const after = given(await client.GET('/api/jobs', { params: { query: { tag: ['generated'] } } }));
  expect(after.jobs).toEqual([]);
});

test('adds many and acts on those that a filter selects', async () => {
  const added = given(await client.POST('/api/jobs', { body: { defaults: { tags: ['many'], hold: true }, jobs: [{ command: ['true'] }, { shell: 'exit 1' }] } }));
  if (!('ids' in added)) throw new Error(`two jobs were added, the answer is ${JSON.stringify(added)}`);
  expect(added.ids).toHaveLength(2);
  const filter = { tags: ['many'] };
  expect(given(await client.POST('/api/jobs/actions', { body: { action: 'start', filter, dry_run: true } })).count).toBe(2);
  given(await client.POST('/api/jobs/actions', { body: { action: 'start', filter } }));
  const states = await Promise.all((added.ids ?? []).map(async (id) => given(await client.GET('/api/jobs/{id}', { params: { path: { id: String(id) }, query: { wait: 30 } } })).state));
  expect(states).toEqual(['completed', 'failed']);
});

test('an error is the problem that the document promises', async () => {
  const { error } = await client.GET('/api/jobs/{id}', { params: { path: { id: '4711' } } });
  expect(error).toMatchObject({ status: 404, code: 'not_found' });
  expect(error?.detail).toContain('4711');
});
