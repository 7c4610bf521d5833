// The ops' own test cases, made concrete: every op by name, the sizes and attributes it declares. Declared in
// engine/op.ts (Cases, Fill), beside each op; filled by engine/check/fill.ts. Read next: gradient.ts, which feeds them.

import fc from 'fast-check';
import * as exported from '../../engine/ops/index.ts';
import type { Fill, Op } from '../../engine/op.ts';
import type { Tensor } from '../../engine/tensor.ts';

export { fillAll, GAP, upload, type HostInput } from '../../engine/check/fill.ts';

export type AnyOp = Op<readonly Tensor[], object>;

/** Sizes by name, as a case declares them: { M: 2, N: 3 }. */
export type Sizes = Readonly<Record<string, number>>;

/** An op with sizes and attributes chosen; only the values are missing. */
export interface Case {
  readonly op: AnyOp;
  readonly attrs: object;
  readonly fills: readonly Fill[];
}

export function isOp(value: unknown): value is AnyOp {
  return typeof value === 'function' && 'def' in value;
}

/** Every op that engine/ops/index.ts exports. */
export const everyOp: readonly AnyOp[] = Object.values(exported).filter(isOp);

/** One number per attributes function of the op's cases. */
export function variantsOf({ def: { cases: { attrs } } }: AnyOp): readonly number[] {
  return [...(attrs ?? [null]).keys()];
}

/** Every op with each of its variants, and a title for test.each. */
export const everyVariant = everyOp.flatMap((op) =>
  variantsOf(op).map((variant) => ({ op, variant, title: `${op.def.name}, variant ${variant}` })),
);

/** Draws sizes within the op's ranges; failures shrink to the smallest. */
export function drawnSizes({ def: { cases: { dims } } }: AnyOp): fc.Arbitrary<Sizes> {
  return fc.record(
    Object.fromEntries(Object.entries(dims).map(([name, [min, max]]) => [name, fc.integer({ min, max })])),
  );
}

/** All combinations of sizes, in order. */
export function allSizes({ def: { cases: { dims } } }: AnyOp): readonly Sizes[] {
  const grow = (found: Sizes[], [name, [min, max]]: [string, readonly [number, number]]): Sizes[] =>
    found.flatMap((sizes) => Array.from({ length: max - min + 1 }, (_, i) => ({ ...sizes, [name]: min + i })));
  return Object.entries(dims).reduce(grow, [{}]);
}

export function caseOf(op: AnyOp, variant: number, sizes: Sizes): Case {
  const { attrs: attrsOf, inputs } = op.def.cases;
  const attrs = attrsOf?.[variant]?.(sizes) ?? {};
  return { op, attrs, fills: inputs(sizes, attrs) };
}

/** The largest sizes that an op's cases allow. */
export function largest({ def: { cases: { dims } } }: AnyOp): Sizes {
  return Object.fromEntries(Object.entries(dims).map(([name, [, max]]) => [name, max]));
}
