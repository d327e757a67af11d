import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Browser, Service, feed, row, state } from './harness.mjs';

let service;
let browser;
before(async () => {
  service = await Service.start();
  browser = await Browser.start();
});
after(async () => {
  try {
    await browser?.stop();
  } finally {
    service?.stop();
  }
});

test('a login link logs in once, and leaves no code in the address', async () => {
  const link = await service.link();
  const page = await browser.open(service);
  assert.equal(new URL(page.url()).hash, '');
  await page.context().clearCookies();

  await page.goto(link);
  await page.locator('.nav').waitFor();
  assert.equal(new URL(page.url()).hash, '');
  await page.context().clearCookies();
  await page.goto('about:blank');
  await page.goto(link);
  await page.getByRole('alert').waitFor();
  assert.equal(await page.locator('.nav').count(), 0);
  assert.equal(new URL(page.url()).hash, '');
  await page.context().close();
});

test('a token logs in; a wrong one is told so; logging out ends it', async () => {
  const { secret } = await service.api('POST', '/api/tokens', { name: 'browser', role: 'operator' });
  const page = await browser.open(service);
  await page.getByRole('button', { name: 'Log out' }).click();
  await page.getByLabel('Token', { exact: true }).fill('qm_wrong');
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByRole('alert').waitFor();
  await page.getByLabel('Token', { exact: true }).fill(secret);
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.locator('.nav').waitFor();
  await page.getByText('operator').first().waitFor();
  await page.context().close();
});

test('a job is added, watched, its log followed, stopped and run again', async () => {
  const page = await browser.open(service);
  await page.keyboard.press('n');
  await page.getByText('Shell', { exact: true }).click();
  await page.getByLabel('Script').fill('echo begin; read line < "$GO"; echo "went on: $line"; while :; do sleep 1; done');
  await page.getByLabel('Name').fill('watched');
  await page.getByText('More settings').click();
  const fifo = `${service.home}/go`;
  const { execFileSync } = await import('node:child_process');
  execFileSync('mkfifo', [fifo]);
  await page.getByLabel('Environment').fill(`GO=${fifo}\nPATH=/usr/bin:/bin`);
  await page.getByRole('button', { name: 'Add job' }).click();
  await state(page, 'running').waitFor();
  await page.getByText('begin', { exact: true }).waitFor();
  // The log grows while it is watched.
  const { writeFileSync } = await import('node:fs');
  writeFileSync(fifo, 'hello\n');
  await page.getByText('went on: hello').waitFor();
  await page.keyboard.press('s');
  await state(page, 'stopped').waitFor();

  await page.getByRole('button', { name: 'Run again' }).click();
  await state(page, 'running').waitFor();
  await page.getByText('Attempt 2 started').waitFor();
  writeFileSync(fifo, 'again\n');
  await page.getByText('went on: again').waitFor();
  // The first attempt's log is still there.
  await page.getByRole('button', { name: /Attempt 1 started/ }).click();
  await page.getByText('went on: hello').waitFor();
  await page.keyboard.press('s');
  await state(page, 'stopped').waitFor();
  await page.context().close();
});

test('a list follows what happens elsewhere; words of a command are previewed', async () => {
  const page = await browser.open(service);
  await page.goto(`${service.url}/jobs`);
  await page.getByRole('grid').waitFor();
  const j = await service.add({ command: ['true'], name: 'from elsewhere' });
  await row(page, j.id).waitFor();
  await page.locator(`.row[data-job="${j.id}"][data-state="completed"]`).waitFor();

  await page.goto(`${service.url}/jobs/new`);
  await page.getByLabel('Program and arguments').fill(`printf '%s and %s' "two words" x | wc`);
  assert.deepEqual(await page.locator('.argv .arg').allTextContents(), ['printf', '%s and %s', 'two words', 'x', '|', 'wc']);
  await page.getByRole('button', { name: 'Write it as a shell script' }).click();
  assert.equal(await page.getByLabel('Script').inputValue(), `printf '%s and %s' "two words" x | wc`);
  await page.context().close();
});

