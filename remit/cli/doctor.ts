// `remit-mini doctor`: looks at whatever a run depends on, lets each device compute a little, and says what could be better.
// Read next: devices.ts, kernel-check.ts.

import { readFileSync, statfsSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Gpu } from '../../engine/webgpu/adapter.ts';
import { WebGpuBackend } from '../../engine/webgpu/backend.ts';
import { readArguments } from './arguments.ts';
import { listDevices, type Device } from './devices.ts';
import { EXIT } from './exit.ts';
import { checkMatmul, type KernelCheck } from './kernel-check.ts';
import { version } from './version.ts';

export const help = `remit-mini doctor

Prints what a run depends on: Node, the package webgpu, the devices with their limits, free disk. Each device computes a matrix product,
which is compared with plain loops. Takes seconds. The last lines are advice; the exit code is 1 when a device computes wrongly.

  REMIT_NO_WEBGPU=1    in the environment: as if the package webgpu were not installed
`;

const MIB = 2 ** 20, GIB = 2 ** 30;
const LITTLE_DISK = GIB; // a run with the presets takes some megabytes

export async function run(argv: readonly string[]): Promise<number> {
  readArguments('doctor', argv, {});
  const advice: string[] = [];
  let healthy = true;

  line('remit-mini', version());
  line('node', `${process.versions.node} on ${process.platform} ${process.arch}${libc()}`);
  line('webgpu', packageVersion('webgpu') ?? 'not installed');
  for (const device of await listDevices()) {
    const check = await checkDevice(device);
    line(device.kind, `${device.about}${typeof check === 'string' ? `: ${check}` : ''}`);
    if (device.gpu) line('', limits(device.gpu));
    if (typeof check !== 'string' && check) line('', describe(check));
    if (check !== undefined && (typeof check === 'string' || !check.right)) {
      healthy = false;
      advice.push(`${device.about} computes wrongly: update its driver, and use --device ${device.kind === 'cpu' ? 'webgpu' : 'cpu'} until then`);
    }
    if (device.kind === 'gpu') advice.push(device.open ? 'training will use the GPU' : 'training will use the CPU, which is fine for the presets');
  }
  const free = freeDisk();
  line('disk', `${(free / GIB).toFixed(1)} GiB free in ${process.cwd()}`);
  if (free < LITTLE_DISK) advice.push('there is little room for runs: give --out on another disk');
  advice.forEach((text, i) => line(i === 0 ? 'advice' : '', text));
  return healthy ? EXIT.ok : EXIT.failed;
}

function line(name: string, text: string): void {
  process.stdout.write(`${name.padEnd(12)}${text}\n`);
}

/** What the check found, what went wrong instead, or nothing where there is no device. */
async function checkDevice({ open }: Device): Promise<KernelCheck | string | undefined> {
  const backend = open?.();
  if (!backend) return undefined;
  try {
    return await checkMatmul(backend);
  } catch (error) {
    return (error as Error).message;
  } finally {
    if (backend instanceof WebGpuBackend) await backend.close();
  }
}

function describe({ right, worst, gflops }: KernelCheck): string {
  return `matmul ${right ? 'right' : 'WRONG'} (${worst.toExponential(0)} off at most), ${gflops.toPrecision(2)} GFLOP/s`;
}

function limits({ device: { limits, features } }: Gpu): string {
  const extras = ['timestamp-query', 'shader-f16', 'subgroups'].filter((feature) => features.has(feature));
  return [
    `buffers to ${Math.floor(limits.maxBufferSize / MIB)} MiB`, `bindings to ${Math.floor(limits.maxStorageBufferBindingSize / MIB)} MiB`,
    `${limits.maxStorageBuffersPerShaderStage} storage buffers`, `${limits.maxComputeInvocationsPerWorkgroup} invocations`,
    `${limits.maxComputeWorkgroupStorageSize / 1024} KiB per workgroup`, ...extras,
  ].join(', ');
}

/** The C library matters on Linux: prebuilt packages ask for a version of it. */
function libc(): string {
  if (process.platform !== 'linux') return '';
  const { glibcVersionRuntime } = (process.report.getReport() as { header: { glibcVersionRuntime?: string } }).header;
  return glibcVersionRuntime === undefined ? ', no glibc' : `, glibc ${glibcVersionRuntime}`;
}

function packageVersion(name: string): string | undefined {
  try {
    return (JSON.parse(readFileSync(createRequire(import.meta.url).resolve(`${name}/package.json`), 'utf8')) as { version: string }).version;
  } catch {
    return undefined;
  }
}

/** Bytes that this user may still write in the current folder. */
function freeDisk(): number {
  const { bavail, bsize } = statfsSync(process.cwd());
  return bavail * bsize;
}
