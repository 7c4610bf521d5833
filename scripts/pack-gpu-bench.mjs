// node scripts/pack-gpu-bench.mjs FILE.tar.gz: `npm run bench gpu` for a Linux machine without network, npm or Node:
// one archive with this Node, Dawn for x64 and the benchmark as one file. There: tar xzf FILE.tar.gz && ./gpu-bench/run
// --out results What it cannot bring is the GPU's driver and the Vulkan loader (libvulkan.so.1).

import { build } from 'esbuild';
import { spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const target = process.argv[2];
if (target === undefined) {
  console.error('node scripts/pack-gpu-bench.mjs FILE.tar.gz');
  process.exit(2);
}

const scratch = mkdtempSync(join(tmpdir(), 'remit-pack-'));
const folder = join(scratch, 'gpu-bench');
const dawn = 'node_modules/webgpu';
mkdirSync(join(folder, dawn, 'dist'), { recursive: true });
await build({
  entryPoints: [join(root, 'bench/main.ts')],
  outfile: join(folder, 'bench.mjs'),
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  external: ['webgpu'],
  ignoreAnnotations: true,
  logLevel: 'warning',
});
for (const file of ['index.js', 'package.json']) copyFileSync(join(root, dawn, file), join(folder, dawn, file));
cpSync(join(root, dawn, 'dist/linux-x64'), join(folder, dawn, 'dist/linux-x64'), { recursive: true });
copyFileSync(join(root, 'bench/gpu.torch.py'), join(folder, 'gpu.torch.py'));
copyFileSync(process.execPath, join(folder, 'node'));
spawnSync('strip', [join(folder, 'node')]); // a seventh smaller; where there is no such program, it stays as it is
writeFileSync(join(folder, 'run'), '#!/bin/sh\nhere=$(dirname "$0")\nexec "$here/node" "$here/bench.mjs" gpu "$@"\n', {
  mode: 0o755,
});
const { status } = spawnSync('tar', ['czf', resolve(target), '-C', scratch, 'gpu-bench'], { stdio: 'inherit' });
rmSync(scratch, { recursive: true });
process.exitCode = status ?? 1;
