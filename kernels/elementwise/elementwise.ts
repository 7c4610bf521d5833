// Elementwise functions. The tables hold each function beside its derivative; the kernels below are made from them.
// Functions that a training step spends its time in (SwiGLU, GELU, norms) have kernels of their own elsewhere.
// What is not a number stays so, in max and min too; docs/not-a-number.md has it all. Read next: elementwise.wasm.ts,
// the same fast.

import { defineKernel, type Kernel } from '../kernel.ts';
import {
  affineWgsl, binaryFlatWgsl, binaryWgsl, clampBackwardWgsl, clampWgsl, unaryBackwardWgsl, unaryWgsl,
} from '../generated.ts';
import { ceilDiv, flatGrid } from '../wgsl.ts';
import {
  affineWasm, binaryWasm, clampBackwardWasm, clampWasm, unaryBackwardWasm, unaryWasm, type BinaryLanes,
  type DerivativeLanes, type UnaryLanes,
} from './elementwise.wasm.ts';

/**
 * A function of one number: its value, its derivative in terms of the input x and the result y, and both in WGSL and
 * for the CPU.
 */
interface Unary {
  readonly f: (x: number) => number;
  readonly df: (x: number, y: number) => number;
  readonly wgsl: { readonly f: string; readonly df: string };
  readonly lanes?: { readonly f: UnaryLanes; readonly df: DerivativeLanes };
}

// In WGSL, exp and tanh are kept from large arguments, for which a driver may return anything; see lib/math.wgsl.
export const unary = {
  exp: {
    f: Math.exp,
    df: (_, y) => y,
    wgsl: { f: 'expOf(x)', df: 'y' },
    lanes: { f: (l, x) => l.exp(x), df: (_, __, y) => y },
  },
  // no fast program: that one is right for normal x > 0 only
  log: { f: Math.log, df: (x) => 1 / x, wgsl: { f: 'logOf(x)', df: '1.0 / x' } },
  sqrt: {
    f: Math.sqrt,
    df: (_, y) => 0.5 / y,
    wgsl: { f: 'sqrt(x)', df: '0.5 / y' },
    lanes: { f: (l, x) => l.sqrt(x), df: (l, _, y) => l.div(l.of(0.5), y) },
  },
  square: {
    f: (x) => x * x,
    df: (x) => 2 * x,
    wgsl: { f: 'x * x', df: '2.0 * x' },
    lanes: { f: (l, x) => l.mul(x, x), df: (l, x) => l.mul(l.of(2), x) },
  },
  tanh: { f: Math.tanh, df: (_, y) => 1 - y * y, wgsl: { f: 'tanhOf(x)', df: '1.0 - y * y' } },
  relu: {
    f: (x) => Math.max(x, 0),
    df: (x) => (x > 0 ? 1 : 0),
    wgsl: { f: 'larger(x, 0.0)', df: 'select(0.0, 1.0, x > 0.0)' },
    lanes: { f: (l, x) => l.max(x, l.zero), df: (l, x) => l.whereAbove(x, l.zero, l.of(1), l.zero) },
  },
  sigmoid: {
    f: (x) => 1 / (1 + Math.exp(-x)),
    df: (_, y) => y * (1 - y),
    wgsl: { f: 'logistic(x)', df: 'y * (1.0 - y)' },
    lanes: { f: (l, x) => l.logistic(x), df: (l, _, y) => l.mul(y, l.sub(l.of(1), y)) },
  },
} as const satisfies Record<string, Unary>;

export type UnaryName = keyof typeof unary;

/**
 * A function of two numbers, and the same in WGSL and for the CPU. In WGSL it is one of four numbers at a time, too; 0
 * and 1 are written ZERO and ONE, and isNone() tells what is not a number. Gradients are written with ops, in
 * engine/ops/arithmetic.ts.
 */
interface Binary {
  readonly f: (a: number, b: number) => number;
  readonly wgsl: string;
  readonly lanes: BinaryLanes;
}

export const binary = {
  add: { f: (a, b) => a + b, wgsl: 'a + b', lanes: (l, a, b) => l.add(a, b) },
  sub: { f: (a, b) => a - b, wgsl: 'a - b', lanes: (l, a, b) => l.sub(a, b) },
  mul: { f: (a, b) => a * b, wgsl: 'a * b', lanes: (l, a, b) => l.mul(a, b) },
  div: { f: (a, b) => a / b, wgsl: 'a / b', lanes: (l, a, b) => l.div(a, b) },
  maximum: { f: Math.max, wgsl: 'select(select(b, a, a >= b), a, isNone(a))', lanes: (l, a, b) => l.max(a, b) },
  minimum: { f: Math.min, wgsl: 'select(select(b, a, a <= b), a, isNone(a))', lanes: (l, a, b) => l.min(a, b) },
  /** 1 where a >= b, else 0. */
  atLeast: {
    f: (a, b) => (a >= b ? 1 : 0),
    wgsl: 'select(ZERO, ONE, a >= b)',
    lanes: (l, a, b) => l.whereAtLeast(a, b, l.of(1), l.zero),
  },
} as const satisfies Record<string, Binary>;

export type BinaryName = keyof typeof binary;

/** out = f(x). */
export const unaryKernels = eachOf(unary, (name, { f, wgsl, lanes }: Unary) => defineKernel({
  name,
  bindings: { x: 'read', out: 'write' },
  params: ['n'],
  reference({ x, out }, { n }) {
    for (let i = 0; i < n; i++) out[i] = f(x[i]!);
  },
  wgsl: { shader: unaryWgsl, grid: ({ n }) => flatGrid(ceilDiv(n, 64)), substitutions: { F: wgsl.f } },
  ...(lanes && { wasm: unaryWasm(name, lanes.f) }),
}));