test('bulk delete: by query, with its count, asked for first', async () => {
  for (let i = 0; i < 12; i++) await service.add({ command: ['false'], name: `broken ${i}`, tags: ['bulk'] });
  const kept = await service.add({ command: ['true'], name: 'to keep', tags: ['kept'] });
  await service.ended(kept.id);
  const page = await browser.open(service);
  await page.goto(`${service.url}/jobs?q=tag:bulk`);
  await page.locator('.row[data-state="failed"]').nth(11).waitFor();
  await page.getByRole('grid').focus();
  await page.keyboard.press('a');
  await page.getByRole('toolbar').getByRole('button', { name: 'Delete' }).click();
  await page.getByText('Delete 12 jobs?').waitFor();
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
  assert.equal((await service.api('GET', '/api/jobs?tag=bulk')).jobs.length, 12);
  await page.getByRole('toolbar').getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await page.getByText('12 jobs deleted').waitFor();
  await page.getByText('No job matches.').waitFor();
  assert.equal((await service.api('GET', '/api/jobs?tag=bulk')).jobs.length, 0);
  assert.equal((await service.api('GET', '/api/jobs?tag=kept')).jobs.length, 1);
  await page.context().close();
});

test('hold is taken back by undo; keys move, select and open', async () => {
  await service.api('POST', '/api/queues', { name: 'still', paused: true });
  const a = await service.add({ command: ['true'], name: 'first', queue: 'still' });
  const b = await service.add({ command: ['true'], name: 'second', queue: 'still' });
  const page = await browser.open(service);
  await page.goto(`${service.url}/jobs?q=queue:still`);
  await row(page, b.id).waitFor();
  await page.keyboard.press('j');
  await page.keyboard.press('j');
  await page.keyboard.press('x');
  assert.equal(await row(page, a.id).getAttribute('aria-selected'), 'true');
  await page.keyboard.press('h');
  await page.locator(`.row[data-job="${a.id}"][data-state="held"]`).waitFor();
  await page.getByRole('button', { name: 'Undo' }).click();
  await page.locator(`.row[data-job="${a.id}"][data-state="queued"]`).waitFor();
  await page.keyboard.press('Enter');
  await page.waitForURL(`${service.url}/jobs/${a.id}`);
  await page.keyboard.press('?');
  const sheet = page.getByRole('dialog', { name: 'Keyboard shortcuts' });
  await sheet.waitFor();
  await page.keyboard.press('Escape');
  await sheet.waitFor({ state: 'hidden' });
  await page.keyboard.press('/');
  await page.waitForURL(/\/jobs$/);
  await page.locator('input[role=combobox]:focus').waitFor();
  await page.keyboard.type('state:qu');
  await page.getByRole('option', { name: 'state:queued' }).click();
  await page.waitForURL(/q=state%3Aqueued/);
  await page.context().close();
});

