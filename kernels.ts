// The entrance `remit-mini/kernels`: what it takes to write a kernel of your own, with programs for the CPU in
// WebAssembly and for the GPU in WGSL. Read next: kernels/README.md, kernels/kernel.ts, kernels/wasm/program.ts.

export { wgsl } from './engine/webgpu/own-shader.ts';
export { defineKernel, type Access, type HostArray, type Kernel } from './kernels/kernel.ts';
export { ceilDiv, flatGrid, type Ability, type Grid, type Wgsl, type WgslProgram } from './kernels/wgsl.ts';
export { FunctionBuilder, WasmModule, type Callable } from './kernels/wasm/assembler.ts';
export * from './kernels/wasm/instructions.ts';
export * from './kernels/wasm/lanes.ts';
export {
  bytesOf, carve, elementwise, program, type Layout, type Part, type Signature, type UnitRange, type WasmPart,
  type WasmProgram,
} from './kernels/wasm/program.ts';
