// npm run bench dispatch: what a dispatch costs the CPU. A training step of the tiny world's model runs on Dawn's null
// backend, which checks and encodes everything and computes nothing; what is left is our own time and Dawn's. Reported
// per dispatch: recording, encoding and submitting (the same dispatches replayed straight into the backend), and with
// the engine's ops and tape above it.

import { create, globals } from 'webgpu';
import type { Backend, TensorStorage } from '../engine/backend.ts';
import { crossEntropy } from '../engine/ops/cross-entropy.ts';
import { rng } from '../engine/rng.ts';
import { useBackend } from '../engine/runtime.ts';
import { step } from '../engine/step.ts';
import { backward } from '../engine/tape.ts';
import { tensor } from '../engine/tensor.ts';
import { WebGpuBackend } from '../engine/webgpu/backend.ts';
import type { Kernel } from '../kernels/kernel.ts';
import type { TransformerConfig } from '../nn/config.ts';
import { Transformer } from '../nn/transformer.ts';
import { AdamW } from '../optim/adamw.ts';
import { benchArguments } from './arguments.ts';

const BATCH = 32;
const T = 23;
const config: TransformerConfig = {
  vocabulary: 70, context: 24, width: 64, layers: 2, heads: 4, kvHeads: 4, hidden: 176,
  norm: 'rms', positions: 'rotary', rotaryBase: 100, mlp: 'swiglu', bias: false, tied: false, epsilon: 1e-5,
};

const WARM = 200;
const STEPS = 500;
const GOAL = 7; // microseconds per dispatch

const instances = new Set<GPU>(); // Dawn's instance must outlive its devices, and what nobody holds is collected

interface Call {
  readonly kernel: Kernel;
  readonly buffers: Readonly<Record<string, TensorStorage>>;
  readonly params: Readonly<Record<string, number>>;
}

export const help = `npm run bench dispatch

What a dispatch costs the host: a training step on Dawn's null backend, which computes nothing.
`;

export async function run(argv: readonly string[]): Promise<void> {
  benchArguments('dispatch', argv, {}, 0);
  Object.assign(globalThis, globals);
  const dawn = create(['backend=null']);
  instances.add(dawn);
  const adapter = await dawn.requestAdapter();
  const device = await adapter!.requestDevice();
  const backend = new WebGpuBackend(device, { name: 'null', software: false });
  useBackend(backend);
  const train = trainingStep();
  const calls = await recorded(backend, () => train(0));
  const owner = {};
  const replay = (i: number): Promise<void> => {
    backend.beginStep(owner);
    for (const { kernel, buffers, params } of calls) {
      backend.dispatch(kernel, buffers, kernel.name === 'adamw' ? { ...params, rate: 1e-3 + 1e-9 * i } : params);
    }
    return backend.endStep();
  };
  const steps = await measured(train, backend);
  const replays = await measured(replay, backend);
  const micros = (ms: number): string => `${((1000 * ms) / calls.length).toFixed(2)} us`;
  console.log(
    `tiny-world training step, node ${process.version}, Dawn's null backend; medians of ${STEPS} steps after ${WARM}`,
  );
  console.log(`dispatches per step        ${calls.length}`);
  console.log(
    `record, encode, submit     ${micros(replays.median)} per dispatch (best ${micros(replays.best)}); goal ${GOAL} us`,
  );
  console.log(
    `with ops and tape          ${micros(steps.median)} per dispatch (best ${micros(steps.best)}), ` +
    `${steps.median.toFixed(2)} ms per step`,
  );
  console.log(
    `bind groups used again     ${(100 * (1 - steps.groups / (STEPS * calls.length))).toFixed(2)}% (${steps.groups} ` +
    `made in ${STEPS} steps)`,
  );
  console.log(`submits per step           ${(steps.submits / STEPS).toFixed(2)}`);
  await backend.close();
  instances.delete(dawn);
}

/** One training step on a fixed batch; the learning rate changes, so that some parameters do. */
function trainingStep(): (i: number) => Promise<unknown> {
  const model = new Transformer(config, rng(1));
  const optimiser = new AdamW(model.parameters);
  const stream = rng(2).stream();
  const tokens = Int32Array.from({ length: BATCH * T }, () => stream.int(config.vocabulary));
  return step((i: number) => {
    const loss = crossEntropy(model.forward(tensor(tokens, [BATCH, T], 'i32')), tensor(tokens, [BATCH, T], 'i32'));
    model.parameters.clearGradients();
    backward(loss);
    optimiser.update(i, 1e-3);
    return loss;
  });
}

/** The dispatches of a call. */
async function recorded(backend: Backend, call: () => Promise<unknown>): Promise<Call[]> {
  const calls: Call[] = [];
  const dispatch = backend.dispatch.bind(backend);
  backend.dispatch = (kernel, buffers, params) => {
    calls.push({ kernel, buffers, params } as Call);
    dispatch(kernel, buffers, params);
  };
  await call();
  backend.dispatch = dispatch;
  return calls;
}

/** Milliseconds of CPU up to the submit: the waiting after it is not counted. */
async function measured(
  call: (i: number) => Promise<unknown>,
  backend: WebGpuBackend,
): Promise<{ best: number; median: number; groups: number; submits: number }> {
  const times: number[] = [];
  let before = backend.counters;
  for (let i = 0; i < WARM + STEPS; i++) {
    if (i === WARM) before = backend.counters;
    const start = performance.now();
    const done = call(i);
    if (i >= WARM) times.push(performance.now() - start);
    await done;
  }
  times.sort((a, b) => a - b);
  const { bindGroups, submits } = backend.counters;
  return {
    best: times[0]!,
    median: times[STEPS >> 1]!,
    groups: bindGroups - before.bindGroups,
    submits: submits - before.submits,
  };
}
