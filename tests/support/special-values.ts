// What is not an ordinary number, put into every place where a kernel reads: NaN, infinities, zeros, the largest and
// the smallest floats; and numbers of rows that do not exist, into every place where it reads an integer. Read next:
// kernels/special-values.test.ts.

import { kernels } from '../../kernels/index.ts';
import type { HostArray } from '../../kernels/kernel.ts';
import type { Case } from '../webgpu/cases.ts';
import { everyCase } from '../webgpu/cases.ts';

export const MAX = 3.4028234663852886e38;
const DENORMAL = 1e-40;

export const specialFloats: Readonly<Record<string, number>> = {
  'NaN': NaN, 'infinity': Infinity, '-infinity': -Infinity, '0': 0, '-0': -0,
  'a denormal': DENORMAL, 'a negative denormal': -DENORMAL, 'the largest': MAX, 'the lowest': -MAX,
};

export interface SpecialCase extends Case {
  /** What was put where: `x[3] = NaN`. */
  readonly title: string;
  readonly special: string;
  /** The case without it. */
  readonly original: Case;
  readonly binding: string;
}

type Buffers = Case['buffers'];

const MOST_ELEMENTS = 1500;

/** For each kernel some small cases with a special value in one place, in every second, or everywhere. */
export function specialCases(mostCases: number): readonly SpecialCase[] {
  const all = everyCase();
  return kernels.flatMap((kernel) =>
    smallOnes(
      all.filter((one) => one.kernel === kernel),
      mostCases,
    ).flatMap(withSpecials),
  );
}

/** The largest of the small cases. */
function smallOnes(cases: readonly Case[], most: number): readonly Case[] {
  const sizeOf = ({ buffers }: Case): number => Object.values(buffers).reduce((total, { length }) => total + length, 0);
  return cases.filter((one) => sizeOf(one) <= MOST_ELEMENTS).sort((a, b) => sizeOf(b) - sizeOf(a)).slice(0, most);
}

function withSpecials(one: Case): SpecialCase[] {
  const { kernel, buffers, params } = one;
  const found: SpecialCase[] = [];
  for (const [binding, values] of Object.entries(buffers)) {
    if (kernel.bindings[binding] === 'write') continue;
    const specials = values instanceof Float32Array ? specialFloats : idsFor(params);
    for (const [special, value] of Object.entries(specials)) {
      for (const [where, places] of Object.entries(placesIn(values.length))) {
        const changed = values.slice();
        for (const place of places) changed[place] = value;
        const title = `${kernel.name} ${JSON.stringify(params)} with ${binding}[${where}] = ${special}`;
        found.push({
          ...one,
          buffers: { ...buffers, [binding]: changed } as Buffers,
          title,
          special,
          binding,
          original: one,
        });
      }
    }
  }
  return found;
}

/** Ids of rows that there are not; V is what the kernel has of them. */
function idsFor({ V = 5 }: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
  return { 'V': V, 'V + 1': V + 1, '-1': -1, '-1000': -1000, '2^31 - 1': 2 ** 31 - 1, '-2^31': -(2 ** 31) };
}

function placesIn(length: number): Readonly<Record<string, readonly number[]>> {
  const middle = length >> 1;
  const everywhere = Array.from({ length }, (_, i) => i);
  if (length === 1) return { 0: [0] };
  return {
    [middle]: [middle],
    [`${length - 1}`]: [length - 1],
    'every second': everywhere.filter((i) => i % 2 === 0),
    all: everywhere,
  };
}

/** The largest number of a case's results: what errors are relative to. */
export function leastOf(one: Case): number {
  const results = Object.values(referenceOf(one.kernel, one.buffers, one.params)).flatMap((values) =>
    Array.from(values, Math.abs),
  );
  return Math.max(one.scale ?? 0, ...results.filter(Number.isFinite));
}

/**
 * What the reference makes of a case, in double precision, as floats; and what it makes of it where a denormal counts
 * as 0.
 */
export function expectedOf(one: SpecialCase): readonly Record<string, HostArray>[] {
  const asIs = referenceOf(one.kernel, one.buffers, one.params);
  if (!one.special.includes('denormal')) return [asIs];
  const flushed = {
    ...one.buffers,
    [one.binding]: one.buffers[one.binding]!.map((x) => (Math.abs(x) === Math.fround(DENORMAL) ? x * 0 : x)),
  };
  return [asIs, referenceOf(one.kernel, flushed as Buffers, one.params)];
}

function referenceOf(kernel: Case['kernel'], buffers: Buffers, params: Case['params']): Record<string, HostArray> {
  const copies = Object.fromEntries(
    Object.entries(buffers).map(([name, values]) => [
      name,
      values instanceof Float32Array ? Float64Array.from(values) : values.slice(),
    ]),
  );
  kernel.reference(copies, params);
  const written = Object.entries(copies).filter(([name]) => kernel.bindings[name] !== 'read');
  return Object.fromEntries(
    written.map(([name, values]) => [name, values instanceof Float64Array ? Float32Array.from(values) : values]),
  );
}

// float32 sums and functions, as the ordinary cases have it, with room for what a special value cancels
const RELATIVE = 3e-5;
const SMALLEST = 1.2e-38; // below: denormals, which a device may count as 0

/** The first element that is neither the same kind of number nor close: its place, or -1. */
export function firstDifference(found: HostArray, expected: HostArray, least: number): number {
  const scale = Math.max(SMALLEST, least, ...Array.from(expected, Math.abs).filter(Number.isFinite));
  return Array.from(found).findIndex((x, i) => {
    const right = expected[i]!;
    if (!Number.isFinite(right) || !Number.isFinite(x)) return !Object.is(x, right);
    return Math.abs(x - right) > RELATIVE * scale + SMALLEST;
  });
}
