// Which of a kernel's GPU programs runs: a function of the kernel, the sizes, and the kind of adapter, so that a run
// has one answer for each. The table below is by hand, from the ladder's figures (docs/results.md has an H100's);
// `remit-mini tune` measures instead, and what it found comes before the table. Read after: kernels/kernel.ts,
// kernels/matmul/matmul.ts. Used by: backend.ts.

import { binary } from '../../kernels/elementwise/elementwise.ts';
import type { Kernel } from '../../kernels/kernel.ts';
import type { Ability, WgslProgram } from '../../kernels/wgsl.ts';

/**
 * software: a CPU pretending to be a GPU. integrated: a GPU of few units that shares the CPU's memory, or one that
 * nothing is known of.
 */
export type AdapterKind = 'software' | 'integrated' | 'discrete';

/** Whether an adapter that is really the CPU will do: never, if there is no other, or nothing else. */
export type Software = 'never' | 'allowed' | 'only';

/** The program that is called so in a kernel's record is `wgsl`. */
export const PORTABLE = 'portable';

/**
 * What was measured on one adapter: shapeKey() -> the name of a program. Names that a kernel does not have are passed
 * over.
 */
export type Tuned = Readonly<Record<string, string>>;

type Params = Readonly<Record<string, number>>;
type Program = WgslProgram<string, string>;

interface Rule {
  /** What the choice may depend on, as text. */
  shape(params: Params): string;
  /** The first of these that the adapter can run; the portable program if none. */
  choose(params: Params, kind: AdapterKind): readonly string[];
}

const FEW_ROWS = 4; // what gemv makes in one go
const LONG_K = 128; // from here on dividing K among threads pays
const BUSY = { integrated: 16, discrete: 96 } as const; // workgroups that keep such a GPU busy
const VERY_BUSY = 192; // so many that each may be as large as it likes

/**
 * For kernels that are not in the table: barriers are for GPUs, where many threads wait for memory anyway; on a CPU
 * they cost too much.
 */
const usual: Rule = {
  shape: () => '',
  choose: (_, kind) => (kind === 'software' ? ['subgroup8', 'subgroup4'] : ['workgroup']),
};

/** For kernels of two operands: whatever the adapter, where it fits. */
const flat: Rule = { shape: () => '', choose: () => ['flat'] };

/** By the kernel's name. */
const rules: Readonly<Record<string, Rule>> = {
  ...Object.fromEntries(Object.keys(binary).map((name) => [name, flat])),
  matmul: {
    shape: ({ batch, M, N, K, transA, transB }) =>
      `${batch! > 1 ? `${batch} x ` : ''}${M}x${N}x${K} ${transA ? 'T' : 'N'}${transB ? 'T' : 'N'}`,
    choose({ batch, M, N, K }, kind) {
      if (kind === 'software') return ['subgroup8', 'subgroup4']; // the others have barriers, which cost too much there
      if (M! <= FEW_ROWS) return ['gemv'];
      const tiles = (side: number): number => batch! * Math.ceil(M! / side) * Math.ceil(N! / side);
      if (tiles(128) >= VERY_BUSY && kind === 'discrete') return ['large', 'tiled'];
      if (K! < LONG_K || tiles(64) >= BUSY[kind]) return kind === 'discrete' ? ['medium', 'tiled'] : ['tiled'];
      return [tiles(32) >= BUSY[kind] ? 'split32' : 'split16'];
    },
  },
};

function ruleOf(name: string): Rule {
  return rules[name] ?? usual;
}

/**
 * The kernel and what its choice depends on, such as `matmul 736x192x64 NT`: M x N x K, and which operand is
 * transposed.
 */
export function shapeKey({ name }: Pick<Kernel, 'name'>, params: Params): string {
  return `${name} ${ruleOf(name).shape(params)}`.trimEnd();
}

const NONE: ReadonlySet<Ability> = new Set();

const EXPLICIT = 'matrices'; // needs a feature that nobody has without asking for it

/**
 * The name of the program to run: what was asked for, else measured, else what the table says, else the portable one;
 * none that needs what is not there.
 */
export function chooseVariant(
  { name, variants = {} }: Pick<Kernel, 'name' | 'variants'>,
  params: Params,
  kind: AdapterKind,
  tuned: Tuned = {},
  abilities = NONE,
): string {
  const key = shapeKey({ name }, params);
  const measured = Object.hasOwn(tuned, key) ? [tuned[key]!] : [];
  const runs = (wanted: string): boolean =>
    wanted === PORTABLE || (Object.hasOwn(variants, wanted) && canRun(variants[wanted]!, abilities, params));
  return [EXPLICIT, ...measured, ...ruleOf(name).choose(params, kind)].find(runs) ?? PORTABLE;
}

