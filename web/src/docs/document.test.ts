import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { answersOf, curlOf, exampleOfParameter, groupsOf, targetOf, type Document } from './document';

const doc = JSON.parse(readFileSync(new URL('../../../internal/httpapi/openapi.json', import.meta.url), 'utf8')) as Document;
const all = groupsOf(doc, '').flatMap((g) => g.operations);
const named = (id: string) => all.find((op) => op.operationId === id)!;

test('every operation of the document is shown once', () => {
  const want = Object.values(doc.paths).flatMap((item) => Object.values(item).map((op) => op.operationId));
  expect(all.map((op) => op.operationId).sort()).toEqual(want.sort());
});

test('a filter leaves what holds every word', () => {
  expect(groupsOf(doc, 'logs search').flatMap((g) => g.operations.map((op) => op.operationId))).toEqual(['readLog']);
  expect(groupsOf(doc, 'nosuch')).toEqual([]);
});

test('every answer of an operation is found, errors with an example', () => {
  for (const op of all) {
    for (const [status, a] of answersOf(doc, op)) {
      expect(a.description, `${op.operationId} ${status}`).toBeTruthy();
      if (status >= '400') expect(Object.keys(a.content?.['application/problem+json']?.examples ?? {}), `${op.operationId} ${status}`).not.toEqual([]);
    }
  }
});

test('a command asks for it', () => {
  expect(curlOf(named('stopJob'), 'http://q:5000')).toBe(
    `curl -X POST 'http://q:5000/api/jobs/7/stop' \\\n  -H "Authorization: Bearer $TOKEN" \\\n  -H 'Content-Type: application/json' \\\n  -d '{"grace":30}'`,
  );
  expect(curlOf(named('getHealth'), 'http://q:5000')).toBe(`curl 'http://q:5000/healthz'`);
  expect(curlOf({ ...named('stopJob'), requestBody: { content: { 'text/plain': { schema: {}, examples: { a: { value: "it's" } } } } } }, '')).toContain(`-d 'it'\\''s'`);
});

test('lists are written with commas', () => {
  expect(exampleOfParameter(named('listJobs').parameters!.find((p) => p.name === 'exit_code')!)).toBe('1,137');
});

test('an address points to an id, also where it is no percent-encoding', () => {
  expect(['', '#listJobs', '#type-%4Aob', '#100%', '#%ff'].map(targetOf)).toEqual(['', 'listJobs', 'type-Job', '100%', '%ff']);
});
