// remit-mini bench: what it says, writes and refuses. Times themselves are nowhere asserted.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { EXIT } from '../../remit/app/cli/exit.ts';
import { inProcess } from '../support/command-line.ts';
import { temporaryFolder } from '../support/temporary.ts';

const folder = temporaryFolder();
const at = (name: string): string => join(folder, name);
const quick = ['--device', 'cpu', '--time', '0.01'];

test('kernels: a table, lines that --compare reads, a picture', async () => {
  const wanted = ['bench', 'kernels', ...quick, '--only', 'softmax', '--shapes', '736x70,64x512'];
  const out = await inProcess([...wanted, '--out', at('lines.jsonl'), '--plot', at('plot.svg')]);
  expect(out).toMatchObject({ code: 0, stderr: '' });
  expect(out.stdout).toMatch(/^cpu \(.+, one thread\); node v[\d.]+\nat most [\d.]+ GFLOP\/s; a dispatch .+\nGB\/s: /);
  expect(out.stdout).toMatch(/\nsoftmax 736x70 +[\d.]+ +[\d.]+\.\.[\d.]+ +[\d.]+ +[\d.]+ +\d+% +memory\n/);
  expect(out.stdout.split('\n').filter((line) => line.length > 80 && !line.startsWith('cpu'))).toEqual([]);
  const lines = readFileSync(at('lines.jsonl'), 'utf8').trim().split('\n').map((line) => JSON.parse(line) as object);
  expect(lines).toHaveLength(2);
  expect(lines[0]).toMatchObject({
    version: 1, label: 'softmax 736x70', program: 'wasm', threads: 1, software: false,
    versions: { node: process.versions.node },
    adapter: { cores: expect.any(Number) as number },
    ceilings: { gflops: expect.any(Number) as number },
    clockResolutionMs: expect.any(Number) as number,
  });
  expect(readFileSync(at('plot.svg'), 'utf8')).toMatch(/^<svg [^]*softmax 64x512, wasm[^]*<\/svg>\n$/);

  const again = await inProcess([...wanted, '--compare', at('lines.jsonl')]);
  expect(again.stdout).toMatch(/as time now over time then \(95%\)\nsoftmax 736x70 {2}wasm {2}[\d.]+ \([\d.]+ to [\d.]+\): /);
});

test('over size and threads: a line for each, drawn', async () => {
  const argv = ['bench', 'matmul', ...quick, '--shapes', '8x8x8,16x16x16,32x32x32', '--threads', '2', '--scaling'];
  const { stdout } = await inProcess([...argv, '--plot', at('scaling.svg')]);
  expect(stdout).toMatch(/one thread[^]*2 threads/);
  const picture = readFileSync(at('scaling.svg'), 'utf8');
  expect(picture).toMatch(/Over size[^]*Over threads/);
  expect(picture).toContain('matmul 32x32x32');
});

test('what is slower than --fail-below ends with 6', async () => {
  const wanted = ['bench', 'memory', ...quick, '--only', 'copy', '--shapes', '110000'];
  expect(await inProcess([...wanted, '--out', at('copy.jsonl')])).toMatchObject({ code: 0 });
  const then = JSON.parse(readFileSync(at('copy.jsonl'), 'utf8')) as { samplesMs: number[] };
  // as if it had taken next to nothing
  writeFileSync(at('fast.jsonl'), JSON.stringify({ ...then, samplesMs: then.samplesMs.map((ms) => ms / 1e4) }));
  const out = await inProcess([...wanted, '--compare', at('fast.jsonl'), '--fail-below', '0.9']);
  expect(out).toMatchObject({ code: 6, stderr: 'bench: 1 of 1 below 0.9 of the earlier speed\n' });
});

test('a training step and generation are checked, then timed', async () => {
  const step = await inProcess(['bench', 'step', ...quick, '--only', 'tiny-world']);
  expect(step).toMatchObject({ code: 0, stderr: '' });
  expect(step.stdout).toMatch(/\nstep tiny-world, by kernel\n {2}matmul +[\d.]+ ms +[\d.]+%\n/);
  const generation = await inProcess(['bench', 'generate', ...quick, '--only', 'tiny-world']);
  expect(generation.stdout).toMatch(/\ngenerate tiny-world 1x16 +\d/);
});

const js = (body: string, more = ''): string =>
  `export default { like: 'softmax', ${more} js({ x, out }, { rows, V }) { ${body} } };`;
const right = `
  for (let i = 0; i < rows; i++) {
    let sum = 0;
    for (let j = 0; j < V; j++) sum += Math.exp(x[i * V + j]);
    for (let j = 0; j < V; j++) out[i * V + j] = Math.exp(x[i * V + j]) / sum;
  }`;

