// Turns the kernels' programs into one compiled module on the CPU backend's memory, and runs them: writes the arguments of a dispatch to
// memory, and does each part at once or, where that pays, with all threads.
// Read after: kernels/wasm/program.ts, crew.ts. Read next: ../threads.ts.

import type { Kernel } from '../../../kernels/kernel.ts';
import { WasmModule } from '../../../kernels/wasm/assembler.ts';
import { v128 } from '../../../kernels/wasm/instructions.ts';
import type { WasmProgram } from '../../../kernels/wasm/program.ts';
import { emitCrew, PLACE, PLACE_BYTES } from './crew.ts';

export type WasmRunner = (buffers: Readonly<Record<string, number>>, params: Readonly<Record<string, number>>) => void;

export interface CompileOptions {
  readonly memory: WebAssembly.Memory;
  readonly shared: boolean;
  readonly maximumPages: number;
  /** Use fused multiply-add; default: where the engine has it. */
  readonly relaxed?: boolean;
  /** Threads that will share the work, the calling one included. */
  readonly threads: number;
  /** Told once, when the first work is to be shared: the time to start the others. */
  readonly onShare?: (compiled: CompiledKernels) => void;
  /** Cost of a part from which on they share it, in multiply-adds of four floats. */
  readonly worthSharing?: number;
  /** Byte address of at least `bytes` bytes, 64-byte aligned, whose contents last only until the next call. */
  scratch(bytes: number): number;
}

export interface CompiledKernels {
  readonly module: WebAssembly.Module;
  /** Where threads meet: crew.ts. */
  readonly place: number;
  readonly runners: ReadonlyMap<Kernel, WasmRunner>;
}

const WORTH_SHARING = 40_000; // cost of a part, in multiply-adds of four floats: some 10 us, where meeting takes 1 to 2
const SMALLEST_RANGE = 10_000;
const RANGES_PER_THREAD = 4; // so that a thread that was held up does not hold up the others

/** Compiles every program among `kernels` and returns what runs each. Synchronous: the module is a few tens of kilobytes. */
export function compileKernels(kernels: readonly Kernel[], options: CompileOptions, alloc: (bytes: number) => number): CompiledKernels {
  const { memory, shared, maximumPages, relaxed = relaxedSimd(), threads, onShare, worthSharing = WORTH_SHARING, scratch } = options;
  const emitted = new WasmModule({ shared, maximumPages, relaxed });
  const programs = kernels.flatMap((kernel) => (kernel.wasm ? [{ kernel, program: kernel.wasm as WasmProgram<string, string> }] : []));
  const tasks = programs.map(({ program }) => program.parts.map((part) => emitted.task(
    emitted.function(part.name, ['args', 'first', 'last', 'scratch'], (f, { args, ...range }) => part.emit(f, args, range)),
  )));
  emitCrew(emitted);
  const module = new WebAssembly.Module(emitted.bytes()), { exports } = new WebAssembly.Instance(module, { env: { memory } });
  const functions = exports as Readonly<Record<string, (...integers: number[]) => void>>, fork = functions.crewFork!, maySleep = 'document' in globalThis ? 0 : 1; // a page's main thread may only spin

  const place = alloc(PLACE_BYTES), args = place + PLACE.args;
  let words = new Int32Array(memory.buffer, place, PLACE_BYTES / 4), floats = new Float32Array(memory.buffer, place, PLACE_BYTES / 4);
  let alone = true;
  const put = (name: keyof typeof PLACE, value: number): void => void (words[PLACE[name] / 4] = value);

  const runnerOf = ({ buffers, counts, derived, floats: numbers, shared: sharedBytes, parts }: WasmProgram<string, string>, partTasks: readonly number[]): WasmRunner => (addresses, params) => {
    let own = 0;
    for (const part of parts) own = Math.max(own, aligned(part.scratch(params)));
    const common = aligned(sharedBytes(params)), start = common + own > 0 ? scratch(common + threads * own) : 0;
    if (words.length === 0) [words, floats] = [new Int32Array(memory.buffer, place, PLACE_BYTES / 4), new Float32Array(memory.buffer, place, PLACE_BYTES / 4)]; // unshared memory has grown
    let at = PLACE.args / 4;
    for (const name of buffers) words[at++] = addresses[name]!;
    for (const name of counts) words[at++] = params[name]!;
    for (const of of derived) words[at++] = of(params);
    for (const name of numbers) floats[at++] = params[name]!;
    words[at] = start;
    for (let i = 0; i < parts.length; i++) {
      const { name, units: unitsOf, cost: costOf, setup } = parts[i]!, units = unitsOf(params), cost = units * costOf(params);
      if (threads === 1 || units < 2 || cost < worthSharing) {
        functions[name]!(args, 0, units, start + common);
        continue;
      }
      if (alone) onShare?.(compiled);
      alone = false;
      const most = setup ? threads : Math.max(threads, Math.min(threads * RANGES_PER_THREAD, Math.floor(cost / Math.min(worthSharing, SMALLEST_RANGE) || 0)));
      const perRange = Math.ceil(units / most);
      put('task', partTasks[i]!);
      put('units', units);
      put('perRange', perRange);
      put('ranges', Math.ceil(units / perRange));
      put('scratch', start + common);
      put('scratchStride', own);
      fork(place, maySleep);
    }
  };
  const compiled = { module, place, runners: new Map(programs.map(({ kernel, program }, i) => [kernel, runnerOf(program, tasks[i]!)])) };
  return compiled;
}

/** Whole cache lines. */
function aligned(bytes: number): number {
  return Math.ceil(bytes / 64) * 64;
}

let detected: boolean | undefined;

/** Whether the engine has relaxed SIMD (fused multiply-add). Node 20 has it behind a flag, which is set here before it compiles any. */
export function relaxedSimd(): boolean {
  return (detected ??= hasRelaxedSimd() || (switchOn() && hasRelaxedSimd()));
}

/** A module with one fused multiply-add: does it validate? */
function hasRelaxedSimd(): boolean {
  const probe = new WasmModule({ shared: false, maximumPages: 1, relaxed: true });
  probe.function('probe', [], (f) => f.drop(f.madd(v128.zero, v128.zero, v128.zero)));
  return WebAssembly.validate(probe.bytes());
}

/** Only Node 20 knows the flag; a later one would print a complaint. */
function switchOn(): boolean {
  const { process } = globalThis;
  if (!process?.versions?.node?.startsWith('20.')) return false;
  process.getBuiltinModule('node:v8').setFlagsFromString('--experimental-wasm-relaxed-simd');
  return true;
}
