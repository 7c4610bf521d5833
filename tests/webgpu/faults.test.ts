// What goes wrong on a GPU: each fault becomes one DeviceError, at the next call that can throw it, and the process
// lives on.

import { readFileSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import type { TensorStorage } from '../../engine/backend.ts';
import { DeviceError } from '../../engine/errors.ts';
import { useBackend } from '../../engine/runtime.ts';
import { step } from '../../engine/step.ts';
import { openGpu } from '../../engine/webgpu/adapter.ts';
import { WebGpuBackend, type WebGpuOptions } from '../../engine/webgpu/backend.ts';
import { sourceOf } from '../../engine/webgpu/pipelines.ts';
import { affineKernel } from '../../kernels/elementwise/elementwise.ts';
import { geluBackwardWgsl } from '../../kernels/generated.ts';
import { defineKernel } from '../../kernels/kernel.ts';
import type { Grid, Wgsl } from '../../kernels/wgsl.ts';
import { describeGpu } from '../support/gpu.ts';

let backend: WebGpuBackend;
let device: GPUDevice;

/** A device of the test's own, to be broken. */
async function open(options: Partial<WebGpuOptions> = {}): Promise<void> {
  const found = await openGpu({ software: 'allowed' });
  if (typeof found === 'string') throw new Error(found);
  device = found.device;
  backend = new WebGpuBackend(device, { ...found, ...options });
  useBackend(backend);
}

/** A kernel over one buffer whose `main` has this body. */
function kernelOf(body: string) {
  const lines = [
    'struct Params { n: u32 }',
    '@group(0) @binding(0) var<uniform> p: Params;',
    '@group(0) @binding(1) var<storage, read_write> out: array<f32>;',
    '@compute @workgroup_size(1) fn main() {',
    ...body.split('\n'),
    '}',
  ];
  const shader: Wgsl<'out', 'n'> = {
    path: 'kernels/test.wgsl', source: lines.join('\n'),
    bindings: [{ name: 'out', access: 'read_write' }], params: [{ name: 'n', type: 'u32' }],
  };
  return defineKernel({
    name: 'test',
    bindings: { out: 'write' },
    params: ['n'],
    reference() {},
    wgsl: { shader, grid: () => [1, 1, 1] },
  });
}

/** The message of the DeviceError that a call rejects with. */
async function fault(call: () => unknown): Promise<string> {
  const error: unknown = await (async () => call())().then(() => undefined, (reason: unknown) => reason);
  expect(error).toBeInstanceOf(DeviceError);
  return (error as DeviceError).message;
}

describeGpu('faults', () => {
  afterEach(() => backend.close());

  test('a shader that does not compile is named with file, line and column at the next read', async () => {
    await open();
    const out = backend.alloc(4, 'f32');
    backend.dispatch(kernelOf('  out[0] = 1.0;\n  out[1] = nowhere;'), { out }, { n: 4 });
    expect(await fault(() => backend.read(out))).toBe("kernels/test.wgsl:6:12: unresolved value 'nowhere'");
    expect(await fault(() => backend.alloc(4, 'f32'))).toContain('kernels/test.wgsl:6:12'); // and from then on
  });

  test('... at the line of the file that it was included from, where that is another', async () => {
    await open();
    const shader = { ...geluBackwardWgsl, source: sourceOf(geluBackwardWgsl) };
    const breakAt = (line: string, what: string) => ({
      ...shader,
      source: shader.source.replace(line, `${line} ${what}`),
    });
    const kernel = kernelOf('');
    const buffers = (out: TensorStorage) => ({ x: out, dOut: out, dx: out });
    const run = (broken: typeof shader) => {
      const grid = (): Grid => [1, 1, 1];
      const out = backend.alloc(4, 'f32');
      backend.dispatch(
        { ...kernel, bindings: { x: 'read', dOut: 'read', dx: 'write' }, wgsl: { shader: broken, grid } } as never,
        buffers(out) as never,
        { n: 4 },
      );
      return backend.read(out);
    };
    const lineIn = (file: string, text: string) =>
      readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8')
        .split('\n')
        .findIndex((each) => each.startsWith(text)) + 1;
    const own = 'kernels/activation/gelu-backward.wgsl';
    const included = 'kernels/lib/math.wgsl';
    expect(await fault(() => run(breakAt('const CUBE = 0.044715;', 'const A = nowhere;')))).toMatch(
      new RegExp(`^${own}:${lineIn(own, 'const CUBE')}:`),
    );
    await backend.close();
    await open();
    expect(await fault(() => run(breakAt('const F32_LOWEST = -3.4028234e38;', 'const A = nowhere;')))).toMatch(
      new RegExp(`^${included}:${lineIn(included, 'const F32_LOWEST')}:`),
    );
  });

  test('... or at the end of the step', async () => {
    await open();
    const out = backend.alloc(4, 'f32');
    const run = step(() => backend.dispatch(kernelOf('  out[0] = ;'), { out }, { n: 4 }));
    expect(await fault(run)).toMatch(/^kernels\/test\.wgsl:5:12: /);
  });

  test('a shader that compiles, but not for this kernel, is named with what the device says of it', async () => {
    await open();
    const kernel = kernelOf('  out[0] = 1.0;');
    const { shader } = kernel.wgsl!;
    const out = backend.alloc(4, 'f32');
    const wrong = {
      ...kernel,
      wgsl: { ...kernel.wgsl!, shader: { ...shader, bindings: [{ name: 'out', access: 'read' }] as const } },
    };
    backend.dispatch(wrong, { out }, { n: 4 });
    expect(await fault(() => backend.read(out))).toMatch(/^kernels\/test\.wgsl: .*[Bb]inding/);
  });

  test('a command that the device refuses is told at the next read', async () => {
    await open();
    const x = backend.alloc(4, 'f32');
    backend.dispatch(affineKernel, { x, out: x }, { n: 4, factor: 1, offset: 0 }); // read and written at once
    const message = await fault(() => backend.read(x));
    expect(message).toMatch(/^webgpu: .*usage/);
    expect(message).not.toContain('\n');
  });

  test('a kernel without a GPU program is refused', async () => {
    await open();
    const { wgsl: _, ...onCpu } = affineKernel;
    const [x, out] = [backend.alloc(4, 'f32'), backend.alloc(4, 'f32')];
    expect(await fault(() => backend.dispatch(onCpu, { x, out }, { n: 4, factor: 1, offset: 0 }))).toBe(
      'webgpu: kernel affine has no GPU program: use --device cpu',
    );
  });

  test('a tensor above the adapter\'s limit is refused before it is allocated', async () => {
    await open();
    const limit = Math.min(device.limits.maxBufferSize, device.limits.maxStorageBufferBindingSize);
    const before = backend.counters.buffers;
    expect(await fault(() => backend.alloc(limit / 4 + 1, 'f32'))).toMatch(
      new RegExp(
        `^webgpu: a tensor of \\d+ bytes: this adapter holds at most ${limit} in one: use a smaller batch, or ` +
        '--device cpu$',
      ),
    );
    expect(backend.counters.buffers).toBe(before);
    expect(await backend.read(backend.alloc(4, 'f32'))).toHaveLength(4); // and the device is still good
  });

  test('memory beyond the budget is refused before it is allocated; what is idle is given up first', async () => {
    await open({ budgetBytes: 3000 });
    const [x, out] = [backend.alloc(256, 'f32'), backend.alloc(256, 'f32')];
    backend.write(x, new Float32Array(256).fill(3));
    expect(backend.bytes).toBe(2048);
    expect(await fault(() => backend.alloc(256, 'f32'))).toBe(
      "webgpu: 1024 bytes more than the 2048 in use: the budget for GPU memory is 3000: put a loop's body in a " +
      "step(), use a smaller batch, or --device cpu",
    );
    backend.dispatch(affineKernel, { x, out }, { n: 256, factor: 2, offset: 0 });
    backend.free(x); // the dispatch that reads it is not submitted yet
    const next = backend.alloc(300, 'f32');
    expect(backend.bytes).toBe(1024 + 1200);
    backend.free(next);
    expect((await backend.read(out))[255]).toBe(6);
    expect(backend.bytes).toBeLessThanOrEqual(3000);
  });

  test('a device that goes away is told as such, by every call', async () => {
    await open();
    const [x, out] = [backend.alloc(4, 'f32'), backend.alloc(4, 'f32')];
    const run = step(() => backend.dispatch(affineKernel, { x, out }, { n: 4, factor: 2, offset: 0 }));
    backend.write(x, [1, 2, 3, 4]);
    await run();
    device.destroy();
    const lost = /^webgpu: the device was lost \(destroyed.*\): start again, or use --device cpu$/;
    expect(await fault(() => backend.read(out))).toMatch(lost);
    expect(await fault(run)).toMatch(lost);
    expect(await fault(() => backend.write(x, [1]))).toMatch(lost);
  });

  test('... in the middle of a step', async () => {
    await open();
    const run = step(() => {
      const [x, out] = [backend.alloc(4, 'f32'), backend.alloc(4, 'f32')];
      backend.dispatch(affineKernel, { x, out }, { n: 4, factor: 2, offset: 0 });
      device.destroy();
      backend.dispatch(affineKernel, { x: out, out: x }, { n: 4, factor: 2, offset: 0 });
      return x;
    });
    const whole = async (): Promise<unknown> => backend.read(await run().then(() => backend.alloc(4, 'f32')));
    expect(await fault(whole)).toMatch(/^webgpu: the device was lost \(destroyed/);
  });

  test('a device that does not answer in time is told as such, and may answer later', async () => {
    await open({ waitLimitMs: 100 });
    const out = backend.alloc(4, 'f32');
    const before = performance.now();
    backend.dispatch(
      kernelOf('  var x = 0.0;\n  for (var i = 0u; i < p.n; i++) { x = fract(x + 0.3 * cos(x)); }\n  out[0] = x;'),
      { out },
      { n: 40_000_000 },
    );
    expect(await fault(() => backend.read(out))).toBe(
      'webgpu: no answer from the device for 0.1 s: a kernel may not end: use --device cpu',
    );
    expect(performance.now() - before).toBeLessThan(5000);
    await device.queue.onSubmittedWorkDone();
    expect(Number.isFinite((await backend.read(out))[0])).toBe(true);
  });

  test('a device that was closed says so, and can be closed twice', async () => {
    await open();
    const out = backend.alloc(4, 'f32');
    await backend.close();
    await backend.close();
    const closed = 'webgpu: this device was closed: open another with createDevice()';
    for (const call of [
      () => backend.alloc(4, 'f32'),
      () => backend.write(out, [1]),
      () => backend.read(out),
      () => step(() => 0)(),
    ]) {
      expect(await fault(call)).toBe(closed);
    }
  });
});
