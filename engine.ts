// The entrance `remit-mini/engine`: what it takes to write an op of your own, or to run one on a device of your choice.
// Read next: docs/adding-an-op.md, engine/op.ts. What computes: kernels.ts.

export type { Arena } from './engine/arena.ts';
export type { Backend, TensorStorage } from './engine/backend.ts';
export { checkGradients, type OpCheckOptions } from './engine/check/gradients.ts';
export { CpuBackend, type CpuOptions, type KernelCalls } from './engine/cpu/backend.ts';
export { createDevice, type DeviceKind, type DeviceOptions, type WebGpuDevice } from './engine/device.ts';
export {
  ConfigError, DeviceError, DivergedError, FormatError, RemitError, ShapeError, StepError,
} from './engine/errors.ts';
export {
  awayFrom0, defineOp, integers, normal, positive, type Cases, type Fill, type Op, type OpDef, type Outputs, type Takes,
} from './engine/op.ts';
export * as ops from './engine/ops/index.ts';
export * as rules from './engine/options.ts';
export type { OptionalRule, Rule, Rules } from './engine/options.ts';
export { Parameters } from './engine/parameters.ts';
export { rng, Rng, type Stream } from './engine/rng.ts';
export { noGrad, useBackend, withBackend } from './engine/runtime.ts';
export type { DType, Range, Shape, Spec } from './engine/shape.ts';
export { keep, step, type Step } from './engine/step.ts';
export { backward } from './engine/tape.ts';
export { empty, tensor, Tensor, variable, type Need, type TapeNode, type TensorOptions } from './engine/tensor.ts';
