// A figure as a line of JSON: what was timed, on what, with what, every sample. --out writes such lines, --compare reads
// them. Read after: timing.ts, ceilings.ts. Used by: command.ts.

import { execFileSync } from 'node:child_process';
import { appendFileSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { arch, cpus, release } from 'node:os';
import { z } from 'zod';
import { ConfigError, FormatError } from '../engine/errors.ts';
import type { Gpu } from '../engine/webgpu/adapter.ts';
import { reason } from '../remit/app/run/reason.ts';
import { version } from '../remit/app/cli/version.ts';

const numbers = z.array(z.number().positive()).min(1);

/** What --compare needs of a line; the rest is for people. */
const line = z.object({
  version: z.literal(1),
  device: z.string(),
  label: z.string(),
  program: z.string(),
  samplesMs: numbers,
  yardstickMs: z.array(z.number().positive()),
});

export type Line = z.infer<typeof line>;

/** What is the same of all figures of a run. */
export interface Circumstances {
  readonly device: string;
  readonly software: boolean;
  readonly threads: number;
  readonly adapter: Readonly<Record<string, unknown>>;
  readonly versions: Readonly<Record<string, string>>;
  readonly commit: string | undefined;
  readonly clockResolutionMs: number;
}

/** Names a figure: those of one name are compared. */
export function keyOf({ device, label, program }: Pick<Line, 'device' | 'label' | 'program'>): string {
  return `${device} | ${label} | ${program}`;
}

/** The last line of each name. Throws ConfigError where there is no such file, FormatError for what is no figure. */
export function readLines(path: string): ReadonlyMap<string, Line> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new ConfigError(`bench: --compare ${path}: ${reason(error)}: give what --out wrote`);
  }
  const found = new Map<string, Line>();
  for (const [i, row] of text.split('\n').entries()) {
    if (row.trim() === '') continue;
    const parsed = line.safeParse(parseJson(row));
    if (!parsed.success) throw new FormatError(`bench: ${path}: line ${i + 1}: is no figure of remit-mini bench`);
    found.set(keyOf(parsed.data), parsed.data);
  }
  if (found.size === 0) throw new FormatError(`bench: ${path}: holds no figure`);
  return found;
}

/** Before minutes of measuring: throws ConfigError for a file that cannot be written. */
export function checkWritable(flag: '--out' | '--plot', path: string): void {
  const isNew = !existsSync(path);
  try {
    appendFileSync(path, '');
    if (isNew) rmSync(path);
  } catch (error) {
    throw new ConfigError(`bench: ${flag} ${path}: ${reason(error)}: give a file in a folder that can be written`);
  }
}

export function appendLine(path: string, value: object): void {
  appendFileSync(path, `${JSON.stringify(value)}\n`);
}

export function versions(): Readonly<Record<string, string>> {
  return {
    'remit-mini': version(),
    node: process.versions.node,
    v8: process.versions.v8,
    system: `${process.platform} ${arch()} ${release()}`,
    ...webgpuVersion(),
  };
}

function webgpuVersion(): Readonly<Record<string, string>> {
  try {
    const { version } = createRequire(import.meta.url)('webgpu/package.json') as { version: string };
    return { webgpu: version };
  } catch {
    return {}; // not installed
  }
}

/** Of the folder that the program lies in, where that is a clone. */
export function commitHere(): string | undefined {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], {
      cwd: import.meta.dirname,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return undefined;
  }
}

export function aboutCpu(width: string): Readonly<Record<string, unknown>> {
  return { processor: cpus()[0]?.model.trim() ?? arch(), cores: cpus().length, vectors: width };
}

const LIMITS = [
  'maxBufferSize', 'maxStorageBufferBindingSize', 'maxStorageBuffersPerShaderStage', 'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
] as const;

export function aboutGpu({ name, kind, adapter: { info }, device }: Gpu): Readonly<Record<string, unknown>> {
  const { vendor, architecture, description } = info;
  return {
    name, kind, vendor, architecture, description,
    driver: description, // WebGPU tells no more of it
    features: [...device.features].sort(),
    limits: Object.fromEntries(LIMITS.map((limit) => [limit, device.limits[limit]])),
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
