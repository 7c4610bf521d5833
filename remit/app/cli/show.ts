// `remit-mini show`: a kernel as it is written and as it runs: its reference, its shader for these sizes, its
// WebAssembly as text. Read next: kernels/kernel.ts, kernels/wasm/disassembler.ts, engine/webgpu/pipelines.ts.

import { relaxedSimd } from '../../../engine/cpu/wasm/relaxed.ts';
import { width } from '../../../engine/cpu/wasm/width.ts';
import { ConfigError } from '../../../engine/errors.ts';
import { didYouMean } from '../../../engine/nearest.ts';
import { specialise } from '../../../engine/webgpu/pipelines.ts';
import { PORTABLE } from '../../../engine/webgpu/variants.ts';
import { kernels } from '../../../kernels/index.ts';
import type { Kernel } from '../../../kernels/kernel.ts';
import { WasmModule } from '../../../kernels/wasm/assembler.ts';
import { disassemble } from '../../../kernels/wasm/disassembler.ts';
import type { WgslProgram } from '../../../kernels/wgsl.ts';
import { readArguments } from './arguments.ts';
import { EXIT } from './exit.ts';
import { print } from './terminal.ts';

export const help = `remit-mini show [kernel] [flags]

A kernel's reference, its GPU program as it is compiled for given sizes, and its CPU program as WebAssembly. Without a
kernel: which there are.

  --variant <name>           this GPU program and nothing else; wasm and reference are also names
  --set <param=n,param=n>    sizes that programs are made for; the others are 128
`;

const USUAL = 128;

export async function run(argv: readonly string[]): Promise<number> {
  const flags = { variant: { type: 'string' }, set: { type: 'string' } } as const;
  const args = readArguments('show', argv, flags, 1);
  const [name] = args.positionals;
  if (name === undefined) {
    for (const kernel of kernels) print(`${kernel.name.padEnd(24)} ${namesOf(kernel).join(', ')}`);
    return EXIT.ok;
  }
  const kernel = kernels.find((each) => each.name === name);
  if (!kernel) {
    throw new ConfigError(
      `show: ${name}: no such kernel: see remit-mini show${didYouMean(name, kernels.map((each) => each.name))}`,
    );
  }
  const variant = args.text('variant');
  if (variant !== undefined && !namesOf(kernel).includes(variant)) {
    throw new ConfigError(
      `show: ${name}: --variant ${variant}: must be one of ${namesOf(kernel).join(', ')}` +
      didYouMean(variant, namesOf(kernel)),
    );
  }
  const params = sizesOf(kernel, args.text('set'));
  for (const part of variant === undefined ? ['reference', PORTABLE, 'wasm'] : [variant]) {
    if (!namesOf(kernel).includes(part)) continue;
    if (part === 'reference') showReference(kernel);
    else if (part === 'wasm') showWasm(kernel);
    else showShader(part, programsOf(kernel)[part]!, params);
  }
  return EXIT.ok;
}

function programsOf({ wgsl, variants }: Kernel): Readonly<Record<string, WgslProgram<string, string>>> {
  return { ...(wgsl && { [PORTABLE]: wgsl }), ...variants };
}

function namesOf(kernel: Kernel): string[] {
  return ['reference', ...Object.keys(programsOf(kernel)), ...(kernel.wasm ? ['wasm'] : [])];
}

function sizesOf({ name, params }: Kernel, text: string | undefined): Readonly<Record<string, number>> {
  const sizes: Record<string, number> = Object.fromEntries(params.map((param) => [param, usual(param)]));
  for (const pair of text?.split(',') ?? []) {
    const [param = '', value = ''] = pair.split('=');
    if (!params.includes(param)) {
      throw new ConfigError(`show: --set ${pair}: ${name} takes ${params.join(', ')}${didYouMean(param, params)}`);
    }
    if (value.trim() === '' || !Number.isFinite(Number(value))) {
      throw new ConfigError(`show: --set ${pair}: must be <param>=<number>, such as ${param}=64`);
    }
    sizes[param] = Number(value);
  }
  return sizes;
}

const SIZES: Readonly<Record<string, number>> = { batch: 1, B: 8, H: 4, KV: 4, D: 32 };

/** Switches are off. */
function usual(param: string): number {
  return /^(trans|accumulate|rotary|add[A-Z])/.test(param) ? 0 : SIZES[param] ?? USUAL;
}

function showReference({ reference, name, bindings, params }: Kernel): void {
  print(`// ${name}: reference; buffers ${bindingsText(bindings)}; params ${params.join(', ')}`);
  print(`${reference.toString()}\n`);
}

function bindingsText(bindings: Kernel['bindings']): string {
  return Object.entries(bindings).map(([name, access]) => `${name} (${access})`).join(', ');
}

