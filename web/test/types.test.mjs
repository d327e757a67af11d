// Job types on the page: their forms, what their jobs say, and the hooks that are told.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Browser, Service, row, state } from './harness.mjs';

let service;
let browser;
let ear; // what hooks post to
const answers = { status: 500 };
const heard = [];
before(async () => {
  ear = http.createServer((ask, answer) => {
    const parts = [];
    ask.on('data', (d) => parts.push(d));
    ask.on('end', () => {
      heard.push({ event: ask.headers['x-queuemgr-event'], delivery: ask.headers['x-queuemgr-delivery'] });
      answer.writeHead(answers.status).end();
    });
  });
  await new Promise((resolve) => ear.listen(0, '127.0.0.1', resolve));
  service = await Service.start((s) => {
    mkdirSync(join(s.home, 'types.d'));
    writeFileSync(
      join(s.home, 'types.d/ours.toml'),
      `[types.greet]
description = "says what it is told"
command = ["printf", "%s\\n", "{word}", "{times}"]
queue = "greetings"
example = { word = "hello", times = 2, colours = ["red", "blue"], deep = { a = { b = 1 } } }

[types.greet.params]
word = { type = "string", description = "what to say", minLength = 2 }
times = { type = "integer", minimum = 1, maximum = 9, default = 3 }
colours = { type = "array", items = { type = "string" }, required = false }
loud = { type = "boolean", required = false }
ratio = { type = "number", required = false }
deep = { type = "object", required = false }
token = { type = "string", required = false, secret = true }

[types.broken]
description = "has a mistake"
command = ["true", "{nowhere}"]
`,
    );
    writeFileSync(join(s.home, 'config.toml'), `[[hooks]]\nname = "ear"\non = ["failure"]\ntype = "greet"\nurl = "http://127.0.0.1:${ear.address().port}/?key=hidden"\n`);
  });
  await service.api('POST', '/api/queues', { name: 'greetings' });
  browser = await Browser.start();
});
after(async () => {
  try {
    await browser?.stop();
  } finally {
    service?.stop();
    ear?.close();
    ear?.closeAllConnections();
  }
});

const json = (page) => page.getByLabel('Parameters as JSON');
const shownJson = async (page) => JSON.parse(await json(page).inputValue());

// choose begins a new job of a type by hand.
async function choose(page, name) {
  await page.goto(`${service.url}/jobs/new`);
  await page.getByText('Job type', { exact: true }).click();
  await page.getByRole('combobox', { name: 'Type', exact: true }).click();
  await page.getByRole('option', { name, exact: true }).click();
}

test('a job of the type files is added by its form, a wrong parameter is told at its field, its result is a tree', async () => {
  const file = join(service.home, 'a file');
  writeFileSync(file, 'some words\n');
  const page = await browser.open(service);
  await choose(page, 'files');
  const sources = page.getByRole('textbox', { name: 'sources' });
  await page.getByRole('combobox', { name: 'op' }).click();
  await page.getByRole('option', { name: 'checksum' }).click();
  await page.getByRole('button', { name: 'Add job' }).click();
  await page.getByText('params/sources is missing').first().waitFor();
  assert.equal(await sources.getAttribute('aria-invalid'), 'true');
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute('data-param')), 'sources');
  assert.equal(await page.locator('[aria-invalid=true]').count(), 1, 'nothing else is said to be wrong');

  await sources.fill(file);
  assert.deepEqual(await shownJson(page), { op: 'checksum', sources: [file] });
  await page.getByRole('button', { name: 'Add job' }).click();
  await state(page, 'completed').waitFor();
  const result = page.getByRole('region', { name: 'Result' });
  await result.getByText(createHash('sha256').update('some words\n').digest('hex')).waitFor();
  assert.match(await result.locator('.tree-leaf', { hasText: 'bytes' }).first().textContent(), /bytes11$/);
  const params = page.getByRole('region', { name: 'Parameters' });
  await params.getByText('checksum').waitFor();
  await params.getByText(file).waitFor();
  // What it is called is its type, not the program that runs it.
  assert.match(await page.getByRole('heading', { level: 1 }).textContent(), /^files \{/);
  await page.context().close();
});

