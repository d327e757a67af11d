// Each page in both themes and languages, and on a phone: no serious violation of the rules of
// accessibility, and a picture of it in the folder shots.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Browser, Service, feed, shots } from './harness.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

let service;
let browser;
let job;
let typed;
before(async () => {
  service = await Service.start((s) => {
    mkdirSync(join(s.home, 'types.d'));
    writeFileSync(
      join(s.home, 'types.d/images.toml'),
      `[types.resize]
description = "makes pictures smaller"
command = ["false", "--", "{source}", "-resize", "{width}"]
queue = "render"
timeout = "10m"
hooks = [{ on = ["failure"], command = ["/usr/local/bin/tell-ops"] }]
example = { source = "a.png", width = 600 }

[types.resize.params]
source = { type = "string", description = "picture to read", pattern = "^[^-]" }
width = { type = "integer", minimum = 1, default = 800 }
token = { type = "string", required = false, secret = true }

[types.wrong]
command = ["convert", "{nowhere}"]
`,
    );
    // Nobody listens at the first.
    writeFileSync(join(s.home, 'config.toml'), '[[hooks]]\nname = "ci"\non = ["failure"]\ntype = "files"\nurl = "http://127.0.0.1:1/"\n\n[[hooks]]\nname = "tell-ops"\non = ["success", "failure"]\ntype = "files"\ncommand = ["/bin/true"]\n');
  });
  browser = await Browser.start();
  await service.api('POST', '/api/queues', { name: 'render', concurrency: 1 });
  await service.api('POST', '/api/queues', { name: 'mail', paused: true });
  for (let i = 1; i <= 30; i++) await service.add({ command: ['true'], name: `thumbnail ${i}`, tags: ['photos'] });
  job = await service.add({ shell: `printf '\\033[32mok\\033[0m  step %03d \\033[2mcached\\033[0m\\n' $(seq 1 30); printf '\\033[31merror: cannot open device\\033[0m\\n'; exit 3`, name: 'nightly build', tags: ['ci', 'nightly'] });
  await service.ended(job.id);
  const sum = await service.add({ type: 'files', params: { op: 'checksum', sources: [join(service.home, 'types.d')] } });
  await service.ended(sum.id);
  typed = await service.add({ type: 'files', params: { op: 'archive', sources: [join(service.home, 'types.d')], destination: '/no/such/folder/types.tar.gz' }, name: 'archive the types' });
  await service.ended(typed.id);
  await service.add({ command: ['/no/such/program'] });
  await service.add({ shell: 'sleep 1000', name: 'render intro', queue: 'render' });
  await service.add({ shell: 'sleep 1000', name: 'render credits', queue: 'render' });
  await service.add({ command: ['pg_dump', 'shop'], name: 'dump shop', hold: true });
  await service.add({ command: ['sendmail', '-q'], queue: 'mail' });
  await service.api('POST', '/api/tokens', { name: 'ci', role: 'operator', expires_in: 86400 });
});
after(async () => {
  try {
    await browser?.stop();
  } finally {
    service?.stop();
  }
});

const pages = [
  ['overview', '/'],
  ['jobs', '/jobs'],
  ['jobs-filtered', '/jobs?q=state:failed tag:nightly'],
  ['job', () => `/jobs/${job.id}`],
  ['job-missing', '/jobs/999999'],
  ['nowhere', '/no/such/page'],
  ['job-typed', () => `/jobs/${typed.id}`],
  ['job-result', () => `/jobs/${typed.id - 1}`],
  ['new-typed', () => `/jobs/new?from=${typed.id}`],
  ['new-http', '/jobs/new?type=http'],
  ['new-broken', '/jobs/new?type=wrong'],
  ['types', '/types'],
  ['hooks', '/settings/hooks'],
  ['new', () => `/jobs/new?from=${job.id}`],
  ['queues', '/queues'],
  ['settings', '/settings'],
  ['tokens', '/settings/tokens'],
  ['audit', '/settings/audit'],
  ['config', '/settings/config'],
  ['docs', '/api/docs#listJobs'],
];

// check returns what is wrong with a page.
async function check(page, name) {
  await page.evaluate(axe); // by the debugger: the page's policy takes no script from elsewhere
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  return found.violations
    .filter((v) => v.impact === 'serious' || v.impact === 'critical')
    .flatMap((v) => v.nodes.map((n) => `${name}: ${v.id}: ${n.target.join(' ')} ${n.failureSummary}`));
}

async function settled(page) {
  await page.locator('main').waitFor();
  await feed(page, 'live').waitFor({ state: 'attached' });
  await page.waitForFunction(() => document.querySelectorAll('[aria-busy=true]').length === 0);
  await page.evaluate(() => document.fonts.ready);
}

for (const scheme of ['light', 'dark']) {
  for (const lang of ['en', 'ru']) {
    test(`${scheme}, ${lang}`, async () => {
      const page = await browser.open(service, { scheme, lang });
      const wrong = [];
      for (const [name, path] of pages) {
        await page.goto(service.url + (typeof path === 'function' ? path() : path));
        await settled(page);
        await page.screenshot({ path: join(shots, `${name}-${scheme}-${lang}.png`) });
        wrong.push(...(await check(page, `${name} ${scheme} ${lang}`)));
      }
      await page.keyboard.press('?');
      await page.getByRole('dialog').waitFor();
      wrong.push(...(await check(page, `keys ${scheme} ${lang}`)));
      await page.goto(service.url);
      await settled(page);
      await page.route(/\/assets\/.*\.js$/, (r) => r.abort());
      await page.locator('.nav a[href="/settings"]').click();
      await page.locator('.broken').waitFor();
      await page.screenshot({ path: join(shots, `broken-${scheme}-${lang}.png`) });
      wrong.push(...(await check(page, `broken ${scheme} ${lang}`)));
      assert.deepEqual(wrong, []);
      await page.context().close();
    });
  }
}

test('login', async () => {
  for (const scheme of ['light', 'dark']) {
    for (const lang of ['en', 'ru']) {
      const page = await browser.open(service, { scheme, lang });
      await page.context().clearCookies();
      await page.goto(service.url);
      await page.locator('.login').waitFor();
      await page.screenshot({ path: join(shots, `login-${scheme}-${lang}.png`) });
      assert.deepEqual(await check(page, `login ${scheme} ${lang}`), []);
      await page.context().close();
    }
  }
});

test('on a phone nothing is wider than the screen', async () => {
  const page = await browser.open(service, { width: 360, height: 720, lang: 'ru' });
  const wrong = [];
  for (const [name, path] of pages) {
    await page.goto(service.url + (typeof path === 'function' ? path() : path));
    await settled(page);
    await page.screenshot({ path: join(shots, `${name}-phone.png`) });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    if (wide > 360) wrong.push(`${name} is ${wide} px wide`);
    const content = await page.evaluate(() => document.querySelector('.content').scrollWidth);
    if (content > 360) wrong.push(`the content of ${name} is ${content} px wide`);
    wrong.push(...(await check(page, `${name} on a phone`)));
  }
  assert.deepEqual(wrong, []);
  await page.context().close();
});
