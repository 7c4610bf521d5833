// Turns the kernels' programs into one compiled module on the CPU backend's memory.
// Read after: kernels/wasm/assembler.ts.

import type { Kernel, WasmEnvironment, WasmFunction } from '../../../kernels/kernel.ts';
import { v128, WasmModule } from '../../../kernels/wasm/assembler.ts';

export type WasmRunner = (buffers: Readonly<Record<string, number>>, params: Readonly<Record<string, number>>) => void;

export interface CompileOptions {
  readonly memory: WebAssembly.Memory;
  readonly shared: boolean;
  readonly maximumPages: number;
  /** Use fused multiply-add; default: where the engine has it. */
  readonly relaxed?: boolean;
}

/** Compiles every program among `kernels` and returns what runs each. Synchronous: the module is a few kilobytes. */
export function compileKernels(kernels: readonly Kernel[], { memory, shared, maximumPages, relaxed = relaxedSimd() }: CompileOptions, env: WasmEnvironment): ReadonlyMap<Kernel, WasmRunner> {
  const module = new WasmModule({ shared, maximumPages });
  for (const { wasm } of kernels) wasm?.emit(module, { relaxed });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.bytes()), { env: { memory } });
  const functions = exports as Readonly<Record<string, WasmFunction>>;
  return new Map(kernels.flatMap((kernel) => (kernel.wasm ? [[kernel, kernel.wasm.bind(functions, env)] as const] : [])));
}

let detected: boolean | undefined;

/** Whether the engine has relaxed SIMD (fused multiply-add). Node 20 has it behind a flag, which is set here before it compiles any. */
export function relaxedSimd(): boolean {
  return (detected ??= hasRelaxedSimd() || (switchOn() && hasRelaxedSimd()));
}

/** A module with one fused multiply-add: does it validate? */
function hasRelaxedSimd(): boolean {
  const probe = new WasmModule({ shared: false, maximumPages: 1 });
  probe.function('probe', [], (f) => f.set(f.local('v128'), v128.madd(true, v128.zero, v128.zero, v128.zero)));
  return WebAssembly.validate(probe.bytes());
}

/** Only Node 20 knows the flag; a later one would print a complaint. */
function switchOn(): boolean {
  const { process } = globalThis;
  if (!process?.versions?.node?.startsWith('20.')) return false;
  process.getBuiltinModule('node:v8').setFlagsFromString('--experimental-wasm-relaxed-simd');
  return true;
}