test('form and JSON are one; the example fills both; what is no JSON is not sent', async () => {
  const page = await browser.open(service);
  await choose(page, 'greet');
  await page.getByRole('button', { name: 'Fill in the example' }).click();
  assert.deepEqual(await shownJson(page), { word: 'hello', times: 2, colours: ['red', 'blue'], deep: { a: { b: 1 } } });
  assert.equal(await page.getByRole('textbox', { name: 'colours' }).inputValue(), 'red\nblue');
  assert.deepEqual(JSON.parse(await page.getByRole('textbox', { name: 'deep' }).inputValue()), { a: { b: 1 } });

  await json(page).fill('{"word": "from JSON", "times": 4, "ratio": 0.5, "loud": true}');
  assert.equal(await page.getByRole('textbox', { name: 'word' }).inputValue(), 'from JSON');
  assert.equal(await page.getByRole('textbox', { name: 'ratio' }).inputValue(), '0.5');
  assert.equal(await page.getByLabel('loud').isChecked(), true);
  assert.equal(await page.getByRole('textbox', { name: 'colours' }).inputValue(), '');
  await json(page).fill('{"word": ');
  await page.getByText('No JSON object').waitFor();
  assert.equal(await page.getByRole('button', { name: 'Add job' }).isDisabled(), true);
  await page.getByRole('textbox', { name: 'word' }).fill('from the form');
  assert.deepEqual(await shownJson(page), { word: 'from the form', times: 4, ratio: 0.5, loud: true });
  await page.getByRole('textbox', { name: 'deep' }).fill('{"a"');
  await page.getByText('No JSON: write').waitFor();
  assert.equal(await page.getByRole('button', { name: 'Add job' }).isDisabled(), true);
  await page.getByRole('textbox', { name: 'deep' }).fill('');

  // What the form does not know is told beside it.
  await json(page).fill('{"word": "hello", "wrod": 1}');
  await page.getByRole('button', { name: 'Add job' }).click();
  await page.getByText('params/wrod').first().waitFor();
  assert.equal(await json(page).getAttribute('aria-invalid'), 'true');
  await json(page).fill('{"word": "hello", "times": 10}');
  await page.getByRole('button', { name: 'Add job' }).click();
  await page.getByText('params/times').first().waitFor();
  assert.equal(await page.getByRole('textbox', { name: 'times' }).getAttribute('aria-invalid'), 'true');
  await page.context().close();
});

test('a secret is typed unseen, on no record, and asked for again', async () => {
  const page = await browser.open(service);
  await page.goto(`${service.url}/types`);
  await page.getByRole('link', { name: 'New job of type greet' }).click();
  await page.getByRole('textbox', { name: 'word' }).fill('hello');
  const token = page.getByLabel('token', { exact: true });
  assert.equal(await token.getAttribute('type'), 'password');
  await token.fill('s3cret-word');
  assert.deepEqual(await shownJson(page), { word: 'hello' });
  await page.getByRole('button', { name: 'Add job' }).click();
  await state(page, 'completed').waitFor();
  const id = Number(new URL(page.url()).pathname.split('/').pop());
  const record = await service.api('GET', `/api/jobs/${id}`);
  assert.equal(record.queue, 'greetings', "the type's queue");
  assert.deepEqual(record.params, { word: 'hello', times: 3, token: '(secret)' });
  await page.getByRole('region', { name: 'Parameters' }).getByText('(secret)').waitFor();

  await page.getByRole('link', { name: 'Again with changes' }).click();
  await page.getByRole('textbox', { name: 'word' }).waitFor();
  assert.equal(await page.getByRole('textbox', { name: 'word' }).inputValue(), 'hello');
  assert.equal(await page.getByRole('textbox', { name: 'times' }).inputValue(), '3');
  assert.equal(await token.inputValue(), '');
  assert.deepEqual(await shownJson(page), { word: 'hello', times: 3 });
  await page.context().close();
});

