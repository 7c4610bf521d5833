// Every op on WebGPU against the CPU in double precision: values and gradients, over the cases that its gradient check draws from.
// This runs every shader that an op uses, forward and backward, at sizes that include 1 and primes; recycled memory holds NaN.

import { afterAll, expect, test } from 'vitest';
import type { Op } from '../../engine/op.ts';
import * as ops from '../../engine/ops/index.ts';
import { CpuBackend } from '../../engine/cpu/backend.ts';
import type { Backend } from '../../engine/backend.ts';
import { rng, type Rng } from '../../engine/rng.ts';
import { useBackend } from '../../engine/runtime.ts';
import { step } from '../../engine/step.ts';
import { backward } from '../../engine/tape.ts';
import { tensor, variable, type Tensor } from '../../engine/tensor.ts';
import type { Fill } from '../../engine/op.ts';
import { sizeOf } from '../../engine/shape.ts';
import { describeGpu, gpu } from '../support/gpu.ts';

type AnyOp = Op<readonly Tensor[], object>;

const all = Object.entries(ops).filter((entry): entry is [string, AnyOp] => typeof entry[1] === 'function' && 'def' in entry[1]);
const DRAWS = 4;

const exact = new CpuBackend({ precision: 'f64' });
let worst = { error: 0, name: '' };

describeGpu('every op', () => {
  test.each(all)('%s', async (name, op) => {
    for (const makeAttrs of op.def.cases.attrs ?? [() => ({})]) {
      for (let draw = 0; draw < DRAWS; draw++) {
        const random = rng(draw).fold(name), stream = random.stream();
        const dims = Object.fromEntries(Object.entries(op.def.cases.dims).map(([dim, [min, max]]) => [dim, draw === 0 ? max : min + stream.int(max - min + 1)]));
        const attrs = makeAttrs(dims), fills = op.def.cases.inputs(dims, attrs);
        const [right, found] = [await valuesOn(exact, op, fills, attrs, random), await valuesOn(gpu, op, fills, attrs, random)];
        expect(found.map(({ length }) => length)).toEqual(right.map(({ length }) => length));
        found.forEach((values, k) => {
          const scale = Math.max(1, ...right[k]!.map(Math.abs));
          values.forEach((value, i) => {
            const error = Math.abs(value - right[k]![i]!) / scale;
            if (!(error <= worst.error)) worst = { error, name };
            expect(error, `${name} ${JSON.stringify({ dims, attrs })}: ${k === 0 ? 'result' : `gradient ${k - 1}`} [${i}]: ${value}, not ${right[k]![i]}`).toBeLessThan(2e-5); // float32, built-ins good to about 50 ulp
          });
        });
      }
    }
  });

  afterAll(async () => {
    console.log(`worst relative error of an op on ${gpu.name}: ${worst.error.toExponential(1)} (${worst.name})`);
    await gpu.close();
  });
});

/** The result, then the gradients of sum(result * r) for every input that has one. */
async function valuesOn(backend: Backend, op: AnyOp, fills: readonly Fill[], attrs: object, random: Rng): Promise<number[][]> {
  useBackend(backend);
  const run = step(() => {
    const inputs = fills.map((fill, i) => filled(fill, random.fold(`input ${i}`)));
    const result = op(...inputs, attrs), seed = tensor(random.fold('seed').normals(result.size), result.shape);
    const gradients = backward(result, seed);
    return [result, ...inputs.flatMap((x) => (x.needsGrad ? (gradients.of(x) ?? []) : []))];
  }, { poison: true });
  const tensors = await run();
  const values: number[][] = [];
  for (const x of tensors) values.push([...(await x.read())]);
  run.free();
  return values;
}

function filled({ shape, values }: Fill, random: Rng): Tensor {
  const size = sizeOf(shape), stream = random.stream();
  if (typeof values === 'object') return tensor(Int32Array.from({ length: size }, () => stream.int(values.below)), shape, 'i32');
  const normals = random.normals(size);
  const shaped = { normal: (x: number) => x, positive: (x: number) => Math.abs(x) + 0.1, 'away from 0': (x: number) => x + Math.sign(x) * 0.1 }[values];
  return variable(Float32Array.from(normals, shaped), shape); // rounded once, so that both backends see the same numbers
}
