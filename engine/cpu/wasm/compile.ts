// Turns the kernels' programs into compiled code on the CPU backend's memory, and runs them: writes the arguments of a
// dispatch to memory, and does each part at once or, where that pays, with all threads. Programs are wide where that is
// worth it (width.ts). If the wide variant of any is found wrong (self-check.ts), there are two modules, and that one
// is taken from the narrow; a table that both fill lets the crew call either's parts.
// Read after: kernels/wasm/program.ts, crew.ts. Read next: ../threads.ts.

import type { Kernel } from '../../../kernels/kernel.ts';
import { WasmModule } from '../../../kernels/wasm/assembler.ts';
import type { WasmPart, WasmProgram, WasmRunner } from '../../../kernels/wasm/program.ts';
import { emitCrew, PLACE, PLACE_BYTES } from './crew.ts';
import { relaxedSimd } from './relaxed.ts';
import { CHECK_BYTES, programsToDistrust } from './self-check.ts';
import type { ProgramWidth } from './program-width.ts';
import { compileWide, width } from './width.ts';

export interface CompileOptions {
  readonly memory: WebAssembly.Memory;
  readonly shared: boolean;
  readonly maximumPages: number;
  /** Use fused multiply-add; default: where the engine has it. */
  readonly relaxed?: boolean;
  /** Make programs in pairs of vectors; default: where these are faster. */
  readonly wide?: boolean;
  /** Threads that will share the work, the calling one included. */
  readonly threads: number;
  /** Told once, when the first work is to be shared: the time to start the others. */
  readonly onShare?: (compiled: Compiled) => void;
  /** Cost of a part from which on they share it, in multiply-adds of four floats. */
  readonly worthSharing?: number;
  /** Byte address of at least `bytes` bytes, 64-byte aligned, whose contents last only until the next call. */
  scratch(bytes: number): number;
}

/** What a thread needs to take part. */
export interface Compiled {
  readonly modules: readonly WebAssembly.Module[];
  /** How many parts of programs they hold: the size of the table. */
  readonly tasks: number;
  /** Where threads meet: crew.ts. */
  readonly place: number;
}

export interface CompiledKernels extends Compiled {
  readonly runners: ReadonlyMap<Kernel, WasmRunner>;
  readonly width: ProgramWidth;
}

const WORTH_SHARING = 40_000; // cost of a part, in multiply-adds of four floats: some 10 us, where meeting takes 1 to 2
const SMALLEST_RANGE = 10_000;
const RANGES_PER_THREAD = 4; // so that a thread that was held up does not hold up the others

/**
 * Compiles every program among `kernels` and returns what runs each. Synchronous: a module is a few tens of kilobytes.
 */
export function compileKernels(
  kernels: readonly Kernel[],
  options: CompileOptions,
  alloc: (bytes: number) => number,
): CompiledKernels {
  const { memory, shared, maximumPages, relaxed = relaxedSimd() } = options;
  const { wide, reason } = options.wide === undefined ? width() : { wide: options.wide, reason: 'as asked for' };
  const programs = kernels.filter((kernel) => kernel.wasm);
  const place = alloc(PLACE_BYTES);
  const build = { shared, maximumPages, relaxed };
  const { variants, distrusted } = wide
    ? wideVariants(programs, build, { ...options, place, alloc })
    : narrowVariant(programs, build);
  const compiled = {
    modules: variants.map(({ module }) => module),
    tasks: variants.reduce((sum, { tasks }) => sum + tasks.size, 0),
    place,
  };
  const instances = instantiate(compiled, memory);
  const site = siteOf(options, compiled, instances[0]!);
  const runners = programs.map((kernel) => {
    const i = distrusted.includes(kernel.name) ? 1 : 0;
    return [kernel, runnerOf(kernel, variants[i]!.tasks, instances[i]!, site)] as const;
  });
  return { ...compiled, runners: new Map(runners), width: { wide, reason, distrusted } };
}

type Build = Readonly<{ shared: boolean; maximumPages: number; relaxed: boolean }>;

