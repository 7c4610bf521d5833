// Turns dispatches into GPU commands, cheaply. Commands are collected and submitted together, in one pass. Command
// number i of a step is compared with command number i of the step's last call: when pipeline and buffers are the same,
// as they are in a warm step, its bind group is used again. Parameters lie at fixed places of one uniform buffer per
// step, uploaded once, and only if a word changed. Nothing is frozen: a step that takes another branch just makes new
// bind groups. Read after: pipelines.ts. Read next: backend.ts.

import type { Grid } from '../../kernels/wgsl.ts';
import type { Pipeline } from './pipelines.ts';
import type { Profiler } from './profiler.ts';

const SLOT = 256; // bytes per command's parameters: the alignment that uniform offsets need
const FIRST_CAPACITY = 256; // commands

/**
 * Part of a buffer, as commands remember it: they hold no storage, so that memory which nobody else holds can be used
 * again.
 */
export interface Binding {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly bytes: number;
}

interface Command {
  readonly pipeline: GPUComputePipeline;
  readonly bindings: readonly Binding[];
  readonly group: GPUBindGroup;
}

/** What is remembered of one step function: its last commands and its uniform buffer. */
class Memo {
  readonly commands: Command[] = [];
  next = 0;
  words = new Uint32Array(0);
  uniforms: GPUBuffer | null = null;
  changed = false;
}

export class Recorder {
  readonly #device: GPUDevice;
  readonly #memos = new WeakMap<object, Memo>();
  readonly #loose = new Memo(); // dispatches outside of steps
  #memo: Memo = this.#loose;
  #pending: { readonly command: Command; readonly grid: Grid }[] = [];
  readonly #used = new Set<GPUBuffer>(); // by pending commands
  /** Bind groups made so far: constant in a warm step. */
  groupsMade = 0;
  submits = 0;
  /** While there is one, it is told the time of every dispatch. */
  profiler: Profiler | null = null;

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  /** The commands that follow belong to this step, from its first on. Pending ones are submitted. */
  begin(owner: object): void {
    this.flush();
    let memo = this.#memos.get(owner);
    if (!memo) this.#memos.set(owner, (memo = new Memo()));
    this.#memo = memo;
    memo.next = 0;
  }

  /** Back to dispatches outside of steps. */
  end(): void {
    this.flush();
    this.#memo = this.#loose;
  }

  /** words: the parameters as the shader's struct holds them. */
  add({ pipeline, layout }: Pipeline, bindings: readonly Binding[], words: Uint32Array, grid: Grid): void {
    const memo = this.#memo;
    // so that they take no more room, however many there are
    if (memo === this.#loose && memo.next === FIRST_CAPACITY) this.flush();
    const i = memo.next++;
    this.#place(memo, i, words);
    let command = memo.commands[i];
    if (!command || command.pipeline !== pipeline || !sameBindings(command.bindings, bindings)) {
      command = { pipeline, bindings, group: this.#group(layout, bindings, memo.uniforms!, i) };
      memo.commands[i] = command;
    }
    for (const { buffer } of bindings) this.#used.add(buffer);
    this.#pending.push({ command, grid });
  }

  /** Whether a command that is not yet submitted uses this buffer. */
  uses(buffer: GPUBuffer): boolean {
    return this.#used.has(buffer);
  }

  /** Submits what is pending: one pass, one submit. */
  flush(): void {
    if (this.#pending.length === 0) return;
    const memo = this.#memo;
    if (memo.changed) {
      this.#device.queue.writeBuffer(
        memo.uniforms!,
        0,
        memo.words,
        0,
        Math.min(memo.words.length, (memo.next * SLOT) / 4),
      );
    }
    memo.changed = false;
    if (this.profiler) this.#submitTimed(this.profiler);
    else this.#submit();
    this.submits++;
    this.#pending = [];
    this.#used.clear();
    if (memo === this.#loose) memo.next = 0; // the queue keeps the order: the next upload comes after this submit
  }

  /** One pass for all. */
  #submit(): void {
    const encoder = this.#device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    let last: GPUComputePipeline | null = null;
    for (const { command: { pipeline, group }, grid } of this.#pending) {
      if (pipeline !== last) pass.setPipeline((last = pipeline));
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(...grid);
    }
    pass.end();
    this.#device.queue.submit([encoder.finish()]);
  }

  /** A pass for each. */
  #submitTimed(profiler: Profiler): void {
    let encoder = this.#device.createCommandEncoder();
    for (const { command: { pipeline, group }, grid } of this.#pending) {
      if (profiler.isFull) {
        profiler.submit(encoder);
        encoder = this.#device.createCommandEncoder();
      }
      const pass = encoder.beginComputePass(profiler.pass(pipeline.label));
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(...grid);
      pass.end();
    }
    profiler.submit(encoder);
  }

  /** Puts parameters at place i of the step's uniforms, growing them when needed. */
  #place(memo: Memo, i: number, words: Uint32Array): void {
    if (!memo.uniforms || (i + 1) * SLOT > memo.uniforms.size) this.#grow(memo);
    const at = (i * SLOT) / 4;
    for (let w = 0; w < words.length; w++) {
      if (memo.words[at + w] === words[w]) continue;
      memo.words[at + w] = words[w]!;
      memo.changed = true;
    }
  }

  /** A larger uniform buffer. Bind groups refer to the old one: pending commands go first, the rest are made again. */
  #grow(memo: Memo): void {
    this.flush();
    const bytes = memo.uniforms ? 2 * memo.uniforms.size : FIRST_CAPACITY * SLOT;
    memo.words = new Uint32Array(bytes / 4); // zeros, as in the new buffer
    memo.uniforms = this.#device.createBuffer({
      label: 'parameters',
      size: bytes,
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    });
    memo.commands.length = 0;
  }

  #group(layout: GPUBindGroupLayout, bindings: readonly Binding[], uniforms: GPUBuffer, i: number): GPUBindGroup {
    this.groupsMade++;
    return this.#device.createBindGroup({
      layout,
      entries: [
        { binding: 0, resource: { buffer: uniforms, offset: i * SLOT, size: SLOT } },
        ...bindings.map(({ buffer, offset, bytes }, b) => ({
          binding: b + 1,
          resource: { buffer, offset, size: bytes },
        })),
      ],
    });
  }
}

function sameBindings(a: readonly Binding[], b: readonly Binding[]): boolean {
  return (
    a.length === b.length &&
    a.every((x, i) => x === b[i] || (x.buffer === b[i]!.buffer && x.offset === b[i]!.offset && x.bytes === b[i]!.bytes))
  );
}
