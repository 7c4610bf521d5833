// The suites that take longer than a minute: npm run test:soak, or one of them: npm run test:soak faults.

import './scripts/embed-wgsl.mjs';
import { defineConfig } from 'vitest/config';

export default defineConfig({ test: { include: ['tests/soak/*.soak.ts'], pool: 'forks', fileParallelism: false, testTimeout: 4 * 3_600_000, hookTimeout: 600_000 } });