function showShader(name: string, program: WgslProgram<string, string>, params: Readonly<Record<string, number>>): void {
  const { substitutions = {} } = program;
  const text = specialise(program.shader, typeof substitutions === 'function' ? substitutions(params) : substitutions);
  const given = program.constants?.(params) ?? {};
  const constants = Object.entries(given).map(([key, value]) => `; ${key} = ${value}`);
  print(`// ${program.shader.path}, program ${name}, for ${valuesText(params)}`);
  print(`// launches ${program.grid(params).join(' x ')} workgroups${constants.join('')}`);
  if (program.fits && !program.fits(params)) print('// it does not run at these sizes');
  if (program.needs) print(`// needs ${program.needs}`);
  print(`// ${memoryText(text, given)}; registers: the driver's compiler decides, and WebGPU does not tell`);
  print(`${text}\n`);
}

function valuesText(params: Readonly<Record<string, number>>): string {
  return Object.entries(params).map(([name, value]) => `${name}=${value}`).join(' ');
}

const BYTES: Readonly<Record<string, number>> = { f32: 4, u32: 4, i32: 4, f16: 2, vec2: 8, vec3: 16, vec4: 16 };

/** Sizes in a shader's text, by its own constants and by what is given in place of them; NaN for what is neither. */
function reckoner(wgsl: string, given: Readonly<Record<string, number>>): (text: string) => number {
  const declared = wgsl.matchAll(/^(?:const|override) (\w+)(?:: \w+)? = ([^;]+);/gm);
  const constants = new Map([...declared].map((match) => [match[1]!, match[2]!]));
  for (const [name, value] of Object.entries(given)) constants.set(name, `${value}`);
  const valueOf = (text: string): number => {
    const inner = /\(([^()]+)\)/.exec(text);
    if (inner) return valueOf(text.replace(inner[0], `${valueOf(inner[1]!)}`));
    const named = (word: string): number => (constants.has(word) ? valueOf(constants.get(word)!) : NaN);
    const one = (word: string): number => (/^\d+u?$/.test(word) ? parseInt(word, 10) : named(word));
    const divided = (part: string): number => part.split('/').map((word) => one(word.trim())).reduce((x, y) => x / y);
    const term = (part: string): number => part.split('*').map(divided).reduce((x, y) => x * y);
    return text.split('+').map(term).reduce((x, y) => x + y);
  };
  return valueOf;
}

/** Bytes of workgroup memory that a shader declares; undefined where a size is not to be read from its text. */
export function workgroupBytes(wgsl: string, given: Readonly<Record<string, number>> = {}): number | undefined {
  const valueOf = reckoner(wgsl, given);
  const bytesOf = (type: string): number => {
    const array = /^array<(.+), ([^,]+)>$/.exec(type);
    return array ? bytesOf(array[1]!) * valueOf(array[2]!) : (BYTES[type.replace(/<.*/, '')] ?? NaN);
  };
  const declared = [...wgsl.matchAll(/^var<workgroup> \w+: ([^;]+);/gm)];
  const bytes = declared.reduce((sum, match) => sum + bytesOf(match[1]!), 0);
  return Number.isFinite(bytes) ? bytes : undefined;
}

function memoryText(wgsl: string, given: Readonly<Record<string, number>>): string {
  const size = /@workgroup_size\(([^)]+)\)/.exec(wgsl)?.[1] ?? '1';
  const valueOf = reckoner(wgsl, given);
  const threads = size.split(',').map((side) => valueOf(side.trim())).join(' x ');
  const bytes = workgroupBytes(wgsl, given);
  return `workgroups of ${threads} threads, ${bytes === undefined ? 'an unknown number of' : bytes} bytes of their own memory`;
}

/** Each function that the program is made of: its locals, and its instructions. */
function showWasm({ wasm, name }: Kernel): void {
  const wide = width().wide;
  const module = new WasmModule({ shared: true, maximumPages: 65536, relaxed: relaxedSimd(), wide });
  for (const part of wasm!.parts) {
    module.function(part.name, ['args', 'first', 'last', 'scratch'], (f, { args, ...range }) => part.emit(f, args, range));
  }
  const bodies = module.bodies();
  const names = [...bodies.keys()];
  print(`;; ${name}: WebAssembly for the CPU, ${wide ? 'in pairs of vectors, for 256 bits' : 'vectors of 128 bits'}`);
  for (const [function_, bytes] of bodies) {
    const { lines, locals } = disassemble(bytes, names);
    const kinds = Object.entries(locals).filter(([, count]) => count > 0).map(([type, count]) => `${count} ${type}`);
    const said = `${bytes.length} bytes, ${lines.length} instructions, locals: ${kinds.join(', ') || 'none'}`;
    print(`(func $${function_} ;; ${said}\n${lines.join('\n')}\n)\n`);
  }
}
