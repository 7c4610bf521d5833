// Relaxed SIMD: fused multiply-add, where the engine has it. Used by: compile.ts, width.ts.

import { WasmModule } from '../../../kernels/wasm/assembler.ts';
import { v128 } from '../../../kernels/wasm/instructions.ts';

let detected: boolean | undefined;

/**
 * Whether the engine has relaxed SIMD (fused multiply-add). Node 20 has it behind a flag, which is set here before it
 * compiles any.
 */
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
