// The library, for Node and browsers alike: tensors and autograd, the transformer, the optimiser, and the phases of a
// run. What needs files is in node.ts.

export { createDevice } from './engine/device.ts';
export {
  ConfigError,
  DeviceError,
  DivergedError,
  FormatError,
  RemitError,
  ShapeError,
  StepError,
} from './engine/errors.ts';
export * as ops from './engine/ops/index.ts';
export { Parameters } from './engine/parameters.ts';
export { rng, Rng, type Stream } from './engine/rng.ts';
export { noGrad } from './engine/runtime.ts';
export { readSafetensors, writeSafetensors } from './engine/safetensors.ts';
export { keep, step, type Step } from './engine/step.ts';
export { backward } from './engine/tape.ts';
export { ones, randn, zeros } from './engine/make.ts';
export { tensor, Tensor, variable } from './engine/tensor.ts';

export type { TransformerConfig } from './nn/config.ts';
export { generate, type GenerateOptions } from './nn/generate.ts';
export { Transformer } from './nn/transformer.ts';

export { AdamW, type AdamWOptions } from './optim/adamw.ts';
export { Muon, type MuonOptions } from './optim/muon.ts';
export type { Optimiser, OptimiserSettings, OwnOptimiser } from './optim/optimiser.ts';
export { schedule, type OwnSchedule, type Schedule, type ScheduleOptions } from './optim/schedule.ts';

export type { Arm, ArmLoss, OwnArm, Seen } from './remit/arms.ts';
export { remitLoss, type RemitOptions, type WeightedLoss } from './remit/weights.ts';
export { resolveConfig, type Config, type PartialConfig, type PhaseConfig } from './remit/settings/resolve.ts';
export { textCorpus, type TextCorpus } from './remit/text/text.ts';
export {
  byteTokenizer, characterTokenizer, trainTokenizer, type Tokenizer,
} from './remit/text/tokenizer.ts';
export { tinyWorldTokenizer } from './remit/worlds/tiny/tokenizer.ts';
export * as world from './remit/worlds/tiny/index.ts';
export { exportHuggingFace, importHuggingFace } from './remit/app/interop/huggingface.ts';
export { evaluate, type Evaluation } from './remit/worlds/tiny/evaluate.ts';
export { worldTask } from './remit/worlds/tiny/reward.ts';
export {
  packCheckpoint, settingsHash, unpackCheckpoint, weightsHash, type Checkpoint, type Place,
} from './remit/phases/checkpoint.ts';
export { midtrain } from './remit/phases/midtrain.ts';
export { newModel, pretrain } from './remit/phases/pretrain.ts';
export { pipeline } from './remit/phases/pipeline.ts';
export { rl } from './remit/phases/rl.ts';
export { quietRun, type PhaseState, type Run, type StepRecord } from './remit/phases/run.ts';
export { sft } from './remit/phases/sft.ts';
export { textLoss } from './remit/phases/text-loss.ts';
export { worldOf, type World } from './remit/phases/world.ts';
export { defineExperiment, type Experiment } from './remit/experiment.ts';
export { advantages } from './remit/rl/advantage.ts';
export { rollout, type Rollouts } from './remit/rl/rollout.ts';
export type { Question, Task } from './remit/rl/task.ts';
