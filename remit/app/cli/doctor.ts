// `remit-mini doctor`: looks at whatever a run depends on, lets each device compute a little, and says what could be
// better. Read next: devices.ts, kernel-check.ts.

import { readFileSync, statfsSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Backend } from '../../../engine/backend.ts';
import type { Gpu } from '../../../engine/webgpu/adapter.ts';
import { CpuBackend } from '../../../engine/cpu/backend.ts';
import { bitsOf, type ProgramWidth } from '../../../engine/cpu/wasm/program-width.ts';
import { WebGpuBackend } from '../../../engine/webgpu/backend.ts';
import { readArguments } from './arguments.ts';
import { listDevices, type Device } from './devices.ts';
import { EXIT } from './exit.ts';
import { checkMatmul, type KernelCheck } from './kernel-check.ts';
import { hanging } from './layout.ts';
import { columns, print } from './terminal.ts';
import { version } from './version.ts';

export const help = `remit-mini doctor

Prints what a run depends on: Node, the package webgpu, the devices with their limits, free disk. Each device computes a matrix product,
which is compared with plain loops. Takes seconds. The last lines are advice; the exit code is 1 when a device computes wrongly.

  REMIT_NO_WEBGPU=1    in the environment: as if the package webgpu were not installed
  REMIT_WIDE=0         the same: the CPU computes in vectors of 128 bits, to the same results
`;

const NAME = 12; // columns
const MIB = 2 ** 20;
const GIB = 2 ** 30;
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
    if (device.kind === 'cpu' && typeof check !== 'string') {
      for (const text of tellWidth(new CpuBackend().width!)) advice.push(text);
    }
    if (check !== undefined && (typeof check === 'string' || !check.right)) {
      healthy = false;
      if (typeof check !== 'string') {
        advice.push(
          `${device.about} computes wrongly: update its driver, and use --device ` +
          `${device.kind === 'cpu' ? 'webgpu' : 'cpu'} until then`,
        );
      } else {
        advice.push(
          `${device.about} cannot compute: use --device ${device.kind === 'cpu' ? 'webgpu' : 'cpu'} until that is ` +
          'mended',
        );
      }
    }
    if (device.kind === 'gpu') {
      advice.push(
        device.open ? 'training will use the GPU' : 'training will use the CPU, which is fine for the presets',
      );
    }
  }
  const free = freeDisk();
  if (typeof free === 'string') advice.push(`there is nowhere to put runs: ${free}: go to another folder`);
  else line('disk', `${(free / GIB).toFixed(1)} GiB free in ${process.cwd()}`);
  if (typeof free === 'number' && free < LITTLE_DISK) {
    advice.push('there is little room for runs: give --out on another disk');
  }
  advice.forEach((text, i) => line(i === 0 ? 'advice' : '', text));
  return healthy ? EXIT.ok : EXIT.failed;
}

/** Prints how wide the CPU's vectors are, and why; returns advice where something is not as it should be. */
function tellWidth(width: ProgramWidth): string[] {
  line('', `vectors of ${bitsOf(width)}: ${width.reason}`);
  if (width.distrusted.length === 0) return [];
  return [
    `wide programs of ${width.distrusted.join(' and ')} computed wrongly and are not used: please report it with ` +
    'this output',
  ];
}

function line(name: string, text: string): void {
  print(hanging(name.padEnd(NAME), text, columns()));
}

/** What the check found, what went wrong instead, or nothing where there is no device. */
async function checkDevice({ open }: Device): Promise<KernelCheck | string | undefined> {
  let backend: Backend | undefined;
  try {
    backend = open?.();
    return backend && await checkMatmul(backend);
  } catch (error) {
    return (error as Error).message;
  } finally {
    if (backend instanceof WebGpuBackend) await backend.close();
  }
}

function describe({ right, worst, gflops }: KernelCheck): string {
  return (
    `matmul ${right ? 'right' : 'WRONG'} (${worst.toExponential(0)} off at most), ${gflops.toPrecision(2)} GFLOP/s`
  );
}

function limits({ device: { limits, features } }: Gpu): string {
  const extras = ['timestamp-query', 'shader-f16', 'subgroups'].filter((feature) => features.has(feature));
  return [
    `buffers to ${Math.floor(limits.maxBufferSize / MIB)} MiB`,
    `bindings to ${Math.floor(limits.maxStorageBufferBindingSize / MIB)} MiB`,
    `${limits.maxStorageBuffersPerShaderStage} storage buffers`,
    `${limits.maxComputeInvocationsPerWorkgroup} invocations`,
    `${limits.maxComputeWorkgroupStorageSize / 1024} KiB per workgroup`,
    ...extras,
  ].join(', ');
}

/** The C library matters on Linux: prebuilt packages ask for a version of it. */
function libc(): string {
  if (process.platform !== 'linux') return '';
  Object.assign(process.report, { excludeNetwork: true }); // else it looks up the names of all open sockets
  const { glibcVersionRuntime } = (process.report.getReport() as { header: { glibcVersionRuntime?: string } }).header;
  return glibcVersionRuntime === undefined ? ', no glibc' : `, glibc ${glibcVersionRuntime}`;
}

function packageVersion(name: string): string | undefined {
  try {
    return (
      JSON.parse(readFileSync(createRequire(import.meta.url).resolve(`${name}/package.json`), 'utf8')) as {
        version: string;
      }
    ).version;
  } catch {
    return undefined;
  }
}

/** Bytes that this user may still write in the current folder, or why there is none. */
function freeDisk(): number | string {
  try {
    const { bavail, bsize } = statfsSync(process.cwd());
    return bavail * bsize;
  } catch (error) {
    return (error as Error).message;
  }
}
