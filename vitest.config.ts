import './scripts/embed-wgsl.mjs'; // a shader that was edited a moment ago is the one that is tested
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['tests/**/*.test.ts'],
    pool: 'forks', // a native crash then costs one file, not the whole run
    testTimeout: 30_000,
  },
});
