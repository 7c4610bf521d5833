// What a refactor must not change, as hashes: every emitted WASM program, every specialised shader, and the bytes of a
// short run.
//   npm run --silent fingerprint > before.json          ... then change, and
//   npm run --silent fingerprint -- before.json         prints what differs; exit code 1 if anything does
// --programs leaves out the run.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { specialise } from '../engine/webgpu/pipelines.ts';
import { kernels } from '../kernels/index.ts';
import type { Kernel } from '../kernels/kernel.ts';
import { WasmModule } from '../kernels/wasm/assembler.ts';
import type { WgslProgram } from '../kernels/wgsl.ts';

/** By name: `wasm matmul`, `wgsl matmul tiled`, `run metrics.jsonl`. */
export type Fingerprint = Readonly<Record<string, string>>;

/** What programs are specialised for: each size alike for every parameter. */
const SIZES = [1, 2, 7, 16, 33, 128, 1024, 5000];

/** The programs of these kernels. */
export function programsFingerprint(of: readonly Kernel[] = kernels): Fingerprint {
  const all: Record<string, string> = {};
  for (const kernel of of) {
    for (const relaxed of [false, true]) {
      if (kernel.wasm) all[`wasm ${kernel.name}${relaxed ? ' relaxed' : ''}`] = hash(emitted(kernel, relaxed));
    }
    const shaders = { ...(kernel.wgsl && { portable: kernel.wgsl }), ...kernel.variants };
    for (const [variant, program] of Object.entries(shaders)) {
      all[`wgsl ${kernel.name} ${variant}`] = hash(shaderTexts(kernel, program));
    }
  }
  return all;
}

/** A module that holds this kernel's programs alone. */
function emitted({ wasm }: Kernel, relaxed: boolean): Uint8Array {
  const module = new WasmModule({ shared: true, maximumPages: 65536, relaxed });
  for (const part of wasm!.parts) {
    const names = ['args', 'first', 'last', 'scratch'] as const;
    module.task(module.function(part.name, names, (f, { args, ...range }) => part.emit(f, args, range)));
  }
  return module.bytes();
}

/** Every text, grid and set of constants that a shader has at these sizes, or how it refuses one. */
function shaderTexts({ params: names }: Kernel, program: WgslProgram<string, string>): string {
  const texts = SIZES.map((size) => {
    try {
      return shaderText(program, Object.fromEntries(names.map((name) => [name, size])));
    } catch (error) {
      return String(error);
    }
  });
  return texts.join('\n');
}

function shaderText(program: WgslProgram<string, string>, params: Readonly<Record<string, number>>): string {
  const { substitutions = {} } = program;
  const chosen = typeof substitutions === 'function' ? substitutions(params) : substitutions;
  const text = tokens(specialise(program.shader, chosen));
  return JSON.stringify([text, program.constants?.(params), program.grid(params)]);
}

/** A shader without what its reader alone sees: comments, line ends, a comma after the last of a list. */
function tokens(wgsl: string): string {
  return wgsl
    .replaceAll(/\/\/.*|\/\*[^]*?\*\//g, '')
    .replaceAll(/\s+/g, ' ')
    .replaceAll(/ ?([(){},;]) ?/g, '$1')
    .replaceAll(/,(?=[)}])/g, '');
}

/** What `train --preset short` writes with the build in dist/. */
export function runFingerprint(): Fingerprint {
  const out = mkdtempSync(join(tmpdir(), 'fingerprint-'));
  try {
    const program = fileURLToPath(new URL('../dist/remit/cli/bin.js', import.meta.url));
    const args = ['train', '--preset', 'short', '--device', 'cpu', '--out', join(out, 'run')];
    const { status, stderr } = spawnSync(process.execPath, [program, ...args], { encoding: 'utf8' });
    if (status !== 0) throw new Error(`fingerprint: train --preset short: exit code ${status}: ${stderr}`);
    const checkpoints = readdirSync(join(out, 'run', 'checkpoints')).map((name) => `checkpoints/${name}`);
    const files = ['metrics.jsonl', 'evaluation.json', ...checkpoints];
    return Object.fromEntries(files.map((name) => [`run ${name}`, hash(readFileSync(join(out, 'run', name)))]));
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

/** What differs between two, by name. */
export function differences(before: Fingerprint, after: Fingerprint): string[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return names.filter((name) => before[name] !== after[name]);
}

function hash(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex').slice(0, 16);
}

function main(args: readonly string[]): number {
  const now = { ...programsFingerprint(), ...(args.includes('--programs') ? {} : runFingerprint()) };
  const file = args.find((arg) => !arg.startsWith('--'));
  if (file === undefined) {
    console.log(JSON.stringify(now, null, 1));
    return 0;
  }
  const before = JSON.parse(readFileSync(file, 'utf8')) as Fingerprint;
  const changed = differences(before, now);
  for (const name of changed) console.log(`${name}: ${before[name] ?? 'not there'} -> ${now[name] ?? 'not there'}`);
  console.log(`${Object.keys(now).length} hashes, ${changed.length} differ from ${file}`);
  return changed.length === 0 ? 0 : 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = main(process.argv.slice(2));
