// npm run bench matmul [folder where jax-js is installed] [folder of the prototype wasmgemm.mjs]: the WASM matrix
// product on one thread, checked against its reference first, then timed by turns with jax-js's WASM backend and with
// the prototype that set our ceiling.

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { CpuBackend } from '../engine/cpu/backend.ts';
import { relaxedSimd } from '../engine/cpu/wasm/relaxed.ts';
import { ConfigError } from '../engine/errors.ts';
import { matmulParams, type MatmulShape } from '../engine/matmul-probe.ts';
import { rng } from '../engine/rng.ts';
import { matmulKernel } from '../kernels/matmul/matmul.ts';
import { benchArguments } from './arguments.ts';
import { byTurns, type Contender } from './harness.ts';

const shapes: readonly MatmulShape[] = [
  { M: 256, N: 256, K: 256 },
  { M: 512, N: 512, K: 512 },
  { M: 1024, N: 1024, K: 1024 },
  { M: 2048, N: 512, K: 128 },
  { M: 2048, N: 128, K: 512 },
  // the tiny world's training step: qkv forward, its two gradients, the MLP; then one row, as in decoding
  { M: 736, N: 192, K: 64, transB: 1 },
  { M: 736, N: 64, K: 192 },
  { M: 192, N: 64, K: 736, transA: 1 },
  { M: 736, N: 352, K: 64, transB: 1 },
  { M: 736, N: 64, K: 64, transB: 1 },
  { M: 736, N: 64, K: 176, transB: 1 },
  { M: 1, N: 512, K: 512, transB: 1 },
];

export const help = `npm run bench matmul -- [<folder of peers> [<folder of probes>]]

The matrix product on one thread; beside others', where the folders of their benchmarks are given.
`;

export async function run(argv: readonly string[]): Promise<void> {
  const [peers, probes] = benchArguments('matmul', argv, {}, 2).positionals;
  const jax = peers === undefined ? undefined : await loadJax(resolve(peers));
  const prototype = probes === undefined ? undefined : await loadPrototype(resolve(probes));
  console.log(
    `node ${process.version}, relaxed SIMD ${relaxedSimd() ? 'on' : 'off'}, one thread; GFLOP/s, best (median) of 28 ` +
    'samples taken by turns',
  );
  for (const shape of shapes) {
    const contenders = [
      await ours(shape),
      ...(shape.transA || shape.transB ? [] : [jax?.(shape), prototype?.(shape)]),
    ].filter((c) => c !== undefined);
    const timings = await byTurns(contenders);
    const rate = (ms: number): string => ((2 * shape.M * shape.N * shape.K) / ms / 1e6).toFixed(1);
    const cells = timings.map(({ name, best, median }) => `${name} ${rate(best)} (${rate(median)})`);
    const ratios = timings.slice(1).map(({ name, best }) => `${(best / timings[0]!.best).toFixed(2)}x ${name}`);
    const label = `${shape.M}x${shape.N}x${shape.K} ${shape.transA ? 'T' : 'N'}${shape.transB ? 'T' : 'N'}`;
    console.log([label.padEnd(18), ...cells, ...ratios].join('  '));
  }
}

async function ours(shape: MatmulShape): Promise<Contender> {
  const { M, N, K } = shape;
  const params = matmulParams(shape);
  const a = rng(1).normals(M * K);
  const b = rng(2).normals(K * N);
  const results: Float32Array[] = [];
  const dispatches = [new CpuBackend(), new CpuBackend({ wasm: false })].map((backend) => {
    const second = backend.alloc(K * N, 'f32');
    const buffers = {
      a: backend.alloc(M * K, 'f32'),
      b: second,
      bias: second,
      residual: second,
      out: backend.alloc(M * N, 'f32'),
    };
    backend.write(buffers.a, a);
    backend.write(buffers.b, b);
    return { dispatch: () => backend.dispatch(matmulKernel, buffers, params), read: () => backend.read(buffers.out) };
  });
  for (const { dispatch, read } of dispatches) {
    dispatch();
    results.push((await read()) as Float32Array);
  }
  const worst = results[0]!.reduce((max, value, i) => Math.max(max, Math.abs(value - results[1]![i]!)), 0);
  // float32 sums of K products
  if (!(worst < 1e-5 * K)) throw new Error(`matmul ${M}x${N}x${K}: differs from its reference by ${worst}`);
  return { name: 'remit-mini', run: dispatches[0]!.dispatch };
}

type Make = (shape: MatmulShape) => Contender;

async function loadJax(folder: string): Promise<Make> {
  if (!existsSync(join(folder, 'node_modules/@jax-js/jax'))) {
    throw new ConfigError(`bench matmul: ${folder}: has no node_modules/@jax-js/jax: run npm ci there first`);
  }
  await import(pathToFileURL(join(folder, 'lib/es2025-polyfill.mjs')).href);
  Object.assign(globalThis, { navigator: globalThis.navigator ?? { userAgent: 'Node.js', hardwareConcurrency: 1 } });
  const entry = createRequire(join(folder, 'package.json')).resolve('@jax-js/jax').replace(/\.cjs$/, '.js');
  const { init, defaultDevice, numpy, jit } = await import(pathToFileURL(entry).href);
  await init('wasm');
  defaultDevice('wasm');
  const product = jit((x: unknown, y: unknown) => numpy.matmul(x, y));
  return ({ M, N, K }) => {
    const a = numpy.array(Float32Array.from(rng(1).normals(M * K)), { shape: [M, K] });
    const b = numpy.array(Float32Array.from(rng(2).normals(K * N)), { shape: [K, N] });
    return {
      name: 'jax-js',
      async run() {
        const c = product(a.ref, b.ref);
        await c.blockUntilReady();
        c.dispose();
      },
    };
  };
}

async function loadPrototype(folder: string): Promise<Make> {
  const file = join(folder, 'wasmgemm.mjs');
  const { buildGemm, makeGemm } = await import(pathToFileURL(file).href);
  const memory = new WebAssembly.Memory({ initial: 1024 });
  const built = buildGemm({ MR: 4, NR: 8, U: 1, relaxed: relaxedSimd() });
  const gemm = makeGemm(new WebAssembly.Instance(built.module, { e: { m: memory } }), built, memory);
  return ({ M, N, K }) => {
    const a = 1024;
    const b = a + 4 * M * K;
    const c = b + 4 * K * N;
    const scratch = c + 4 * M * N + 64;
    return { name: 'prototype', run: () => gemm(a, K, 1, b, N, 1, c, N, 0, M, N, K, scratch) };
  };
}
