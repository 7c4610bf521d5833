// Shaders to pipelines: one per kernel and combination of substitutions and constants, made at first use and kept.
// Compile errors are mapped back to the file and line that they come from. Read after: kernels/wgsl.ts.

import type { Wgsl, WgslProgram } from '../../kernels/wgsl.ts';

export interface Pipeline {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

export class Pipelines {
  readonly #device: GPUDevice;
  readonly #fail: (message: string) => void;
  readonly #made = new Map<WgslProgram<string, string>, Map<string, Pipeline>>();
  /** Pipelines made so far: constant in a warm step. */
  count = 0;

  /** `fail` is told of shaders that do not compile; it is asynchronous, so the message arrives after get() has returned. */
  constructor(device: GPUDevice, fail: (message: string) => void) {
    this.#device = device;
    this.#fail = fail;
  }

  get(program: WgslProgram<string, string>, params: Readonly<Record<string, number>>): Pipeline {
    const constants = program.constants?.(params) ?? {}, key = program.constants ? JSON.stringify(constants) : '';
    let variants = this.#made.get(program);
    if (!variants) this.#made.set(program, (variants = new Map()));
    let pipeline = variants.get(key);
    if (!pipeline) variants.set(key, (pipeline = this.#make(program, constants)));
    return pipeline;
  }

  #make({ shader, substitutions = {} }: WgslProgram<string, string>, constants: Readonly<Record<string, number>>): Pipeline {
    this.count++;
    const variant = Object.entries({ ...substitutions, ...constants }).map(([name, value]) => ` ${name}=${value}`).join('');
    const module = this.#device.createShaderModule({ label: shader.path, code: specialise(shader, substitutions) });
    void module.getCompilationInfo().then(({ messages }) => {
      const first = messages.find(({ type }) => type === 'error');
      if (first) this.#fail(`${shader.origins[first.lineNum - 1] ?? shader.path}:${first.linePos}: ${first.message}${variant && ` (variant${variant})`}`);
    });
    const layout = this.#device.createBindGroupLayout({ label: shader.path, entries: [
      { binding: 0, visibility: GPUShaderStage.COMPUTE, buffer: { type: 'uniform' } },
      ...shader.bindings.map(({ access }, i) => ({
        binding: i + 1, visibility: GPUShaderStage.COMPUTE, buffer: { type: access === 'read' ? 'read-only-storage' : 'storage' } as const,
      })),
    ] });
    const pipeline = this.#device.createComputePipeline({
      label: shader.path + variant,
      layout: this.#device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module, entryPoint: 'main', constants },
    });
    return { pipeline, layout };
  }
}

/** The source with the right-hand side of each `//#param NAME` line replaced: what stands between `= ` or `return ` and `;`. */
export function specialise({ path, source }: Wgsl, substitutions: Readonly<Record<string, string>>): string {
  const left = new Set(Object.keys(substitutions));
  const text = source.split('\n').map((line) => {
    const name = /\/\/#param (\w+)/.exec(line)?.[1], value = name === undefined ? undefined : substitutions[name];
    if (name === undefined || value === undefined) return line;
    left.delete(name);
    return line.replace(/(= |return )[^;]*;/, (_, before: string) => `${before}${value};`);
  });
  const [missing] = left;
  if (missing !== undefined) throw new Error(`internal: ${path}: has no line marked //#param ${missing}`);
  return text.join('\n');
}