/** A compiled module, with the numbers by which a crew calls the parts that it holds. */
interface Variant {
  readonly module: WebAssembly.Module;
  readonly tasks: ReadonlyMap<WasmPart<string>, number>;
}

/** The first variant, and for the distrusted a second. */
interface Choice {
  readonly variants: readonly Variant[];
  readonly distrusted: readonly string[];
}

function narrowVariant(kernels: readonly Kernel[], build: Build): Choice {
  const { bytes, tasks } = emit(kernels, build, { wide: false, firstTask: 0 });
  return { variants: [{ module: new WebAssembly.Module(bytes), tasks }], distrusted: [] };
}

/** Where a self-check can run. */
type Bench = CompileOptions & { readonly place: number; alloc(bytes: number): number };

const choices = new Map<string, { readonly kernels: readonly Kernel[]; readonly choice: Choice }>();

/** Wide programs, compiled and checked once per process; the narrow ones with them if any is distrusted. */
function wideVariants(kernels: readonly Kernel[], build: Build, bench: Bench): Choice {
  const key = JSON.stringify([build, kernels.map(({ name }) => name)]);
  const before = choices.get(key);
  if (before?.kernels.every((kernel, i) => kernel === kernels[i])) return before.choice;
  const wide = emit(kernels, build, { wide: true, firstTask: 0 });
  const narrow = emit(kernels, build, { wide: false, firstTask: wide.tasks.size });
  const variants = [
    { module: compileWide(wide.bytes), tasks: wide.tasks },
    { module: new WebAssembly.Module(narrow.bytes), tasks: narrow.tasks },
  ] as const;
  const distrusted = check(kernels, variants, bench);
  const choice = { variants: distrusted.length === 0 ? [variants[0]] : variants, distrusted };
  choices.set(key, { kernels, choice });
  return choice;
}

/** The kernels whose program in one variant differs from that in the other, on one thread. */
function check(
  kernels: readonly Kernel[],
  variants: readonly [Variant, Variant],
  { alloc, place, ...options }: Bench,
): string[] {
  const modules = variants.map(({ module }) => module);
  const compiled = { modules, tasks: variants[0].tasks.size + variants[1].tasks.size, place };
  const instances = instantiate(compiled, options.memory);
  const site = siteOf({ ...options, threads: 1 }, compiled, instances[0]!);
  const twins = kernels.map((kernel) => {
    const [wide, narrow] = variants.map(({ tasks }, i) => runnerOf(kernel, tasks, instances[i]!, site)) as [
      WasmRunner,
      WasmRunner,
    ];
    return { kernel, wide, narrow };
  });
  return programsToDistrust(twins, options.memory, alloc(CHECK_BYTES));
}

interface Emitted {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly tasks: ReadonlyMap<WasmPart<string>, number>;
}

/** All programs of one width, and the crew, as one module. */
function emit(
  kernels: readonly Kernel[],
  build: Build,
  { wide, firstTask }: { readonly wide: boolean; readonly firstTask: number },
): Emitted {
  const module = new WasmModule({ ...build, wide, firstTask });
  const tasks = new Map<WasmPart<string>, number>();
  for (const kernel of kernels) {
    for (const part of kernel.wasm!.parts) {
      const made = module.function(part.name, ['args', 'first', 'last', 'scratch'], (f, { args, ...range }) =>
        part.emit(f, args, range),
      );
      tasks.set(part, module.task(made));
    }
  }
  emitCrew(module);
  return { bytes: module.bytes(), tasks };
}

type Functions = Readonly<Record<string, (...integers: number[]) => void>>;

function instantiate({ modules, tasks }: Compiled, memory: WebAssembly.Memory): Functions[] {
  const table = new WebAssembly.Table({ element: 'anyfunc', initial: tasks });
  return modules.map((module) => new WebAssembly.Instance(module, { env: { memory, table } }).exports as Functions);
}

