import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import react from '@vitejs/plugin-react';
import { type Plugin, defineConfig } from 'vite';
import { palette } from './palette.ts';

// compress leaves each file that shrinks as .gz alone: the program carries one copy, and unpacks it
// for the rare client that takes no gzip.
function compress(): Plugin {
  let out = '';
  return {
    name: 'compress',
    apply: 'build',
    configResolved: (c) => {
      out = c.build.outDir;
    },
    closeBundle() {
      for (const entry of readdirSync(out, { recursive: true, withFileTypes: true })) {
        const path = join(entry.parentPath, entry.name);
        if (!entry.isFile() || !/\.(js|css|svg|html)$/.test(entry.name)) continue;
        writeFileSync(`${path}.gz`, gzipSync(readFileSync(path), { level: 9 }));
        rmSync(path);
      }
    },
  };
}

// ansi serves the sheet of terminal colours, which nobody should have to write.
function ansi(): Plugin {
  const name = 'virtual:ansi.css';
  return { name: 'ansi', resolveId: (id) => (id === name ? `\0${name}` : undefined), load: (id) => (id === `\0${name}` ? palette() : undefined) };
}

// While developing, the API is a daemon's unix socket: QUEUEMGR_SOCKET, or the user's own service.
const socketPath = process.env['QUEUEMGR_SOCKET'] ?? join(homedir(), '.local/state/queuemgr/queuemgr.sock');
const proxy = { '/api': { target: { socketPath, host: 'localhost', port: 80 }, changeOrigin: false, bypass: (r: { url?: string }) => (r.url === '/api/docs' ? '/index.html' : undefined) } };

export default defineConfig({
  plugins: [react(), ansi(), compress()],
  build: {
    target: 'es2022',
    assetsInlineLimit: 0, // nothing inline: the Content-Security-Policy takes files alone
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 900,
  },
  worker: { format: 'es' },
  server: { port: 5173, proxy },
  preview: { port: 5174, proxy },
  test: { include: ['src/**/*.test.ts'] },
} as Parameters<typeof defineConfig>[0]);
