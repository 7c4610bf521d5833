// Muon for the matrices inside of a model, AdamW for the rest: the mean gradient's nearest orthogonal matrix in its
// place, so that no direction is left behind. Source: Jordan et al., kellerjordan.github.io/posts/muon (2024); the size
// of a step, with which AdamW's rates and decay go on holding: Liu et al., arXiv 2502.16982, section 2.2. Read after:
// adamw.ts. Kernel: kernels/optim/blend.ts.

import { blendKernel } from '../kernels/optim/blend.ts';
import {
  anything, callable, checkArguments, checkOptions, instance, optional, real, type Rules,
} from '../engine/options.ts';
import { ALIGNMENT, Parameters, type Parameter } from '../engine/parameters.ts';
import { backend } from '../engine/runtime.ts';
import { Tensor } from '../engine/tensor.ts';
import { add, affine, div, mul } from '../engine/ops/arithmetic.ts';
import { matmul } from '../engine/ops/matmul.ts';
import { sum } from '../engine/ops/reduce.ts';
import { concat, slice } from '../engine/ops/shape.ts';
import { sqrt, square } from '../engine/ops/unary.ts';
import { AdamW, adamwRules, type AdamWOptions, type Stretch, type Update } from './adamw.ts';

/** Coefficients of Muon, and those of the AdamW that takes the rest; each has a default. */
export interface MuonOptions extends AdamWOptions {
  /** Share of the old mean gradient that stays in the new one. */
  readonly momentum: number;
  /** Which matrices, by name: all but embeddings and the head unless given. */
  readonly takes: (name: string) => boolean;
}

const rules = {
  ...adamwRules,
  momentum: optional(real({ from: 0, below: 1 }), 0.95),
  takes: optional(callable<MuonOptions['takes']>(), (name: string) => !/embed|head/.test(name)),
} satisfies Rules<Partial<MuonOptions>>;

/** So many rounds of x <- a x + b (x x') x + c (x x')² x bring singular values to between .7 and 1.2. */
const ROUNDS = 5;
const [A, B, C] = [3.4445, -4.775, 2.0315];

/** By how much of its rate AdamW moves an entry, about (arXiv 2502.16982). */
const ADAMW_MOVES = 0.2;

/** Muon for the matrices inside of a model, AdamW for the rest. Source: the header of this file. */
export class Muon extends AdamW {
  readonly #momentum: number;
  readonly #matrices: readonly Parameter[];
  readonly #rest: readonly Stretch[];

  /** Throws ConfigError for an option that is unknown or out of its range. */
  constructor(parameters: Parameters, options?: Partial<MuonOptions>) {
    checkArguments('Muon', arguments, {
      parameters: instance('the Parameters of a model: model.parameters', Parameters),
      options: anything,
    });
    const { momentum, takes, ...others } = checkOptions<Partial<MuonOptions>>('Muon', options, rules) as MuonOptions;
    super(parameters, others);
    this.#momentum = momentum;
    this.#matrices = parameters.declared.filter(
      ({ shape, parts }) => shape.length === 2 && parts.every(({ name }) => takes(name)),
    );
    this.#rest = gaps(this.#matrices, parameters.flat);
  }

  protected override move(update: Update): void {
    for (const stretch of this.#rest) this.moveStretch(stretch, update);
    const clip = slice(update.norm, { axis: 0, start: 1, end: 2 });
    const isFinite = div(clip, clip); // 1, or no number
    const keep = 1 - update.rate * this.options.weightDecay;
    for (const matrix of this.#matrices) {
      const { tensor, parts } = matrix;
      const direction = this.#meanGradient(matrix, clip);
      let row = 0;
      const steps = parts.map(({ shape: [rows, columns] }) => {
        const part = slice(direction, { axis: 0, start: row, end: (row += rows!) });
        return affine(orthogonal(part), { factor: ADAMW_MOVES * Math.sqrt(Math.max(rows!, columns!)) });
      });
      const x = steps.length > 1 ? concat(...steps, { axis: 0 }) : steps[0]!;
      backend().dispatch(
        blendKernel,
        { y: tensor.storage, x: x.storage, scale: isFinite.storage },
        { n: tensor.size, keep, share: -update.rate },
      );
    }
  }

  /** m <- momentum m + (1 - momentum) g, with g clipped; returns what it would be after the same gradient once more. */
  #meanGradient({ offset, tensor: { shape, size, gradient } }: Parameter, clip: Tensor): Tensor {
    const m = new Tensor({ shape, dtype: 'f32', storage: backend().view(this.moments.m, offset, size), arena: null });
    const [keep, share] = [this.#momentum, 1 - this.#momentum];
    backend().dispatch(
      blendKernel,
      { y: m.storage, x: gradient!.storage, scale: clip.storage },
      { n: size, keep, share },
    );
    return add(affine(m, { factor: keep }), affine(mul(gradient!, clip), { factor: share }));
  }
}

/** About U V' of a matrix U S V', by Newton's and Schulz' iteration: [M,N] -> [M,N]. */
export function orthogonal(matrix: Tensor): Tensor {
  const [rows, columns] = matrix.shape as [number, number];
  const isTall = rows > columns;
  const length = affine(sqrt(sum(square(matrix))), { offset: 1e-7 });
  let x = div(matrix, length);
  for (let round = 0; round < ROUNDS; round++) {
    const gram = matmul(x, x, isTall ? { transA: true } : { transB: true });
    const bend = add(affine(gram, { factor: B }), affine(matmul(gram, gram), { factor: C }));
    x = add(affine(x, { factor: A }), isTall ? matmul(x, bend) : matmul(bend, x));
  }
  return x;
}

/** What lies between these parameters, which are in the order of memory. */
function gaps(taken: readonly Parameter[], { size, decayed }: Parameters['flat']): Stretch[] {
  const ends = taken.map(({ offset, tensor }) => offset + Math.ceil(tensor.size / ALIGNMENT) * ALIGNMENT);
  const starts = [0, ...ends];
  const stretch = (end: number, i: number): Stretch => {
    const offset = starts[i]!;
    return { offset, size: end - offset, decayed: Math.max(0, Math.min(end, decayed) - offset) };
  };
  return [...taken.map(({ offset }) => offset), size].map(stretch).filter((one) => one.size > 0);
}