/** Where the programs of one backend run: its memory, its threads, and the place where these meet. */
interface Site {
  readonly place: number;
  /** Bytes from `place` to the arguments of a dispatch. */
  readonly args: number;
  readonly threads: number;
  readonly worthSharing: number;
  /** The place as words and as floats; made anew when unshared memory has grown under them. */
  views(): { readonly words: Int32Array; readonly floats: Float32Array };
  scratch(bytes: number): number;
  /** Does the job that lies at `place`, with all threads. */
  fork(): void;
}

function siteOf(options: CompileOptions, compiled: Compiled, { crewFork }: Functions): Site {
  const { memory, threads, worthSharing = WORTH_SHARING, scratch, onShare } = options;
  const { place } = compiled;
  const maySleep = 'document' in globalThis ? 0 : 1; // a page's main thread may only spin
  const viewsOf = () => ({
    words: new Int32Array(memory.buffer, place, PLACE_BYTES / 4),
    floats: new Float32Array(memory.buffer, place, PLACE_BYTES / 4),
  });
  let views = viewsOf();
  let alone = true;
  return {
    place, args: PLACE.args, threads, worthSharing, scratch,
    views() {
      if (views.words.length === 0) views = viewsOf();
      return views;
    },
    fork() {
      if (alone) onShare?.(compiled);
      alone = false;
      crewFork!(place, maySleep);
    },
  };
}

/** What runs a kernel's program: part after part, each at once or, where that pays, with all threads. */
function runnerOf(kernel: Kernel, tasks: Variant['tasks'], functions: Functions, site: Site): WasmRunner {
  const program = kernel.wasm as WasmProgram<string, string>;
  const parts = program.parts.map((part) => ({
    part,
    run: functions[part.name]!,
    task: tasks.get(part as WasmPart<string>)!,
  }));
  const { place, args, threads, worthSharing } = site;
  return (addresses, params) => {
    let own = 0;
    for (const { part } of parts) own = Math.max(own, aligned(part.scratch(params)));
    const common = aligned(program.shared(params));
    const start = common + own > 0 ? site.scratch(common + threads * own) : 0;
    writeArguments(program, site, addresses, params, start);
    for (const { part, run, task } of parts) {
      const units = part.units(params);
      const cost = units * part.cost(params);
      if (threads === 1 || units < 2 || cost < worthSharing) {
        run(place + args, 0, units, start + common);
        continue;
      }
      const perRange = Math.ceil(units / rangesOf(part, cost, site));
      const { words } = site.views();
      words[PLACE.task / 4] = task;
      words[PLACE.units / 4] = units;
      words[PLACE.perRange / 4] = perRange;
      words[PLACE.ranges / 4] = Math.ceil(units / perRange);
      words[PLACE.scratch / 4] = start + common;
      words[PLACE.scratchStride / 4] = own;
      site.fork();
    }
  };
}

type Values = Readonly<Record<string, number>>;

/** Buffers, counts, what is derived from them, floats, and the address of the memory that all parts share. */
function writeArguments(
  program: WasmProgram<string, string>,
  site: Site,
  addresses: Values,
  params: Values,
  shared: number,
): void {
  const { words, floats } = site.views();
  let at = site.args / 4;
  for (const name of program.buffers) words[at++] = addresses[name]!;
  for (const name of program.counts) words[at++] = params[name]!;
  for (const of of program.derived) words[at++] = of(params);
  for (const name of program.floats) floats[at++] = params[name]!;
  words[at] = shared;
}

/**
 * Into how many ranges a part is cut: one per thread, or a few if they are worth it and none has work before its units.
 */
function rangesOf({ setup }: WasmPart<string>, cost: number, { threads, worthSharing }: Site): number {
  if (setup) return threads;
  const worthwhile = Math.floor(cost / Math.min(worthSharing, SMALLEST_RANGE) || 0);
  return Math.max(threads, Math.min(threads * RANGES_PER_THREAD, worthwhile));
}

/** Whole cache lines. */
function aligned(bytes: number): number {
  return Math.ceil(bytes / 64) * 64;
}