/** dx = dy f'(x). */
export const unaryBackwardKernels = eachOf(unary, (name, { df, wgsl, lanes }: Unary) => defineKernel({
  name: `${name}Backward`,
  bindings: { x: 'read', y: 'read', dy: 'read', dx: 'write' },
  params: ['n'],
  reference({ x, y, dy, dx }, { n }) {
    for (let i = 0; i < n; i++) dx[i] = dy[i]! * df(x[i]!, y[i]!);
  },
  wgsl: { shader: unaryBackwardWgsl, grid: ({ n }) => flatGrid(ceilDiv(n, 64)), substitutions: { DF: wgsl.df } },
  ...(lanes && { wasm: unaryBackwardWasm(`${name}Backward`, lanes.df) }),
}));

const binaryParams = ['d0', 'd1', 'd2', 'd3', 'a0', 'a1', 'a2', 'a3', 'b0', 'b1', 'b2', 'b3'] as const;
type BinaryParam = (typeof binaryParams)[number];

/**
 * out = f(a, b) over up to four axes d0..d3 of the result. a0..a3 and b0..b3 are the steps that each operand takes
 * along an axis, 0 where it is broadcast; along the last axis they are 0 or 1.
 */
export const binaryKernels = eachOf(binary, (name, { f, wgsl, lanes }: Binary) =>
  defineKernel({
    name,
    bindings: { a: 'read', b: 'read', out: 'write' },
    params: binaryParams,
    reference({ a, b, out }, { d0, d1, d2, d3, a0, a1, a2, a3, b0, b1, b2, b3 }) {
      let o = 0;
      for (let i = 0; i < d0; i++) {
        for (let j = 0; j < d1; j++) {
          for (let k = 0; k < d2; k++) {
            let pa = i * a0 + j * a1 + k * a2;
            let pb = i * b0 + j * b1 + k * b2;
            for (let l = 0; l < d3; l++, pa += a3, pb += b3) out[o++] = f(a[pa]!, b[pb]!);
          }
        }
      }
    },
    wgsl: {
      shader: binaryWgsl,
      grid: ({ d0, d1, d2, d3 }) => flatGrid(ceilDiv(d0 * d1 * d2 * d3, 64)),
      substitutions: { F: wgsl },
    },
    variants: {
      flat: {
        shader: binaryFlatWgsl,
        grid: ({ d0, d1, d2, d3 }) => flatGrid(ceilDiv(d0 * d1 * d2 * d3, 256)),
        substitutions: { F: wgsl },
        fits: isFlat,
      },
    },
    wasm: binaryWasm(name, lanes),
  }),
);

/** Whether both operands lie without gaps and repeat, if at all, as a whole: what binary-flat.wgsl needs. */
export function isFlat({
  d0, d1, d2, d3, a0, a1, a2, a3, b0, b1, b2, b3,
}: Readonly<Record<BinaryParam, number>>): boolean {
  const sizes = [d3, d2, d1, d0];
  return isWhole(sizes, [a3, a2, a1, a0]) && isWhole(sizes, [b3, b2, b1, b0]);
}

/** Of one operand; the last axis comes first. What repeats is one number, or as many as fill vec4s. */
function isWhole(sizes: readonly number[], steps: readonly number[]): boolean {
  let period = 1;
  let repeats = false;
  for (let axis = 0; axis < 4; axis++) {
    const size = sizes[axis]!;
    const step = steps[axis]!;
    if (size === 1) continue;
    if (step === period && !repeats) period *= size;
    else if (step === 0) repeats = true;
    else return false;
  }
  return !repeats || period === 1 || period % 4 === 0;
}

/** out = factor x + offset. */
export const affineKernel = defineKernel({
  name: 'affine',
  bindings: { x: 'read', out: 'write' },
  params: ['n', 'factor', 'offset'],
  reference({ x, out }, { n, factor, offset }) {
    for (let i = 0; i < n; i++) out[i] = factor * x[i]! + offset;
  },
  wasm: affineWasm,
  wgsl: { shader: affineWgsl, grid: ({ n }) => flatGrid(ceilDiv(n, 256)) },
});

/** out = x limited to [low, high]. */
export const clampKernel = defineKernel({
  name: 'clamp',
  bindings: { x: 'read', out: 'write' },
  params: ['n', 'low', 'high'],
  reference({ x, out }, { n, low, high }) {
    for (let i = 0; i < n; i++) out[i] = Math.min(high, Math.max(low, x[i]!));
  },
  wasm: clampWasm,
  wgsl: { shader: clampWgsl, grid: ({ n }) => flatGrid(ceilDiv(n, 64)) },
});

/** dx = dy where low <= x <= high, else 0. */
export const clampBackwardKernel = defineKernel({
  name: 'clampBackward',
  bindings: { x: 'read', dy: 'read', dx: 'write' },
  params: ['n', 'low', 'high'],
  reference({ x, dy, dx }, { n, low, high }) {
    for (let i = 0; i < n; i++) dx[i] = x[i]! >= low && x[i]! <= high ? dy[i]! : 0;
  },
  wasm: clampBackwardWasm,
  wgsl: { shader: clampBackwardWgsl, grid: ({ n }) => flatGrid(ceilDiv(n, 64)) },
});

function eachOf<K extends string, R, T extends Kernel>(
  table: Readonly<Record<K, R>>,
  make: (name: K, rule: R) => T,
): Readonly<Record<K, T>> {
  return Object.fromEntries(Object.entries<R>(table).map(([name, rule]) => [name, make(name as K, rule)])) as Record<
    K,
    T
  >;
}
