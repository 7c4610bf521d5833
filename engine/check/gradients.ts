// Is backward() the derivative? Compared with central differences, in double precision, for an op on its own cases or
// for any function of tensors. Read after: fill.ts. Used by: whoever writes an op, and the tests for every op of ours.

import { CpuBackend } from '../cpu/backend.ts';
import { ConfigError } from '../errors.ts';
import { highest } from '../extremes.ts';
import type { Op } from '../op.ts';
import { anything, checkArguments, checkOptions, list, optional, such, whole, type Rules } from '../options.ts';
import { rng, type Stream } from '../rng.ts';
import { exchangeBackend, noGrad } from '../runtime.ts';
import { sameShape, show } from '../shape.ts';
import { backward } from '../tape.ts';
import { tensor, variable, type Tensor } from '../tensor.ts';
import { fillAll, GAP, upload, type HostInput } from './fill.ts';

export type TensorFunction = (...inputs: Tensor[]) => Tensor;

export interface CheckOptions {
  readonly seed: number;
  /** Inputs that the function documents as constants, by position: they must get no gradient. */
  readonly constants?: readonly number[];
}

/** How an op is checked: from which seed, on how many sizes. */
export interface OpCheckOptions extends Partial<CheckOptions> {
  /** How many sizes are drawn for each of the op's attributes; 8 unless given. */
  readonly draws?: number;
}

const rules: Rules<OpCheckOptions> = {
  seed: optional(whole({ min: 0 }), 0),
  constants: optional(list('a list of positions', whole({ min: 0 })) as never, []),
  draws: optional(whole({ min: 1 }), 8),
};

const anOp = such<Op<readonly Tensor[], object>>(
  'an op, as defineOp() makes it',
  (value) => typeof value === 'function' && 'def' in value,
);

/**
 * Checks an op's backward on the cases that it declares, and resolves to the largest relative error: rounding gives
 * about 1e-8, a wrong derivative 1e-3 and more. Throws ConfigError when an input gets no gradient, or a constant gets
 * one, and when the op has no cases. Meanwhile the current backend is another.
 */
export async function checkGradients<In extends readonly Tensor[], A extends object>(
  op: Op<In, A>,
  options: OpCheckOptions = {},
): Promise<number> {
  checkArguments('checkGradients', arguments, { op: anOp, options: anything });
  const { seed = 0, constants = [], draws = 8 } = checkOptions<OpCheckOptions>('checkGradients', options, rules);
  const { name, cases } = op.def;
  if (cases === undefined) throw new ConfigError(`checkGradients: ${name}: has no cases: say in its definition what to try`);
  const call = op as unknown as (...given: (Tensor | A)[]) => Tensor;
  const before = exchangeBackend(new CpuBackend({ precision: 'f64' }));
  try {
    let worst = 0;
    for (const [variant, attrsOf] of (cases.attrs ?? [() => ({}) as A]).entries()) {
      for (let draw = 0; draw < draws; draw++) {
        const random = rng(seed).fold(name).at(variant).at(draw);
        const sizes = drawSizes(cases.dims, random.stream());
        const attrs = attrsOf(sizes);
        const inputs = fillAll(cases.inputs(sizes, attrs), seed + draw);
        const error = await checkGradient((...given) => call(...given, attrs), inputs, { seed, constants });
        worst = Math.max(worst, error);
      }
    }
    return worst;
  } finally {
    exchangeBackend(before);
  }
}

function drawSizes(
  dims: Readonly<Record<string, readonly [min: number, max: number]>>,
  stream: Stream,
): Readonly<Record<string, number>> {
  return Object.fromEntries(
    Object.entries(dims).map(([name, [min, max]]) => [name, min + stream.int(max - min + 1)]),
  );
}

/**
 * Errors are relative to the derivative, but a derivative below this counts as this: inputs and seeds are numbers of
 * size 1.
 */
export const FLOOR = 1e-3;

const STEP = GAP / 8; // two steps to either side, of two numbers at once, stay within half a gap
const ENTRIES = 3;    // single elements that are checked beside the direction

/**
 * Differentiates sum(f(inputs) * random) by every real input, along a random direction (whose largest component is 1)
 * and by a few single elements, and returns the largest relative error. Runs on the current backend, which must be in
 * double precision. Throws when an input gets no gradient, or a constant gets one.
 */
export async function checkGradient(
  f: TensorFunction,
  inputs: readonly HostInput[],
  { seed, constants = [] }: CheckOptions,
): Promise<number> {
  const random = rng(seed).fold('gradient');
  const stream = random.stream();
  const leaves = inputs.map((input) => (input.dtype === 'f32' ? variable(input.values, input.shape) : upload(input)));
  const result = f(...leaves);
  const weights = random.fold('weights').normals(result.size);
  const gradients = backward(result, tensor(weights, result.shape));

  const lossAt = async (values: readonly HostInput[]): Promise<number> => {
    const out = await noGrad(() => f(...values.map(upload))).read();
    return weights.reduce((total, weight, i) => total + weight * out[i]!, 0);
  };
  /** Fourth order: the error of two differences cancels to h⁴. */
  const along = async (input: number, direction: ArrayLike<number>): Promise<number> => {
    const moved = (h: number): Promise<number> =>
      lossAt(inputs.map((x, i) => (i === input ? { ...x, values: x.values.map((v, k) => v + h * direction[k]!) } : x)));
    const near = (await moved(STEP)) - (await moved(-STEP));
    const far = (await moved(2 * STEP)) - (await moved(-2 * STEP));
    return (8 * near - far) / (12 * STEP);
  };

  let worst = 0;
  for (const [i, { dtype, values }] of inputs.entries()) {
    const gradient = gradients.of(leaves[i]!);
    if (dtype !== 'f32' || constants.includes(i)) {
      if (gradient !== undefined) throw new ConfigError(`checkGradients: input ${i} is a constant, and has a gradient`);
      continue;
    }
    if (!gradient || !sameShape(gradient.shape, inputs[i]!.shape)) {
      throw new ConfigError(`checkGradients: input ${i} has no gradient of its shape, ${show(inputs[i]!.shape)}`);
    }
    const found = await gradient.read();
    const some = random.fold('direction').at(i).normals(values.length);
    const most = highest([...some].map(Math.abs));
    const entries = Array.from({ length: ENTRIES }, () => stream.int(values.length));
    for (const direction of [some.map((x) => x / most), ...entries.map((k) => values.map((_, j) => +(j === k)))]) {
      const analytic = direction.reduce((total, d, k) => total + d * found[k]!, 0);
      const numeric = await along(i, direction);
      worst = Math.max(worst, relativeError(analytic, numeric));
    }
  }
  return worst;
}

/** NaN counts as infinitely wrong. */
export function relativeError(a: number, b: number): number {
  const error = Math.abs(a - b) / Math.max(Math.abs(a), Math.abs(b), FLOOR);
  return Number.isNaN(error) ? Infinity : error;
}
