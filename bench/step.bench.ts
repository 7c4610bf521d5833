// npm run bench step [tiny-world | bench | tiny] [cpu | webgpu] [threads]: a training step; milliseconds and shares
// kernel by kernel, on a GPU program by program.
// tiny-world is the default recipe; bench and tiny are the GPT-2-shaped models on which peers are compared.

import { createDevice } from '../engine/device.ts';
import { ConfigError } from '../engine/errors.ts';
import { lowest } from '../engine/extremes.ts';
import { rng } from '../engine/rng.ts';
import { WebGpuBackend } from '../engine/webgpu/backend.ts';
import { benchArguments, oneOf } from './arguments.ts';
import { models, training } from './models.ts';

const WARM = 10;
const STEPS = 30;

export const help = `npm run bench step -- [${Object.keys(models).join(' | ')}] [cpu | webgpu] [threads]

A training step of a model, and how much of it each kernel takes.
`;

export async function run(argv: readonly string[]): Promise<void> {
  const [model0 = 'tiny-world', device0 = 'cpu', threads] = benchArguments('step', argv, {}, 3).positionals;
  const name = oneOf('step', model0, Object.keys(models));
  const device = oneOf('step', device0, ['cpu', 'webgpu']);
  if (threads !== undefined && !/^([1-9]|[1-5]\d|6[0-4])$/.test(threads)) {
    throw new ConfigError(`bench step: ${threads} threads: must be a whole number from 1 to 64`);
  }
  const { batch, T, config } = models[name]!;
  const onCpu = device !== 'webgpu';
  const backend = await createDevice(
    onCpu ? 'cpu' : 'webgpu',
    threads === undefined ? {} : { threads: Number(threads) },
  );
  const { model, train } = training({ batch, T, config });
  const stream = rng(2).stream();
  const tokens = (): Int32Array => Int32Array.from({ length: batch * T }, () => stream.int(config.vocabulary));

  const spent = new Map<string, number>();
  const dispatch = backend.dispatch.bind(backend);
  if (onCpu) {backend.dispatch = (kernel, buffers, params) => {
    const start = performance.now();
    dispatch(kernel, buffers, params);
    spent.set(kernel.name, (spent.get(kernel.name) ?? 0) + performance.now() - start);
  };}
  const times: number[] = [];
  const processor: number[] = [];
  for (let i = 0; i < WARM + STEPS; i++) {
    if (i === WARM) spent.clear();
    const start = performance.now();
    const cpu = process.cpuUsage();
    await (await train(tokens(), tokens(), i)).item(); // waits for the device
    if (i < WARM) continue;
    times.push(performance.now() - start);
    const { user, system } = process.cpuUsage(cpu);
    processor.push((user + system) / 1000);
  }
  times.sort((a, b) => a - b);
  const total = times.reduce((sum, t) => sum + t, 0);
  const rate = (ms: number): string => `${Math.round((batch * T * 1000) / ms)} tokens/s`;
  console.log(
    `${name} on ${backend.name}: ${model.parameters.count} parameters, ${batch} x ${T} tokens, node ${process.version}`,
  );
  console.log(
    `best ${times[0]!.toFixed(1)} ms (${rate(times[0]!)}), median ${times[STEPS >> 1]!.toFixed(1)} ms ` +
    `(${rate(times[STEPS >> 1]!)}); processor time at least ${lowest(processor).toFixed(1)} ms`,
  );
  if (backend instanceof WebGpuBackend) {
    backend.startProfile(); // more steps: a profiled one is slower
    for (let i = 0; i < STEPS; i++) await train(tokens(), tokens(), WARM + STEPS + i);
    for (const [program, { ms }] of await backend.endProfile()) spent.set(program, ms);
  }
  for (const [kernel, ms] of [...spent].sort((a, b) => b[1] - a[1])) {
    console.log(
      `${kernel.padEnd(52)} ${(ms / STEPS).toFixed(3).padStart(8)} ms ${((100 * ms) / total).toFixed(1).padStart(5)}%`,
    );
  }
  const rest = total - [...spent.values()].reduce((a, b) => a + b, 0);
  console.log(`${'everything else'.padEnd(52)} ${(rest / STEPS).toFixed(3).padStart(8)} ms`);
}
