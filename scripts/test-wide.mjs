// npm run test:wide: what depends on the width of vectors, under a Node that makes them wide. On Linux on x64 with AVX2
// it fails when that does not come on; elsewhere there is nothing to test.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fetchNode } from './wide-node.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const tests = [
  'tests/kernels', 'tests/golden.test.ts', 'tests/ops.gradient.test.ts', 'tests/ops.values.test.ts',
  'tests/kernels.parity.test.ts', 'tests/determinism.test.ts', 'tests/engine/threads.test.ts',
  'tests/engine/width.test.ts',
];

/** Why there is nothing to test; empty where there is. */
function reason() {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    return `${process.platform} ${process.arch} is not Linux on x64`;
  }
  return /\bavx2\b/.test(readFileSync('/proc/cpuinfo', 'utf8')) ? '' : 'this processor has no AVX2';
}

const why = reason();
if (why === '') {
  const node = fetchNode();
  const vitest = join(root, 'node_modules/vitest/vitest.mjs');
  const args = [vitest, 'run', '--project', 'node', ...tests, ...process.argv.slice(2)];
  const { status } = spawnSync(node, args, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, REMIT_REQUIRE_WIDE: '1' },
  });
  process.exitCode = status ?? 1;
} else {
  console.log(`test:wide: left out: ${why}`);
}
