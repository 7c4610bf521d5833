// One op on two backends: its values and gradients, over the cases that its gradient check draws from.
// This runs every shader that an op uses, forward and backward, at sizes that include 1 and primes; recycled memory
// holds NaN. Read after: fill.ts. Used by: webgpu/ops.test.ts in Node, browser/webgpu.test.ts in a page.

import { expect } from 'vitest';
import type { Backend } from '../../engine/backend.ts';
import { CpuBackend } from '../../engine/cpu/backend.ts';
import { rng } from '../../engine/rng.ts';
import { useBackend } from '../../engine/runtime.ts';
import { step } from '../../engine/step.ts';
import { backward } from '../../engine/tape.ts';
import { tensor, variable } from '../../engine/tensor.ts';
import {
  caseOf, fillAll, largest, upload, variantsOf, type AnyOp, type Case, type HostInput, type Sizes,
} from './fill.ts';

const DRAWS = 4; // sizes per variant: the largest, then some at random
const TOLERANCE = 2e-5; // float32, and built-in functions good to about 50 ulp

const exact = new CpuBackend({ precision: 'f64' });

/**
 * Compares an op on `backend` with the CPU in double precision. Errors are relative to the largest number of a result
 * or gradient (or 1, if that is larger); the largest of them is returned, and one above 2e-5 fails. Leaves `backend`
 * current.
 */
export async function compareOp(op: AnyOp, backend: Backend): Promise<number> {
  let worst = 0;
  for (const variant of variantsOf(op)) {
    for (let draw = 0; draw < DRAWS; draw++) {
      const sizes = draw === 0 ? largest(op) : drawn(op, draw);
      const made = caseOf(op, variant, sizes);
      const inputs = fillAll(made.fills, draw).map(rounded);
      const right = await valuesOn(exact, made, inputs, draw);
      const found = await valuesOn(backend, made, inputs, draw);
      expect(found.map(({ length }) => length)).toEqual(right.map(({ length }) => length));
      found.forEach((values, k) => {
        const scale = right[k]!.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
        values.forEach((value, i) => {
          const error = Math.abs(value - right[k]![i]!) / scale;
          const what = k === 0 ? 'result' : `gradient ${k - 1}`;
          if (!(error < TOLERANCE)) {
            expect.fail(
              `${op.def.name} ${JSON.stringify({ sizes, ...made.attrs })}: ${what} [${i}]: ${value}, not ` +
              `${right[k]![i]}`,
            );
          }
          worst = Math.max(worst, error);
        });
      });
    }
  }
  return worst;
}

function drawn({ def: { name, cases: { dims } } }: AnyOp, draw: number): Sizes {
  const stream = rng(draw).fold(name).stream();
  return Object.fromEntries(Object.entries(dims).map(([dim, [min, max]]) => [dim, min + stream.int(max - min + 1)]));
}

/** To single precision, so that both backends are given the same numbers. */
function rounded(input: HostInput): HostInput {
  return { ...input, values: input.values.map(Math.fround) };
}

/** The result, then the gradients of sum(result * random) for every input that has one. */
async function valuesOn(
  backend: Backend,
  { op, attrs }: Case,
  inputs: readonly HostInput[],
  draw: number,
): Promise<number[][]> {
  useBackend(backend);
  const run = step(
    () => {
      const leaves = inputs.map((input) =>
        input.dtype === 'f32' ? variable(input.values, input.shape) : upload(input),
      );
      const result = op(...leaves, attrs);
      const gradients = backward(result, tensor(rng(draw).fold('seed').normals(result.size), result.shape));
      return [result, ...leaves.flatMap((x) => gradients.of(x) ?? [])];
    },
    { poison: true },
  );
  const values: number[][] = [];
  for (const x of await run()) values.push([...(await x.read())]);
  run.free();
  return values;
}