test('a queue is paused, resumed, limited, added and deleted', async () => {
  const page = await browser.open(service);
  await page.goto(`${service.url}/queues`);
  await page.getByRole('button', { name: 'Add queue' }).click();
  await page.getByRole('dialog').getByLabel('Queue').fill('video');
  await page.getByRole('dialog').getByRole('button', { name: 'Add queue' }).click();
  const video = page.locator('tr[data-queue="video"]');
  await video.waitFor();
  await page.getByRole('button', { name: 'Pause queue video' }).click();
  await video.getByText('paused').waitFor();
  assert.equal((await service.api('GET', '/api/queues/video')).paused, true);
  await page.getByRole('button', { name: 'Resume queue video' }).click();
  await page.getByRole('button', { name: 'Pause queue video' }).waitFor();
  await page.getByLabel('Concurrency of queue video').fill('3');
  await page.keyboard.press('Enter');
  await page.getByText('Concurrency of video changed').waitFor();
  assert.equal((await service.api('GET', '/api/queues/video')).concurrency, 3);
  await page.getByRole('button', { name: 'Delete queue video' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await video.waitFor({ state: 'detached' });
  await page.context().close();
});

test('the connection is lost and comes back, with the right state', async () => {
  const page = await browser.open(service);
  await page.goto(`${service.url}/jobs`);
  await feed(page, 'live').waitFor({ state: 'attached' });
  const j = await service.add({ shell: 'read line < "$GO"', env: { GO: `${service.home}/gone` }, name: 'over the crash' });
  await row(page, j.id).waitFor();
  await service.kill();
  await feed(page, 'lost').waitFor({ state: 'attached' });
  await page.getByText('Connection lost').waitFor();
  await service.spawn('service', 'start');
  await page.getByText('Connection restored').waitFor();
  const now = await service.api('GET', `/api/jobs/${j.id}`);
  await page.locator(`.row[data-job="${j.id}"][data-state="${now.state}"]`).waitFor();
  const later = await service.add({ command: ['true'], name: 'after the crash' });
  await page.locator(`.row[data-job="${later.id}"][data-state="completed"]`).waitFor();
  await page.context().close();
});

test('many tabs share one feed', async () => {
  const page = await browser.open(service);
  const tabs = [page];
  for (let i = 0; i < 11; i++) {
    const tab = await page.context().newPage();
    await tab.goto(`${service.url}/jobs`);
    tabs.push(tab);
  }
  // HTTP/1.1 allows six connections: with a stream for each tab the last ones would wait for ever.
  for (const tab of tabs) await feed(tab, 'live').waitFor({ state: 'attached' });
  const j = await service.add({ command: ['true'], name: 'seen in every tab' });
  for (const tab of tabs.slice(1)) await tab.locator(`.row[data-job="${j.id}"][data-state="completed"]`).waitFor();
  await page.context().close();
});

test('who may only look sees nothing to do', async () => {
  const j = await service.add({ shell: 'exit 1', name: 'to look at' });
  await service.ended(j.id);
  const page = await browser.open(service, { role: 'viewer' });
  for (const path of ['/', '/jobs', `/jobs/${j.id}`, '/queues', '/settings', '/jobs/new']) {
    await page.goto(service.url + path);
    await page.locator('main').waitFor();
    await feed(page, 'live').waitFor({ state: 'attached' });
    const names = await page.locator('button, a').evaluateAll((all) => all.map((e) => e.getAttribute('aria-label') ?? e.textContent));
    assert.deepEqual(
      names.filter((n) => /^(New job|Start|Stop|Hold|Delete|Run again|Again with|Pause|Resume|Add|Tokens|Audit)\b/.test(n ?? '')),
      [],
      path,
    );
    assert.equal(await page.locator('main input[type=checkbox]').count(), 0, path);
  }
  await page.context().close();
});

test('the API is described: found from the settings, filtered, opened, its types linked', async () => {
  const page = await browser.open(service, { role: 'viewer' });
  await page.goto(`${service.url}/settings`);
  await page.getByRole('link', { name: 'API', exact: true }).click();
  await page.getByRole('heading', { name: 'API', exact: true }).waitFor();
  const doc = await service.api('GET', '/api/openapi.json');
  const operations = Object.values(doc.paths).flatMap((item) => Object.values(item));
  assert.equal(await page.locator('.docs-path').count(), operations.length);

  await page.getByRole('searchbox', { name: 'Find by path' }).fill('post stop');
  const stop = page.locator('#stopJob');
  await stop.locator('summary').click();
  await stop.getByText('operator', { exact: true }).waitFor();
  assert.match(await stop.getByRole('region', { name: 'How to ask' }).textContent(), new RegExp(`^curl -X POST '${service.url}/api/jobs/7/stop'`));
  await stop.getByRole('region', { name: 'Errors' }).getByText('Conflict: wrong_state').waitFor();
  assert.ok((await page.locator('.docs-path').count()) < 10);

  await page.getByRole('searchbox', { name: 'Find by path' }).fill('');
  await stop.getByRole('link', { name: 'Job', exact: true }).click();
  await page.locator('#type-Job').getByText('Number, never reused.').waitFor();
  await page.goto(`${service.url}/api/docs#listJobs`);
  await page.reload();
  await page.locator('#listJobs').getByRole('region', { name: 'Parameters' }).getByText('failed,stopped').waitFor();

  // An address that is cut off points nowhere.
  await page.goto(`${service.url}/api/docs#100%`);
  await page.reload();
  await page.locator('#listJobs').waitFor();
  assert.equal(await page.locator('.broken').count(), 0);

  await page.context().clearCookies();
  await page.goto(`${service.url}/api/docs`);
  await page.reload();
  await page.locator('.login').waitFor();
  await page.context().close();
});

test('a long log opens at its end; search, error and position find their lines', async () => {
  const j = await service.add({ shell: 'seq 1 400000; echo "ERROR: the disk is on fire"; seq 400001 1000000', name: 'a million lines' });
  await service.ended(j.id);
  const page = await browser.open(service);
  await page.goto(`${service.url}/jobs/${j.id}`);
  await page.locator('.log-text', { hasText: /^1000000$/ }).waitFor();
  await page.getByRole('textbox', { name: 'Search the log' }).fill('123456');
  await page.keyboard.press('Enter');
  await page.locator('.log-line.hit', { hasText: '123456' }).waitFor();
  await page.locator('.log-lines').focus();
  await page.keyboard.press('f');
  await page.locator('.log-text', { hasText: /^1000000$/ }).waitFor();
  await page.keyboard.press('e');
  await page.locator('.log-line.hit', { hasText: 'the disk is on fire' }).waitFor();
  await page.getByLabel('Position in the log').fill('0');
  await page.locator('.log-text', { hasText: /^1$/ }).waitFor();
  // What is in the page stays small, however long the log is.
  assert.ok((await page.locator('.log-line').count()) < 200);
  const download = page.waitForEvent('download');
  await page.getByRole('link', { name: 'Download the log' }).click();
  assert.match((await download).suggestedFilename(), /\.log$|\.txt$/);
  await page.context().close();
});

test('a page that slept is right when it wakes, also over a restart of the daemon', async () => {
  const page = await browser.open(service);
  await page.goto(`${service.url}/jobs`);
  await feed(page, 'live').waitFor({ state: 'attached' });
  const before = await service.add({ shell: 'read line < "$GO"', env: { GO: `${service.home}/never` }, hold: true, name: 'asleep' });
  await page.locator(`.row[data-job="${before.id}"][data-state="held"]`).waitFor();
  const cdp = await page.context().newCDPSession(page);
  await cdp.send('Page.setWebLifecycleState', { state: 'frozen' });
  await service.api('POST', `/api/jobs/${before.id}/stop`, {});
  await service.kill();
  await service.spawn('service', 'start');
  const later = await service.add({ command: ['true'], name: 'while it slept' });
  await service.ended(later.id);
  await cdp.send('Page.setWebLifecycleState', { state: 'active' });
  await page.locator(`.row[data-job="${later.id}"][data-state="completed"]`).waitFor();
  await page.locator(`.row[data-job="${before.id}"][data-state="stopped"]`).waitFor();
  const after = await service.add({ command: ['true'], name: 'awake again' });
  await page.locator(`.row[data-job="${after.id}"][data-state="completed"]`).waitFor();
  await page.context().close();
});

test('a log goes on after a crash of the daemon, to what was written meanwhile', async () => {
  const { execFileSync } = await import('node:child_process');
  const { existsSync, writeFileSync } = await import('node:fs');
  const fifo = `${service.home}/meanwhile`;
  const done = `${service.home}/meanwhile.done`;
  execFileSync('mkfifo', [fifo]);
  const j = await service.add({ shell: `echo begun; read line < ${fifo}; echo "$line"; exec 3> ${done}`, name: 'outlives the daemon' });
  const page = await browser.open(service);
  await page.goto(`${service.url}/jobs/${j.id}`);
  await page.locator('.log-text', { hasText: 'begun' }).waitFor();
  await service.kill();
  await feed(page, 'lost').waitFor({ state: 'attached' });
  writeFileSync(fifo, 'written while nobody listened\n');
  while (!existsSync(done)) await new Promise((r) => setTimeout(r, 20));
  await service.spawn('service', 'start');
  await state(page, 'completed').waitFor();
  await page.locator('.log-text', { hasText: 'written while nobody listened' }).waitFor();
  assert.equal(await page.getByRole('alert').count(), 0, 'no error is left');
  await page.context().close();
});

test('a login that is ended ends on a page that only watches, too', async () => {
  const page = await browser.open(service);
  await page.goto(`${service.url}/jobs`);
  await feed(page, 'live').waitFor({ state: 'attached' });
  service.run('web', '--end-logins');
  await page.locator('.login').waitFor();
  await page.context().close();
});

test('logging out in one tab ends it in all, and logging in brings all back', async () => {
  const { secret } = await service.api('POST', '/api/tokens', { name: 'tabs', role: 'operator' });
  const page = await browser.open(service);
  const other = await page.context().newPage();
  await other.goto(`${service.url}/jobs`);
  await feed(other, 'live').waitFor({ state: 'attached' });
  await page.getByRole('button', { name: 'Log out' }).click();
  await page.locator('.login').waitFor();
  await other.locator('.login').waitFor();
  await page.getByLabel('Token', { exact: true }).fill(secret);
  await page.getByRole('button', { name: 'Log in' }).click();
  await feed(page, 'live').waitFor({ state: 'attached' });
  await feed(other, 'live').waitFor({ state: 'attached' });
  const j = await service.add({ command: ['true'], name: 'after the login' });
  await other.locator(`.row[data-job="${j.id}"][data-state="completed"]`).waitFor();
  await page.context().close();
});

test('a machine without a network still shows its own service', async () => {
  const page = await browser.open(service);
  await page.goto(`${service.url}/jobs`);
  await feed(page, 'live').waitFor({ state: 'attached' });
  await page.evaluate(() => window.dispatchEvent(new Event('offline')));
  const j = await service.add({ command: ['true'], name: 'offline' });
  await page.locator(`.row[data-job="${j.id}"][data-state="completed"]`).waitFor();
  await page.context().close();
});

test('a job that is not there leads back to the list', async () => {
  const page = await browser.open(service);
  await page.goto(`${service.url}/jobs/999999`);
  await page.getByRole('alert').waitFor();
  await page.locator('.crumbs').getByRole('link', { name: 'Jobs' }).click();
  await page.waitForURL(`${service.url}/jobs`);
  await page.goto(`${service.url}/no/such/page`);
  await page.locator('main').getByRole('link', { name: 'Jobs' }).click();
  await page.getByRole('grid').waitFor();
  await page.context().close();
});

test('a page that breaks says so in both languages, and leads on', async () => {
  const words = {
    en: { broken: 'This page has stopped working', about: /run on.*Reload the page/, reload: 'Reload', list: 'Back to the list', settings: 'Settings' },
    ru: { broken: 'Страница перестала работать', about: /выполняются дальше.*Обновите страницу/, reload: 'Обновить', list: 'К списку заданий', settings: 'Настройки' },
  };
  for (const lang of ['en', 'ru']) {
    const w = words[lang];
    const page = await browser.open(service, { lang });
    // A part of the page that can't be loaded: as after an upgrade of the service, or without a network.
    const scripts = /\/assets\/.*\.js$/;
    const breaks = async () => {
      await page.goto(`${service.url}/queues`);
      await feed(page, 'live').waitFor({ state: 'attached' });
      await page.route(scripts, (r) => r.abort());
      await page.locator('.nav a[href="/settings"]').click();
      await page.getByRole('heading', { name: w.broken }).waitFor();
      await page.unroute(scripts);
    };
    await breaks();
    assert.match(await page.getByRole('alert').textContent(), w.about);
    assert.match(await page.locator('.broken pre').textContent(), /^TypeError: .*\/assets\//);
    await page.setViewportSize({ width: 360, height: 720 });
    assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 360);
    await page.setViewportSize({ width: 1280, height: 800 });
    await page.getByRole('button', { name: w.reload }).click();
    await page.getByRole('heading', { name: w.settings }).waitFor();
    assert.equal(new URL(page.url()).pathname, '/settings');

    await breaks();
    await page.getByRole('link', { name: w.list }).click();
    await page.getByRole('grid').waitFor();

    await breaks();
    await page.goBack();
    await page.locator('.nav a[href="/queues"][aria-current=page]').waitFor();
    await page.context().close();
  }
});

test('the bar of states is in proportion, and says the share of what is too small for it', async () => {
  await service.api('POST', '/api/jobs', { jobs: Array.from({ length: 60 }, () => ({ command: ['true'] })) });
  await service.add({ command: ['true'], hold: true });
  const page = await browser.open(service);
  await page.goto(service.url);
  await page.waitForFunction(() => document.querySelectorAll('.statebar-part').length > 1);
  const parts = await page.locator('.statebar-part').evaluateAll((all) => all.map((e) => ({ width: e.getBoundingClientRect().width, tip: e.title, all: e.parentElement.clientWidth })));
  for (const p of parts) {
    const [, n, total] = /^\w+: ([\d,]+) of ([\d,]+), (?:< )?[\d.]+ %$/.exec(p.tip).map((x) => Number(x.replaceAll(',', '')));
    assert.ok(p.width >= 8, p.tip);
    // The gaps, and what the small ones take more than their share, are all that differs.
    assert.ok(Math.abs(p.width - (p.all * n) / total) <= 10 * parts.length, `${p.tip} is ${p.width} px wide of ${p.all}`);
  }
  await page.context().close();
});
