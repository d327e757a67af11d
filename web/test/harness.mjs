// What the browser tests stand on: the built program in a home of its own, with real jobs, and Debian's chromium.
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const here = dirname(fileURLToPath(import.meta.url));
const program = join(here, '../../bin/queuemgr');
export const shots = process.env.QUEUEMGR_SHOTS ?? join(here, '../shots');
mkdirSync(shots, { recursive: true });

// A free port: the daemon comes back to the same one after a crash.
function freePort() {
  return new Promise((resolve, reject) => {
    const s = net.createServer().on('error', reject);
    s.listen(0, '127.0.0.1', () => {
      const { port } = s.address();
      s.close(() => resolve(port));
    });
  });
}

export class Service {
  // start starts a daemon in a fresh home; prepare fills that home before.
  static async start(prepare) {
    const s = new Service();
    s.home = mkdtempSync(join(tmpdir(), 'queuemgr-web-'));
    s.port = await freePort();
    s.url = `http://127.0.0.1:${s.port}`;
    await prepare?.(s);
    s.run('service', 'start');
    return s;
  }

  env() {
    return { ...process.env, QUEUEMGR_HOME: this.home, QUEUEMGR_WEB_LISTEN: `127.0.0.1:${this.port}` };
  }

  run(...args) {
    return execFileSync(program, args, { env: this.env(), encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  }

  spawn(...args) {
    return new Promise((resolve, reject) => execFile(program, args, { env: this.env() }, (e, out) => (e ? reject(e) : resolve(out))));
  }

  // api speaks over the unix socket, as the service's owner.
  api(method, path, body) {
    return new Promise((resolve, reject) => {
      const r = http.request({ socketPath: join(this.home, 'run/queuemgr.sock'), method, path, headers: body ? { 'Content-Type': 'application/json' } : {} }, (a) => {
        const parts = [];
        a.on('data', (d) => parts.push(d));
        a.on('end', () => {
          const text = Buffer.concat(parts).toString();
          if (a.statusCode >= 400) reject(new Error(`${method} ${path}: ${a.statusCode} ${text}`));
          else resolve(text ? JSON.parse(text) : undefined);
        });
      });
      r.on('error', reject);
      r.end(body ? JSON.stringify(body) : undefined);
    });
  }

  add(spec) {
    return this.api('POST', '/api/jobs', spec);
  }

  // ended waits for a job's end, which the server tells.
  async ended(id) {
    for (;;) {
      const j = await this.api('GET', `/api/jobs/${id}?wait=60`);
      if (['completed', 'failed', 'stopped', 'skipped'].includes(j.state)) return j;
    }
  }

  async link(role) {
    return (await this.api('POST', '/api/logins', role ? { role } : {})).url;
  }

  daemonPid() {
    return Number(readFileSync(join(this.home, 'run/daemon.pid'), 'utf8').trim().split(/\s+/)[0]);
  }

  // kill ends the daemon as a crash does, and returns when it is gone.
  async kill() {
    const gone = new Promise((resolve) => {
      const s = net.connect(this.port, '127.0.0.1');
      s.on('error', resolve);
      s.on('close', resolve);
      s.resume();
      s.on('connect', () => process.kill(this.daemonPid(), 'SIGKILL'));
    });
    await gone;
  }

  stop() {
    this.run('service', 'stop');
    rmSync(this.home, { recursive: true, force: true });
  }
}

const flags = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage'];

export class Browser {
  static async start() {
    const b = new Browser();
    b.chromium = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', headless: true, args: flags });
    b.errors = [];
    return b;
  }

  // open returns a page that is logged in. A context is a browser of its own, with fresh data.
  async open(service, { role, scheme = 'light', lang = 'en', width = 1280, height = 800 } = {}) {
    const context = await this.chromium.newContext({ viewport: { width, height }, colorScheme: scheme, locale: lang === 'ru' ? 'ru-RU' : 'en-US', acceptDownloads: true });
    const page = await context.newPage();
    page.setDefaultTimeout(20_000);
    page.on('pageerror', (e) => this.errors.push(String(e.stack ?? e)));
    page.on('dialog', (d) => {
      this.errors.push(`a dialog: ${d.message()}`);
      void d.dismiss();
    });
    page.on('console', (m) => {
      // What the policy refuses is said here.
      if (/Content Security Policy|Content-Security-Policy/.test(m.text())) this.errors.push(m.text());
    });
    await page.goto(await service.link(role));
    await page.locator('.nav').waitFor();
    return page;
  }

  async stop() {
    await this.chromium.close();
    assert.deepEqual(this.errors, [], 'errors in the pages');
  }
}

export const state = (page, name) => page.locator(`.strip[data-state="${name}"]`);
export const row = (page, id) => page.locator(`.row[data-job="${id}"]`);
export const feed = (page, name) => page.locator(`[data-feed="${name}"]`);
