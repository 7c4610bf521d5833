// What the WebGPU backend knows of a shader: its text, its bindings, its parameters, and how a kernel launches it.
// The records themselves are made from the .wgsl files by scripts/embed-wgsl.mjs: kernels/generated.ts has what every
// device needs to know, generated-sources.ts the texts, which the WebGPU backend brings along. Read after: kernel.ts.

/** A shader, and what its text says of its bindings and parameters. */
export interface Wgsl<B extends string = string, P extends string = string> {
  readonly path: string;
  /** The text. Absent in the records of kernels/: their texts are found by `path`, see engine/webgpu/pipelines.ts. */
  readonly source?: string;
  /** In order; binding i + 1 of group 0 (0 is the uniform Params). */
  readonly bindings: readonly { readonly name: B; readonly access: 'read' | 'read_write' }[];
  /** Fields of `struct Params`, in order, 4 bytes each. */
  readonly params: readonly { readonly name: P; readonly type: 'u32' | 'i32' | 'f32' }[];
}

/**
 * What an adapter may have beyond the least that WebGPU promises. subgroup4, subgroup8: all subgroups have this size. A
 * kernel whose program needs one has another program without.
 */
export type Ability = 'shader-f16' | 'subgroups' | 'subgroup4' | 'subgroup8' | 'subgroup-matrix';

/** Workgroups along three axes, at most 65535 each. */
export type Grid = readonly [x: number, y: number, z: number];

/** A kernel's GPU program. B and P are the kernel's names, of which the shader may use some. */
export interface WgslProgram<B extends string, P extends string> {
  readonly shader: Wgsl<B, P>;
  /** Workgroups to launch. */
  grid(params: Readonly<Record<P, number>>): Grid;
  /**
   * New right-hand sides for the shader's lines marked `//#param NAME`, possibly by the sizes. One pipeline per
   * combination.
   */
  readonly substitutions?:
    Readonly<Record<string, string>> | ((params: Readonly<Record<P, number>>) => Readonly<Record<string, string>>);
  /** It is right at these sizes only. Default: at all. */
  fits?(params: Readonly<Record<P, number>>): boolean;
  /** It runs only where the adapter has this. */
  readonly needs?: Ability;
  /** Values of `override` constants, possibly chosen by the sizes. One pipeline per combination. */
  constants?(params: Readonly<Record<P, number>>): Readonly<Record<string, number>>;
}

/**
 * The programs of a shader that works in subgroups of one size, its `LANES`: a variant for each size that software
 * adapters have.
 */
export function bySubgroup<B extends string, P extends string>(
  make: (lanes: number) => WgslProgram<B, P>,
): Readonly<Record<'subgroup4' | 'subgroup8', WgslProgram<B, P>>> {
  return {
    subgroup4: { ...make(4), substitutions: { LANES: '4u' }, needs: 'subgroup4' },
    subgroup8: { ...make(8), substitutions: { LANES: '8u' }, needs: 'subgroup8' },
  };
}

const GROUP = 256; // threads of a workgroup that share rows
const COLUMNS = 16;

/**
 * The programs of a shader that includes lib/share.wgsl: `wgsl`, where a thread makes a row, and among the variants
 * `workgroup`, where the more threads share one the longer it is. `columns`, if any: how many are summed besides, in
 * workgroups after those of the rows.
 */
export function sharedRows<B extends string, P extends string>(
  shader: Wgsl<B, P>,
  sizes: (params: Readonly<Record<P, number>>) => {
    readonly rows: number;
    readonly length: number;
    readonly columns?: number;
  },
): { readonly wgsl: WgslProgram<B, P>; readonly variants: { readonly workgroup: WgslProgram<B, P> } } {
  const share = (length: number): number => (length >= 1024 ? GROUP : length >= 128 ? 64 : 16);
  const grid =
    (threads: number, columnsEach: number, share: (length: number) => number) =>
    (params: Readonly<Record<P, number>>): Grid => {
      const { rows, length, columns = 0 } = sizes(params);
      return flatGrid(ceilDiv(rows * share(length), threads) + ceilDiv(columns, columnsEach));
    };
  return {
    wgsl: { shader, grid: grid(64, 64, () => 1) },
    variants: {
      workgroup: {
        shader,
        grid: grid(GROUP, COLUMNS, share),
        substitutions: (params) => ({
          THREADS: `${GROUP}u`,
          SHARE: `${share(sizes(params).length)}u`,
          COLUMNS: `${COLUMNS}u`,
          ROW_SUM: 'treeSum(thread, value, SHARE, 1u)',
          ROW_LARGEST: 'treeLargest(thread, value)',
          COLUMN_SUM: 'treeSum(thread, value, THREADS / COLUMNS, COLUMNS)',
        }),
      },
    },
  };
}

/** a / b, rounded up. */
export function ceilDiv(n: number, by: number): number {
  return Math.ceil(n / by);
}

const MOST = 65535; // workgroups along one axis

/**
 * A grid of at least `groups` workgroups; beyond 65535 it takes a second axis, and the shader reads its number by
 * flatGroup().
 */
export function flatGrid(groups: number): Grid {
  return groups <= MOST ? [groups, 1, 1] : [MOST, ceilDiv(groups, MOST), 1];
}
