// Shaders to pipelines: one per kernel and combination of substitutions and constants, made at first use and kept.
// Compile errors are mapped back to the file and line that they come from. Read after: kernels/wgsl.ts.

import { files, parts } from '../../kernels/generated-sources.ts';
import type { Wgsl, WgslProgram } from '../../kernels/wgsl.ts';

export interface Pipeline {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

type Values<T> = Readonly<Record<string, T>>;

export class Pipelines {
  readonly #device: GPUDevice;
  readonly #fail: (message: string) => void;
  readonly #made = new Map<WgslProgram<string, string>, Map<string, Pipeline>>();
  #unchecked = 0;
  #checked: Promise<unknown> = Promise.resolve();
  /** Pipelines made so far: constant in a warm step. */
  count = 0;

  /**
   * `fail` is told of shaders that do not compile; that takes the device a moment, so it comes after get() has
   * returned.
   */
  constructor(device: GPUDevice, fail: (message: string) => void) {
    this.#device = device;
    this.#fail = fail;
  }

  get(program: WgslProgram<string, string>, params: Readonly<Record<string, number>>): Pipeline {
    const bySize = typeof program.substitutions === 'function' ? program.substitutions(params) : undefined;
    const constants = program.constants?.(params);
    const key = bySize || constants ? JSON.stringify([bySize, constants]) : '';
    let variants = this.#made.get(program);
    if (!variants) this.#made.set(program, (variants = new Map()));
    let pipeline = variants.get(key);
    if (!pipeline) {
      variants.set(
        key,
        (pipeline = this.#make(
          program.shader,
          bySize ?? (program.substitutions as Values<string> | undefined) ?? {},
          constants ?? {},
        )),
      );
    }
    return pipeline;
  }

  /** Resolves when the device has judged every pipeline made so far; null when it has already. */
  get checked(): Promise<unknown> | null {
    return this.#unchecked > 0 ? this.#checked : null;
  }

  #make(shader: Wgsl, substitutions: Values<string>, constants: Values<number>): Pipeline {
    this.count++;
    const variant = Object.entries({ ...substitutions, ...constants })
      .map(([name, value]) => ` ${name}=${value}`)
      .join('');
    const code = specialise(shader, substitutions);
    this.#device.pushErrorScope('validation');
    const module = this.#device.createShaderModule({ label: shader.path, code });
    const layout = this.#device.createBindGroupLayout({
      label: shader.path,
      entries: [
        { binding: 0, visibility: GPUShaderStage.COMPUTE, buffer: { type: 'uniform' } },
        ...shader.bindings.map(({ access }, i) => ({
          binding: i + 1,
          visibility: GPUShaderStage.COMPUTE,
          buffer: { type: access === 'read' ? 'read-only-storage' : 'storage' } as const,
        })),
      ],
    });
    const pipeline = this.#device.createComputePipeline({
      label: shader.path + variant,
      layout: this.#device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module, entryPoint: 'main', constants },
    });
    this.#check(module, this.#device.popErrorScope(), shader.path, variant);
    return { pipeline, layout };
  }

  /**
   * Reports the compiler's first error at the line of the file that it is in, or else what is wrong with the pipeline.
   */
  #check(module: GPUShaderModule, scope: Promise<GPUError | null>, path: string, variant: string): void {
    this.#unchecked++;
    const judge = async (): Promise<void> => {
      const [{ messages }, error] = await Promise.all([module.getCompilationInfo(), scope]);
      const first = messages.find(({ type }) => type === 'error');
      const what = first
        ? `${placeOf(path, first.lineNum)}:${first.linePos}: ${first.message}`
        : error && `${path}: ${error.message.split('\n')[0]}`;
      if (what) this.#fail(`${what}${variant && ` (variant${variant})`}`);
    };
    const check = judge().catch(() => {}).finally(() => this.#unchecked--); // a device that was lost says so elsewhere
    this.#checked = Promise.all([this.#checked, check]);
  }
}

/** `file:line` of a line of a shader, of what it includes too. */
function placeOf(path: string, line: number): string {
  let before = 0;
  for (const [file, first, count] of parts[path] ?? []) {
    if (line <= before + count) return `${file}:${first + line - before - 1}`;
    before += count;
  }
  return `${path}:${line}`; // a shader that brings its own text
}

/** The text of a shader as its file has it, includes replaced. */
export function sourceOf({ path, source }: Pick<Wgsl, 'path' | 'source'>): string {
  if (source !== undefined) return source;
  const made = parts[path];
  if (made === undefined) throw new Error(`internal: ${path}: has no source`);
  return made
    .flatMap(([file, first, count]) => files[file]!.split('\n').slice(first - 1, first - 1 + count))
    .join('\n');
}

/**
 * The source with the right-hand side of each `//#param NAME` line replaced: what stands between `= ` or `return ` and
 * `;`.
 */
export function specialise(shader: Wgsl, substitutions: Values<string>): string {
  const { path } = shader;
  const left = new Set(Object.keys(substitutions));
  const text = sourceOf(shader).split('\n').map((line) => {
    const name = /\/\/#param (\w+)/.exec(line)?.[1];
    const value = name === undefined ? undefined : substitutions[name];
    if (name === undefined || value === undefined) return line;
    left.delete(name);
    return line.replace(/(= |return )[^;]*;/, (_, before: string) => `${before}${value};`);
  });
  const [missing] = left;
  if (missing !== undefined) throw new Error(`internal: ${path}: has no line marked //#param ${missing}`);
  return text.join('\n');
}
