// The library extended from outside: the examples with an op, a kernel and its programs of their own, in a project that
// has the built package installed, type-checked strictly and run; and what becomes of a kernel that the CPU backend
// meets for the first time.

import { spawnSync } from 'node:child_process';
import { cpSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { checkGradients } from '../engine/check/gradients.ts';
import { CpuBackend } from '../engine/cpu/backend.ts';
import { ConfigError } from '../engine/errors.ts';
import { defineOp, normal } from '../engine/op.ts';
import { mul, square } from '../engine/ops/index.ts';
import { rng } from '../engine/rng.ts';
import { wgsl } from '../engine/webgpu/own-shader.ts';
import { defineKernel } from '../kernels/kernel.ts';
import { elementwise } from '../kernels/wasm/program.ts';
import { layOut, typeErrors } from './support/consumer.ts';
import { describeGpu } from './support/gpu.ts';
import { temporaryFolder } from './support/temporary.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const folder = temporaryFolder();
const compiler = join(root, 'node_modules/typescript/bin/tsc');

const EXAMPLES = ['line.ts', 'characters.ts', 'own-op.ts', 'spiral.ts', 'own-arm.ts'];

beforeAll(() => {
  layOut(folder, join(root, 'dist'), root);
  for (const name of ['softplus.ts', ...EXAMPLES]) {
    cpSync(join(root, 'examples', name), join(folder, name));
  }
});

function run(cwd: string, ...args: string[]): string {
  const { stdout, stderr } = spawnSync(process.execPath, ['--import', import.meta.resolve('tsx'), ...args], {
    cwd,
    encoding: 'utf8',
  });
  return stdout + stderr;
}

test('the examples are right to a strict compiler, skipLibCheck off', () => {
  const project = {
    name: 'examples', lib: 'es2023,dom', types: ['node'], files: EXAMPLES, resolution: 'nodenext',
  } as const;
  expect(typeErrors(compiler, folder, project)).toBe('');
}, 60_000);

test('a line through points, and the characters of a text', () => {
  expect(run(folder, 'line.ts')).toMatch(/step 0: 7\.27?[^]*y = 3\.0 x - 2\.0\n$/);
  expect(run(folder, 'characters.ts')).toMatch(/step 120: 0\.\d+ nats a character\nthe .{28}\n$/);
});

test('an op of somebody\'s own: values, gradient, check', () => {
  expect(run(folder, 'own-op.ts')).toBe('0.313 0.693 2.127\n0.269 0.500 0.881\ntrue\n');
});

test('a network with that op learns', () => {
  const [first, last] = [...run(folder, 'spiral.ts', 'cpu').matchAll(/: ([\d.]+)/g)].map((match) => Number(match[1]));
  expect(first).toBeGreaterThan(0.5);
  expect(last).toBeLessThan(0.25);
});

test('a way of mid-training of somebody\'s own', () => {
  const [plain, mine] = [...run(folder, 'own-arm.ts').matchAll(/thinks first in ([\d.]+)%/g)].map((match) => Number(match[1]));
  expect(mine).toBeGreaterThan(plain!);
});

describeGpu('... and on WebGPU', () => {
  test('it takes the same 20 steps', () => {
    const losses = (device: string): number[] =>
      [...run(root, 'examples/spiral.ts', device, '20').matchAll(/: ([\d.]+)/g)].map((match) => Number(match[1]));
    const [cpu, gpu] = [losses('cpu'), losses('webgpu')];
    expect(cpu).toHaveLength(2);
    expect(gpu).toHaveLength(2);
    cpu.forEach((loss, i) => expect(Math.abs(loss - gpu[i]!)).toBeLessThan(1e-2));
  });
});

const N = 500_000; // enough work for threads

/** out = factor x + i, a different one for each name. */
const scaled = (name: string) => defineKernel({
  name,
  bindings: { x: 'read', out: 'write' },
  params: ['n', 'factor'],
  reference({ x, out }, { n, factor }) {
    for (let i = 0; i < n; i++) out[i] = factor * x[i]!;
  },
  wasm: elementwise({
    name,
    buffers: ['x', 'out'],
    floats: ['factor'],
    cost: 10,
    body: (f, lanes, at, { factor }) => f.store(at.out, lanes.mul(lanes.load(at.x), factor)),
  }),
});

describe('a kernel that the CPU backend does not know', () => {
  test.each([1, 2, 3])('runs as WebAssembly, on %i threads, beside ours and others', async (threads) => {
    const backend = new CpuBackend({ threads });
    const values = Float32Array.from(rng(1).normals(N));
    const [x, out] = [backend.alloc(N, 'f32'), backend.alloc(N, 'f32')];
    backend.write(x, values);
    const [one, other] = [scaled('one'), scaled('other')];
    for (const [kernel, factor] of [[one, 2], [other, 3], [one, 4]] as const) {
      backend.dispatch(kernel, { x, out }, { n: N, factor });
      const found = await backend.read(out);
      expect(found.every((value, i) => value === Math.fround(factor * values[i]!))).toBe(true);
    }
    expect(Object.fromEntries(backend.calls)).toEqual({
      one: { wasm: 2, reference: 0 }, other: { wasm: 1, reference: 0 },
    });
    await backend.close();
  });

  test('runs its reference where programs are not asked for', () => {
    for (const backend of [new CpuBackend({ wasm: false }), new CpuBackend({ precision: 'f64' })]) {
      const [x, out] = [backend.alloc(8, 'f32'), backend.alloc(8, 'f32')];
      backend.dispatch(scaled('one'), { x, out }, { n: 8, factor: 2 });
      expect(backend.calls.get('one')).toEqual({ wasm: 0, reference: 1 });
    }
  });
});

describe('wgsl()', () => {
  const head = 'struct Params { n: u32, factor: f32, }\n@group(0) @binding(0) var<uniform> p: Params;\n';
  const body = '@compute @workgroup_size(64) fn main() {}';

  test('finds bindings and parameters', () => {
    const buffers =
      '@group(0) @binding(1) var<storage> x: array<f32>; // read\n' +
      '@group(0)\n@binding(2) var<storage, read_write> out : array<f32>;\n';
    expect(wgsl(`${head}${buffers}${body}`, 'mine')).toMatchObject({
      path: 'mine',
      params: [{ name: 'n', type: 'u32' }, { name: 'factor', type: 'f32' }],
      bindings: [{ name: 'x', access: 'read' }, { name: 'out', access: 'read_write' }],
    });
  });

  test.each([
    ['', 'wgsl: source = "": must be some text'],
    [body, 'wgsl: a shader of your own: has no struct Params'],
    ['struct Params { n: vec2f, }', 'struct Params: "n: vec2f": must be name: u32, i32 or f32'],
    [`${head}@group(0) @binding(3) var<storage> x: array<f32>;`, 'binding 3 ("x"): bindings must be numbered 1, 2, ...'],
    [head, 'has no @compute fn main'],
  ])('refuses %j', (source, message) => {
    expect(() => wgsl(source)).toThrow(ConfigError);
    expect(() => wgsl(source)).toThrow(message);
  });
});

describe('checkGradients()', () => {
  const { def } = square;
  const twice = (backward: typeof def.backward) => defineOp({ ...def, name: 'mine', attrs: {}, backward });

  test('takes an op of ours, with constants', async () => {
    expect(await checkGradients(square)).toBeLessThan(1e-7);
  });

  test('finds a wrong derivative, one that is missing, and an op without cases', async () => {
    expect(await checkGradients(twice((grad, { inputs: [x] }) => [mul(grad, x)]))).toBeGreaterThan(0.1);
    await expect(checkGradients(twice(() => [null]))).rejects.toThrow('input 0 has no gradient of its shape');
    const bare = defineOp({ ...def, name: 'bare', attrs: {}, cases: undefined as never });
    await expect(checkGradients(bare)).rejects.toThrow('checkGradients: bare: has no cases');
    await expect(checkGradients((() => 1) as never)).rejects.toThrow('op = a function: must be an op');
  });

  test('names what cases are filled with', () => {
    expect(normal(2, 3)).toEqual({ shape: [2, 3], values: 'normal' });
  });
});
