// What jobs and people write is text and nothing else, wherever the page shows it: markup, script, ANSI,
// controls, what turns text around, bytes that are no UTF-8.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Browser, Service, row } from './harness.mjs';

const markup = '<img src=x onerror="alert(1)"><script>alert(2)</script>';
const evil = `${markup} \u001b[31mred\u001b[0m \u202efdp.exe\u2066 \u0007`;
const shown = `${markup} ␛[31mred␛[0m ⟨U+202E⟩fdp.exe⟨U+2066⟩ ␇`;
// Names and tags take no control characters; the service refuses them.
const label = `${markup} \u202efdp.exe\u2066`;
const tag = label.replaceAll(' ', '');
const labelShown = `${markup} ⟨U+202E⟩fdp.exe⟨U+2066⟩`;

let service;
let browser;
let old; // a job with a result and a status text, as the old service wrote them
before(async () => {
  service = await Service.start((s) => {
    const file = join(s.home, 'old.jsonl');
    const at = '2025-01-01T00:00:00Z';
    writeFileSync(file, JSON.stringify({ job_id: evil, status: 'COMPLETED', progress: 100, description: evil, result: { [evil]: [evil, { deep: evil }] }, created_at: at, updated_at: at, completed_at: at }) + '\n');
    s.run('registry', 'import', file);
    mkdirSync(join(s.home, 'types.d'));
    // JSON's texts are TOML's.
    const [text, name] = [JSON.stringify(evil), JSON.stringify(label)];
    writeFileSync(join(s.home, 'types.d/evil.toml'), `[types.evil]\ndescription = ${text}\ncommand = ["echo", "--", "{ok}"]\nhooks = [{ on = ["success"], command = ["/bin/sh", "-c", ${JSON.stringify(`: '${label}'; exit 1`)}] }]\n[types.evil.params]\nok = { type = "string", description = ${text}, default = ${text}, enum = [${text}, "b"] }\n${name} = { type = "string", description = ${text}, default = ${text} }\nsecret = { type = "object", required = false, secret = true }\n`);
  });
  browser = await Browser.start();
  [old] = (await service.api('GET', '/api/jobs')).jobs;
});
after(async () => {
  try {
    await browser?.stop(); // a dialog, or what the policy refused, is an error there
  } finally {
    service?.stop();
  }
});

// inert fails where something of it became more than text, or text that deceives is in sight.
async function inert(page, where) {
  const found = await page.evaluate(() => {
    const raw = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069]/u;
    const bad = [...document.querySelectorAll('img:not([src="/icon.svg"]), script:not([src]), iframe, object, [onerror], a[href^="javascript" i]')].map((e) => e.outerHTML);
    if (raw.test(document.title)) bad.push(`title: ${document.title}`);
    if (raw.test(document.body.innerText)) bad.push(`text: ${JSON.stringify(document.body.innerText.match(raw)?.[0])}`);
    for (const e of document.querySelectorAll('[title], [aria-label], [aria-description], [placeholder], [alt]')) {
      for (const a of ['title', 'aria-label', 'aria-description', 'placeholder', 'alt']) if (raw.test(e.getAttribute(a) ?? '')) bad.push(`${a}: ${e.getAttribute(a)}`);
    }
    return bad;
  });
  assert.deepEqual(found, [], where);
}

test('name, tags, command, error and folder: in the list, the overview, the job, a new one like it', async () => {
  const dir = join(service.home, 'out<b>');
  mkdirSync(dir);
  const failed = await service.add({ command: [`/no/such/${evil}`, evil], name: label, tags: [tag], key: '<b\u202eonerror=alert(1)>', cwd: dir });
  await service.ended(failed.id);
  await service.api('POST', '/api/queues', { name: 'one', concurrency: 1 });
  const running = await service.add({ shell: `: ${markup.replaceAll(/["<>()]/g, '\\$&')}; exec sleep 1000`, name: label, queue: 'one' });
  await service.add({ command: ['true'], name: label, queue: 'one' });
  const page = await browser.open(service);

  await page.goto(`${service.url}/jobs?cols=id,state,name,progress,type,tags,owner,queue`);
  await row(page, failed.id).waitFor();
  assert.equal(await row(page, failed.id).locator('.job-title').textContent(), labelShown);
  assert.ok((await row(page, failed.id).textContent()).includes(labelShown.replaceAll(' ', '')));
  await inert(page, 'the list');
  await page.goto(`${service.url}/jobs?q=${encodeURIComponent(`tag:${tag} "${evil}"`)}`);
  await page.locator('.chip').first().waitFor();
  await inert(page, 'conditions of the list');

  await page.goto(service.url);
  await page.locator('.list-row.running').first().waitFor();
  await page.locator('.list-row.failed').first().waitFor();
  assert.equal(await page.locator('.list-row.failed .job-title').first().textContent(), labelShown);
  assert.equal(await page.locator('.list-row.running .job-title').first().textContent(), labelShown);
  await inert(page, 'the overview');

  for (const id of [failed.id, running.id]) {
    await page.goto(`${service.url}/jobs/${id}`);
    await page.locator('.strip').waitFor();
    assert.equal(await page.locator('h1').textContent(), labelShown);
    await inert(page, 'a job');
    assert.equal(await page.title(), 'queuemgr');
  }
  await page.goto(`${service.url}/jobs/${failed.id}`);
  assert.match(await page.locator('.strip').textContent(), /no such file/);
  await page.goto(`${service.url}/jobs/new?from=${failed.id}`);
  await page.locator('.argv .arg').nth(1).waitFor();
  assert.equal(await page.locator('.argv .arg').nth(1).textContent(), shown);
  assert.equal(await page.locator('main img, main script').count(), 0);

  // What the server says, quoting it.
  await page.goto(`${service.url}/jobs/${encodeURIComponent(`no such ${evil}`)}`);
  await page.getByRole('alert').waitFor();
  await inert(page, 'an error of the server');
  await service.api('POST', `/api/jobs/${running.id}/stop`, { force: true });
  await service.ended(running.id);
  await page.context().close();
});

