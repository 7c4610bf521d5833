// A kernel: one program over flat buffers, and what it means.
// The reference is the specification. Faster programs (WASM here, WGSL beside it) must agree with it, and a test
// compares them. Read after: nothing. Read next: kernels/matmul/matmul.ts, then engine/backend.ts.

import type { WasmProgram } from './wasm/program.ts';
import type { WgslProgram } from './wgsl.ts';

/** What a buffer holds on the host. Real numbers are Float32Array in use and Float64Array in gradient checks. */
export type HostArray = Float32Array | Float64Array | Int32Array | Uint32Array;

/** How a kernel uses a binding. A 'write' binding is written in every element; 'readwrite' is updated in place. */
export type Access = 'read' | 'write' | 'readwrite';

/** One program: B names its buffers, P its scalar parameters. */
export interface Kernel<B extends string = string, P extends string = string> {
  readonly name: string;
  readonly bindings: Readonly<Record<B, Access>>;
  readonly params: readonly P[];
  /** The specification, as plain loops. Sums are taken in double precision. */
  reference(buffers: Readonly<Record<B, HostArray>>, params: Readonly<Record<P, number>>): void;
  /** Optional: the same program for the CPU, emitted as WASM SIMD. */
  readonly wasm?: WasmProgram<NoInfer<B>, NoInfer<P>>;
  /** Optional: the same program for the GPU; one that is right, and not slow, on every adapter and at every size. */
  readonly wgsl?: WgslProgram<NoInfer<B>, NoInfer<P>>;
  /**
   * Optional: others by name, each right wherever it `fits` and has what it `needs`, and fast at some sizes on some
   * adapters. Who runs where: engine/webgpu/variants.ts.
   */
  readonly variants?: Readonly<Record<string, WgslProgram<NoInfer<B>, NoInfer<P>>>>;
}

/** Types a kernel's record from its literal: binding and parameter names are checked wherever it is dispatched. */
export function defineKernel<const B extends string, const P extends string>(kernel: Kernel<B, P>): Kernel<B, P> {
  return kernel;
}
