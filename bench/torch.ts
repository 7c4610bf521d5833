// PyTorch as a contender: a Python process that does the same work when it is its turn. Used by: gpu.bench.ts. The
// other side: gpu.torch.py.

import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Contender } from './turns.ts';

export interface About {
  readonly torch: string;
  readonly device: string;
  readonly cuda: string | null;
}

export class Torch {
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;
  #about: About | undefined;

  private constructor(python: string) {
    this.#process = spawn(python, [fileURLToPath(new URL('gpu.torch.py', import.meta.url))]);
    this.#process.on('error', () => {}); // no such program: then there is no answer either
    this.#process.stdin.on('error', () => {});
    this.#process.stderr.resume();
    this.#lines = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]();
  }

  /** undefined where this Python, or its torch, is not there. */
  static async start(python: string): Promise<Torch | undefined> {
    const torch = new Torch(python);
    const about = await torch.#ask({ about: true }).catch(() => undefined);
    if (about === undefined) return undefined;
    torch.#about = about as unknown as About;
    return torch;
  }

  get about(): About {
    return this.#about!;
  }

  /** Prepares work that gpu.torch.py knows by this name, lets `use` have it, and forgets it. */
  async with<T>(
    works: readonly { readonly name: string; readonly make: string; readonly sizes: object }[],
    use: (contenders: Contender[]) => Promise<T>,
  ): Promise<T> {
    const made: { readonly id: number; readonly contender: Contender }[] = [];
    for (const { name, make, sizes } of works) {
      const id = (await this.#ask({ make, ...sizes })).id!;
      made.push({ id, contender: { name, sample: async (count) => (await this.#ask({ run: id, count })).ms! } });
    }
    try {
      return await use(made.map(({ contender }) => contender));
    } finally {
      for (const { id } of made) await this.#ask({ drop: id });
    }
  }

  close(): void {
    this.#process.stdin.end();
  }

  async #ask(request: object): Promise<Readonly<Record<string, number>>> {
    this.#process.stdin.write(`${JSON.stringify(request)}\n`);
    const { value, done } = await this.#lines.next();
    if (done) throw new Error('bench gpu: PyTorch: the process ended');
    const answer = JSON.parse(value as string) as { readonly error?: string } & Readonly<Record<string, number>>;
    if (answer.error !== undefined) throw new Error(`bench gpu: PyTorch: ${answer.error}`);
    return answer;
  }
}