test('the page of types: reached by keys, with parameters, sources and what is wrong', async () => {
  const page = await browser.open(service, { role: 'viewer' });
  await page.keyboard.press('g');
  await page.keyboard.press('t');
  await page.waitForURL(`${service.url}/types`);
  const greet = page.getByRole('region', { name: 'greet', exact: true });
  await greet.getByText('says what it is told').waitFor();
  await greet.getByText(join(service.home, 'types.d/ours.toml')).waitFor();
  await greet.getByText("{word}").waitFor();
  const cells = (name) => greet.locator(`tr[data-param="${name}"] :is(th, td)`).allInnerTexts();
  assert.deepEqual((await cells('times')).map((c) => c.trim()), ['times', 'integer', '3', '≥ 1\n≤ 9']);
  assert.match((await cells('word'))[0], /required/);
  assert.match((await cells('token'))[0], /secret/);
  const broken = page.getByRole('region', { name: 'broken', exact: true });
  await broken.getByText('It cannot be used:').waitFor();
  await broken.getByText('nowhere').first().waitFor();
  await page.getByRole('region', { name: 'files', exact: true }).getByText('built in').waitFor();
  // Who may only look is offered no new job.
  assert.equal(await page.getByRole('link', { name: /^New job/ }).count(), 0);
  await page.context().close();
});

test('progress and status text move while a job runs, in its page and in the list', async () => {
  const fifo = join(service.home, 'step');
  execFileSync('mkfifo', [fifo]);
  const j = await service.add({ shell: `while read n; do [ "$n" = end ] && break; queuemgr report --progress "$n" --status "$n of 100 files"; done < ${fifo}; queuemgr report --result '{"files": {"read": 100}}'`, env: { PATH: `${new URL('../../bin', import.meta.url).pathname}:/usr/bin:/bin` }, name: 'counts' });
  const page = await browser.open(service);
  const list = await page.context().newPage();
  await list.goto(`${service.url}/jobs`);
  await page.goto(`${service.url}/jobs/${j.id}`);
  const { open } = await import('node:fs/promises');
  const step = await open(fifo, 'w');
  for (const n of [10, 75]) {
    await step.write(`${n}\n`);
    await page.locator(`.strip progress[value="${n}"]`).waitFor();
    await page.locator('.strip').getByText(`${n} of 100 files`).waitFor();
    await row(list, j.id).locator(`progress[value="${n}"]`).waitFor();
  }
  await step.write('end\n');
  await step.close();
  await state(page, 'completed').waitFor();
  await page.getByRole('region', { name: 'Result' }).locator('.tree-leaf', { hasText: 'read' }).getByText('100').waitFor();
  await page.context().close();
});

test('a hook that fails is seen at its job and in the settings, tried again there, and arrives', async () => {
  // The folder is not there.
  const j = await service.add({ type: 'greet', params: { word: 'hello' }, cwd: join(service.home, 'gone') });
  await service.ended(j.id);
  const page = await browser.open(service);
  await page.goto(`${service.url}/jobs/${j.id}`);
  await state(page, 'failed').waitFor();
  const delivery = page.locator('[data-delivery]');
  await page.locator('[data-delivery][data-state="failed"]').waitFor();
  await delivery.getByText('settings/ear').waitFor();
  await delivery.getByText(/500/).waitFor();

  await page.goto(`${service.url}/settings/hooks`);
  const hook = page.locator('[data-hook="ear"]');
  await hook.getByText(`http://127.0.0.1:${ear.address().port}/`).waitFor();
  assert.ok(!(await page.content()).includes('key=hidden'));
  await page.locator('[data-delivery][data-state="failed"]').getByRole('link', { name: `job ${j.id}` }).waitFor();
  answers.status = 204;
  await page.getByRole('button', { name: /^Try delivery \d+ again$/ }).click();
  await page.locator('[data-delivery][data-state="done"]').waitFor();
  assert.ok(heard.length >= 2);
  assert.equal(new Set(heard.map((h) => `${h.event} ${h.delivery}`)).size, 1, 'one event, the same delivery in each try');
  await page.goto(`${service.url}/jobs/${j.id}`);
  await page.locator('[data-delivery][data-state="done"]').waitFor();

  // The same for who may only look: seen, and nothing to press.
  const viewer = await browser.open(service, { role: 'viewer' });
  await viewer.goto(`${service.url}/settings/hooks`);
  await viewer.locator('[data-delivery][data-state="done"]').waitFor();
  assert.equal(await viewer.getByRole('button', { name: /again/ }).count(), 0);
  await viewer.context().close();
  await page.context().close();
});
