// npm run site: builds the page (site/) into dist/site, or --out, with the models that come with it. They are trained
// here from seed 0, which takes a minute, and never kept with the sources; --preset short makes worse ones in seconds.
// Read after: site/vite.config.ts.

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { build } from 'vite';
import { readSafetensors } from '../dist/index.js';

const STAGES = ['pretrain', 'sft', 'rl', 'remit']; // what the page looks at

const { values } = parseArgs({ options: { out: { type: 'string' }, preset: { type: 'string', default: 'tiny' } } });
const root = join(import.meta.dirname, '..');
const out = resolve(values.out ?? join(root, 'dist/site'));

process.env.NODE_ENV = 'production';
await build({
  mode: 'production',
  configFile: join(root, 'site/vite.config.ts'),
  logLevel: 'warn',
  build: { outDir: out },
});
const folder = mkdtempSync(join(tmpdir(), 'remit-site-'));
try {
  const run = join(folder, 'run');
  const train = [
    join(root, 'dist/remit/cli/bin.js'),
    'train',
    '--preset',
    values.preset,
    '--device',
    'cpu',
    '--out',
    run,
  ];
  const { status } = spawnSync(process.execPath, train, { stdio: ['ignore', 'ignore', 'inherit'] });
  if (status !== 0) throw new Error(`site: training the models ended with exit code ${status}`);
  mkdirSync(join(out, 'models'), { recursive: true });
  for (const stage of STAGES) {
    writeFileSync(
      join(out, 'models', `${stage}.safetensors`),
      halved(readFileSync(join(run, 'checkpoints', `${stage}.safetensors`))),
    );
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
console.log(`site: ${out}: open it by any server of files, or by remit-mini view`);

/** The same model in bfloat16, half as long: enough to look at, not to train on. */
function halved(bytes) {
  const { tensors, metadata } = readSafetensors(bytes, 'checkpoint');
  const header = { __metadata__: { format: 'pt', model: metadata.get('model') } };
  const parts = [];
  let at = 0;
  for (const [name, { shape, data }] of tensors) {
    const part = Buffer.from(
      Uint16Array.from(new Uint32Array(data.buffer, data.byteOffset, data.length), rounded).buffer,
    );
    header[name] = { dtype: 'BF16', shape, data_offsets: [at, at + part.length] };
    parts.push(part);
    at += part.length;
  }
  const text = JSON.stringify(header);
  const padded = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  return Buffer.concat([length, padded].concat(parts));
}

/** The upper half of a float, to the nearest, ties to even. */
function rounded(bits) {
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}
