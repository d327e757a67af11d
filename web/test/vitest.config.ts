import { defineConfig } from 'vitest/config';

// What drives the built program by a generated client; `npm run unit` is for the page alone.
export default defineConfig({ test: { include: ['test/**/*.test.ts'], testTimeout: 60_000, hookTimeout: 60_000 } });
