// The suites that take longer than a minute, and fuzzing for longer: npm run test:soak, or one of them: npm run
// test:soak faults.

import './scripts/embed-wgsl.mjs';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

// as package.json's "imports" say of the built files
const alias = { '#node-adapter': fileURLToPath(new URL('./engine/webgpu/node-adapter.ts', import.meta.url)) };

export default defineConfig({
  resolve: { alias },
  test: {
    include: ['tests/soak/*.soak.ts', 'tests/remit/fuzz.test.ts'],
    env: { REMIT_FUZZ: '10000' },
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 4 * 3_600_000,
    hookTimeout: 600_000,
  },
});
