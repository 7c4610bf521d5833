// Which of a kernel's GPU programs runs: a function of the kernel, the sizes, and the kind of adapter, so that a run has one answer for each.
// The table below is by hand, from the ladder's figures; `remit-mini tune` measures instead, and what it found comes before the table.
// Read after: kernels/kernel.ts, kernels/matmul/matmul.ts. Used by: backend.ts.

import type { Kernel } from '../../kernels/kernel.ts';
import type { WgslProgram } from '../../kernels/wgsl.ts';

/** software: a CPU pretending to be a GPU. integrated: a GPU of few units that shares the CPU's memory, or one that nothing is known of. */
export type AdapterKind = 'software' | 'integrated' | 'discrete';

/** The program that is called so in a kernel's record is `wgsl`. */
export const PORTABLE = 'portable';

/** What was measured on one adapter: shapeKey() -> the name of a program. Names that a kernel does not have are passed over. */
export type Tuned = Readonly<Record<string, string>>;

type Params = Readonly<Record<string, number>>;

interface Rule {
  /** What the choice may depend on, as text. */
  shape(params: Params): string;
  choose(params: Params, kind: AdapterKind): string;
}

const FEW_ROWS = 4; // what gemv makes in one go
const LONG_K = 128; // from here on dividing K among threads pays
const BUSY = { integrated: 16, discrete: 96 } as const; // workgroups that keep such a GPU busy

/** By the kernel's name. Kernels that are not in here run their portable program everywhere. */
const rules: Readonly<Record<string, Rule>> = {
  matmul: {
    shape: ({ batch, M, N, K, transA, transB }) => `${batch! > 1 ? `${batch} x ` : ''}${M}x${N}x${K} ${transA ? 'T' : 'N'}${transB ? 'T' : 'N'}`,
    choose({ batch, M, N, K }, kind) {
      if (kind === 'software') return PORTABLE; // the others have barriers, which cost too much there
      if (M! <= FEW_ROWS) return 'gemv';
      const tiles = (side: number): number => batch! * Math.ceil(M! / side) * Math.ceil(N! / side);
      if (K! < LONG_K || tiles(64) >= BUSY[kind]) return 'tiled';
      return tiles(32) >= BUSY[kind] ? 'split32' : 'split16';
    },
  },
};

/** The kernel and what its choice depends on, such as `matmul 736x192x64 NT`: M x N x K, and which operand is transposed. */
export function shapeKey({ name }: Pick<Kernel, 'name'>, params: Params): string {
  const rule = rules[name];
  return rule ? `${name} ${rule.shape(params)}` : name;
}

/** The name of the program to run: what was measured, else what the table says, else the portable one. */
export function chooseVariant({ name, variants }: Pick<Kernel, 'name' | 'variants'>, params: Params, kind: AdapterKind, tuned: Tuned = {}): string {
  if (!variants) return PORTABLE;
  const key = shapeKey({ name }, params), measured = Object.hasOwn(tuned, key) ? tuned[key] : undefined;
  const exists = (wanted: string | undefined): boolean => wanted === PORTABLE || (wanted !== undefined && Object.hasOwn(variants, wanted));
  return [measured, rules[name]?.choose(params, kind)].find(exists) ?? PORTABLE;
}

/** Remembers every choice, so that none is made twice. */
export class Variants {
  readonly #kind: AdapterKind;
  readonly #tuned: Tuned;
  readonly #chosen = new WeakMap<object, Map<string, WgslProgram<string, string>>>();

  constructor(kind: AdapterKind, tuned: Tuned = {}) {
    this.#kind = kind;
    this.#tuned = { ...tuned };
  }

  /** Undefined when the kernel has no GPU program at all. */
  programOf(kernel: Kernel, params: Params): WgslProgram<string, string> | undefined {
    if (!kernel.variants || !kernel.wgsl) return kernel.wgsl;
    let chosen = this.#chosen.get(kernel);
    if (!chosen) this.#chosen.set(kernel, (chosen = new Map()));
    const key = rules[kernel.name]?.shape(params) ?? '';
    let program = chosen.get(key);
    if (!program) chosen.set(key, (program = kernel.variants[chooseVariant(kernel, params, this.#kind, this.#tuned)] ?? kernel.wgsl));
    return program;
  }
}

/** What an adapter says of itself is little: its vendor, and perhaps a name. Of vendors who make both kinds, the name decides. */
export function adapterKind({ vendor, description, device }: Pick<GPUAdapterInfo, 'vendor' | 'description' | 'device'>, software: boolean): AdapterKind {
  if (software) return 'software';
  const name = `${vendor} ${device} ${description}`;
  return /nvidia|geforce|quadro|tesla|radeon (rx|pro|vii)|instinct|intel\W*(r\W*)?arc/i.test(name) && !/tegra|orin|xavier/i.test(name) ? 'discrete' : 'integrated';
}

/** Names an adapter in what is kept on disk. */
export function adapterKey({ vendor, architecture, device, description }: Pick<GPUAdapterInfo, 'vendor' | 'architecture' | 'device' | 'description'>): string {
  return [vendor, architecture, device, description].join(' / ');
}