/** Whether a program is right at these sizes, and has what it needs. */
export function canRun(
  { needs, fits }: Pick<Program, 'needs' | 'fits'>,
  abilities: ReadonlySet<Ability>,
  params?: Params,
): boolean {
  return (needs === undefined || abilities.has(needs)) && (params === undefined || !fits || fits(params));
}

/** Remembers every choice, so that none is made twice. */
export class Variants {
  readonly #kind: AdapterKind;
  readonly #tuned: Tuned;
  readonly #abilities: ReadonlySet<Ability>;
  readonly #chosen = new WeakMap<
    object,
    { readonly particular: readonly Program[]; readonly programs: Map<string, Program> }
  >();

  constructor(kind: AdapterKind, tuned: Tuned = {}, abilities = NONE) {
    this.#kind = kind;
    this.#abilities = abilities;
    this.#tuned = { ...tuned };
  }

  /** Undefined when the kernel has no GPU program at all. */
  programOf(kernel: Kernel, params: Params): Program | undefined {
    if (!kernel.variants || !kernel.wgsl) return kernel.wgsl;
    let chosen = this.#chosen.get(kernel);
    if (!chosen) {
      this.#chosen.set(
        kernel,
        (chosen = { particular: Object.values(kernel.variants).filter(({ fits }) => fits), programs: new Map() }),
      );
    }
    let key = ruleOf(kernel.name).shape(params);
    for (const { fits } of chosen.particular) key += fits!(params) ? '+' : '-';
    let program = chosen.programs.get(key);
    if (!program) chosen.programs.set(key, (program = kernel.variants[this.nameOf(kernel, params)] ?? kernel.wgsl));
    return program;
  }

  nameOf(kernel: Kernel, params: Params): string {
    return chooseVariant(kernel, params, this.#kind, this.#tuned, this.#abilities);
  }
}

/**
 * What an adapter says of itself. Said here, since TypeScript's own library has GPUAdapterInfo from version 6 on only.
 */
export interface AdapterNames {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  readonly description: string;
}

/** Its vendor, and perhaps a name, is all that is known. Of vendors who make both kinds, the name decides. */
export function adapterKind(
  { vendor, description, device }: Omit<AdapterNames, 'architecture'>,
  software: boolean,
): AdapterKind {
  if (software) return 'software';
  const name = `${vendor} ${device} ${description}`;
  return /nvidia|geforce|quadro|tesla|radeon (rx|pro|vii)|instinct|intel\W*(r\W*)?arc/i.test(name) &&
    !/tegra|orin|xavier/i.test(name)
    ? 'discrete'
    : 'integrated';
}

interface MatrixConfig {
  readonly M: number;
  readonly N: number;
  readonly K: number;
  readonly componentType: string;
  readonly resultComponentType: string;
}

/** The part of a GPUDevice that tells what it may use. */
export interface OpenedDevice {
  readonly features: { has(feature: string): boolean };
  readonly adapterInfo?: {
    readonly subgroupMinSize?: number;
    readonly subgroupMaxSize?: number;
    readonly subgroupMatrixConfigs?: Iterable<MatrixConfig>;
  };
}

/** What the device that was opened may use, by the features that were asked for. */
export function abilitiesOf({ features, adapterInfo }: OpenedDevice): ReadonlySet<Ability> {
  const found = new Set<Ability>();
  const { subgroupMinSize, subgroupMaxSize, subgroupMatrixConfigs = [] } = adapterInfo ?? {}; // some browsers have none
  const lanes = subgroupMinSize === subgroupMaxSize ? subgroupMinSize : undefined;
  if (features.has('shader-f16')) found.add('shader-f16');
  if (features.has('subgroups')) {
    found.add('subgroups');
    if (lanes === 4 || lanes === 8) found.add(`subgroup${lanes}`);
  }
  const halves = [...subgroupMatrixConfigs].some(
    ({ M, N, K, componentType: from, resultComponentType: to }) =>
      M === 16 && N === 16 && K === 16 && from === 'f16' && to === 'f32',
  );
  if (features.has('chromium-experimental-subgroup-matrix') && lanes === 32 && halves) found.add('subgroup-matrix');
  return found;
}

/** Names an adapter in what is kept on disk. */
export function adapterKey({ vendor, architecture, device, description }: AdapterNames): string {
  return [vendor, architecture, device, description].join(' / ');
}