test('a result and a status text', async () => {
  const page = await browser.open(service);
  await page.goto(`${service.url}/jobs/${old.id}`);
  await page.locator('.tree-string').first().waitFor();
  for (const details of await page.locator('.tree details:not([open]) > summary').all()) await details.click();
  assert.ok((await page.locator('.tree').textContent()).includes(shown));
  await page.getByText('deep').waitFor();
  await inert(page, 'a result');
  await page.goto(`${service.url}/jobs`);
  await row(page, old.id).waitFor();
  await inert(page, 'a status text in the list');
  await page.context().close();
});

test('output: markup, sequences, links of a terminal, bytes that are no UTF-8, and what is found in it', async () => {
  const j = await service.add({
    shell: `printf '%s\\n' '${markup}'; printf '\\033[31mred\\033[0m \\033]0;title\\007 \\033]8;;javascript:alert(3)\\033\\\\link\\033]8;;\\033\\\\ \\377\\376 end\\n'; printf '\\342\\200\\256turned\\n'; printf 'a\\001b\\033[2J\\033[Hc\\n'; exit 1`,
    name: 'loud',
    split: false,
  });
  await service.ended(j.id);
  const page = await browser.open(service);
  await page.goto(`${service.url}/jobs/${j.id}`);
  await page.locator('.log-line').nth(3).waitFor();
  assert.deepEqual(await page.locator('.log-text').allTextContents(), [markup, 'red  link \ufffd\ufffd end', '⟨U+202E⟩turned', 'a␁bc']);
  assert.equal(await page.locator('.log-text .f1').textContent(), 'red');
  await page.getByRole('textbox', { name: 'Search the log' }).fill('<script>');
  await page.keyboard.press('Enter');
  await page.locator('.log-line.hit mark', { hasText: '<script>' }).waitFor();
  await inert(page, 'a log');
  assert.equal(await page.title(), 'queuemgr');
  await page.context().close();
});

test('what the server quotes, in a message, and in the audit', async () => {
  // Names of tokens and queues are letters and digits: the service refuses others, and quotes them.
  const page = await browser.open(service);
  await page.goto(`${service.url}/queues`);
  await page.getByRole('button', { name: 'Add queue' }).click();
  await page.getByRole('dialog').getByLabel('Queue').fill(`q${markup}\u202e`);
  await page.getByRole('dialog').getByRole('button', { name: 'Add queue' }).click();
  await page.getByText('onerror').first().waitFor();
  await inert(page, 'a message');
  await page.goto(`${service.url}/settings/tokens`);
  await page.getByRole('button', { name: 'New token' }).click();
  await page.getByRole('dialog').getByLabel('Name').fill(`t${markup}\u202e`);
  await page.getByRole('dialog').getByRole('button', { name: 'New token' }).click();
  await page.getByText('onerror').first().waitFor();
  await inert(page, 'a refused token');
  const j = await service.add({ command: ['true'], key: '<i\u202eonerror=alert(2)>', hold: true });
  await service.api('POST', `/api/jobs/${j.id}/stop`, {});
  for (const tab of ['audit', 'config']) {
    await page.goto(`${service.url}/settings/${tab}`);
    await page.locator('td').first().waitFor();
    await inert(page, tab);
  }
  await page.context().close();
});

test('a job type, its form, its job and its hook', async () => {
  const page = await browser.open(service);
  await page.goto(`${service.url}/types`);
  const type = page.getByRole('region', { name: 'evil', exact: true });
  await type.waitFor();
  assert.ok((await type.innerText()).includes(shown));
  assert.ok((await type.locator('th').allInnerTexts()).some((x) => x.includes(labelShown)));
  await inert(page, 'the types');
  await type.getByRole('link', { name: 'New job of type evil' }).click();
  await page.getByRole('combobox', { name: 'ok' }).click();
  await page.getByRole('option', { name: '<img' }).click();
  await inert(page, 'the form');
  await page.getByLabel('Parameters as JSON').fill(JSON.stringify({ ok: evil, [label]: evil, [evil]: 1 }));
  await page.getByRole('button', { name: 'Add job' }).click();
  await page.locator('[aria-invalid=true]').waitFor();
  await inert(page, 'an error of the form');
  await page.getByLabel('Parameters as JSON').fill(JSON.stringify({ ok: evil, [label]: evil }));
  await page.getByRole('button', { name: 'Add job' }).click();
  await page.locator('[data-delivery][data-state="failed"]').waitFor();
  assert.ok((await page.getByRole('region', { name: 'Parameters' }).innerText()).includes(shown));
  await inert(page, 'the job');
  await page.goto(`${service.url}/settings/hooks`);
  await page.locator('[data-hook]').waitFor();
  await page.locator('[data-delivery]').first().waitFor();
  await inert(page, 'hooks');
  await page.context().close();
});