/** Writes a kernel's file and benchmarks it. */
async function benchOwn(name: string, source: string, ...args: string[]) {
  writeFileSync(at(name), source);
  const out = await inProcess(['bench', '--kernel', at(name), '--time', '0.01', ...args]);
  return { ...out, stderr: out.stderr.replaceAll(at(name), name) };
}

test('a kernel of somebody\'s own: a right one is timed beside ours', async () => {
  const out = await benchOwn('mine.mjs', js(right), '--shapes', '64x70');
  expect(out).toMatchObject({ code: 0, stderr: '' });
  expect(out.stdout).toMatch(/\nmine.mjs: right at 3 odd sizes of softmax\n/);
  expect(out.stdout).toMatch(/\nsoftmax 64x70 {2}mine.mjs +\d[^]*\nsoftmax 64x70 {2}wasm +\d/);
});

test('... in WebAssembly', async () => {
  // (func (export "run") (param $x i32) (param $out i32) (param $n i32): copies, four bytes at a time
  const wasm = [
    0, 97, 115, 109, 1, 0, 0, 0, 1, 7, 1, 96, 3, 127, 127, 127, 0, 2, 15, 1, 3, 101, 110, 118, 6, 109, 101, 109, 111,
    114, 121, 2, 0, 1, 3, 2, 1, 0, 7, 7, 1, 3, 114, 117, 110, 0, 0, 10, 17, 1, 15, 0, 32, 1, 32, 0, 32, 2, 65, 2, 116,
    252, 10, 0, 0, 11,
  ];
  const file = `export default { like: 'copy', wasm: Uint8Array.of(${wasm.join(', ')}) };`;
  const out = await benchOwn('copy.mjs', file, '--shapes', '1000');
  expect(out).toMatchObject({ code: 0, stderr: '' });
  expect(out.stdout).toContain('copy.mjs: right at 3 odd sizes of copy\n');
});

test.each([
  [js(right.replace('/ sum', '/ sum + (j === 3 ? 0.01 : 0)')), 'at softmax 3x7: out[3] is '],
  [js(''), 'at softmax 1x1: out[0] is NaN, the reference says 1: nothing was timed'],
  [js('throw new Error("oh");'), 'at softmax 1x1: oh'],
  [js(right, 'fits: () => false,'), 'fits none of 1x1, 3x7, 5x129: nothing to check it at'],
  ["export default { like: 'sofmax', js() {} };", 'like sofmax: must be one of matmul, '],
  ["export default { like: 'copy', wasm: Uint8Array.of(0, 97) };", '--kernel: its WASM: WebAssembly.Module(): '],
  ["export default { like: 'softmax' };", 'has no program: must have one of js, wasm and wgsl'],
  ["export default { like: 'softmax', wgsl: 'x' };", 'grid: must be a function of the sizes'],
  ['export const x = 1;', 'exports nothing by default'],
  ['export default {', 'cannot be loaded: '],
])('a wrong kernel is refused in one line: %j', async (source, message) => {
  const name = `wrong-${Math.random().toString(36).slice(2)}.mjs`; // modules are loaded once
  const { code, stderr } = await benchOwn(name, source);
  expect([1, 2]).toContain(code);
  expect(stderr).toContain(message);
  expect(stderr.trim().split('\n')).toHaveLength(1);
});

test.each([
  [['bench', 'kernles'], 'bench: kernles: must be one of kernels, '],
  [['bench', '--device', 'gpu'], 'bench: --device gpu: must be of cpu, webgpu'],
  [['bench', '--only', 'sofmax'], 'bench kernels: --only sofmax: none of matmul, '],
  [['bench', '--shapes', '3x4'], 'bench: --shapes: is for one kernel: name it with --only'],
  [['bench', '--only', 'softmax', '--shapes', '3'], 'bench: 3: is no shape of softmax: write ROWSxLENGTH, such as 736x70'],
  [['bench', 'step', '--shapes', '3x4'], 'bench step: --shapes: only kernels have shapes'],
  [['bench', '--fail-below', '0.9'], 'bench: --fail-below: needs --compare'],
  [['bench', '--compare', 'no.jsonl'], 'bench: --compare no.jsonl: no such file'],
  [['bench', '--compare', 'package.json'], 'bench: package.json: line 1: is no figure of remit-mini bench'],
  [['bench', '--plot', 'no/where.svg'], 'bench: --plot no/where.svg: no such file or folder'],
  [['bench', 'dispatch', '--plot', at('x.svg')], 'bench dispatch: --plot: there is nothing to draw'],
  [['bench', '--node', 'no-node'], 'bench: --node no-node: cannot be started'],
  [['bench', '--time', '-1'], 'bench: --time'],
])('%j is one line', async (args, message) => {
  const { code, stdout, stderr } = await inProcess(args);
  expect([EXIT.usage, EXIT.damaged]).toContain(code);
  expect(stdout).toBe('');
  expect(stderr).toContain(message);
  expect(stderr.trim().split('\n')).toHaveLength(1);
});
