// Timing by turns: contenders run one after another, round after round, over the whole time, so that a busy moment of
// the machine hits all of them. Each round also times a yardstick, work that no change of this project touches; two runs
// are compared in its measure (statistics.ts). Read next: contenders.ts. Used by: command.ts.

import { WasmModule } from '../kernels/wasm/assembler.ts';
import { v128 } from '../kernels/wasm/instructions.ts';
import { countFor } from '../engine/probe.ts';
import type { Least } from './ceilings.ts';

/** Something that is timed. */
export interface Contender {
  readonly label: string;
  /** Which of several programs, or what it runs on. */
  readonly program: string;
  /** What it must at least do, where that is known. */
  readonly least?: Least;
  /** Milliseconds for so many, one after another, all of them waited for. */
  sample(count: number): Promise<number>;
  /** Is it right? Throws RemitError if not. */
  check(): Promise<void>;
  /** Gives its memory back. */
  free(): void;
}

export interface Timed {
  readonly contender: Contender;
  /** Milliseconds each, a sample a round. */
  readonly samples: readonly number[];
  /** Milliseconds of the yardstick in the same rounds. */
  readonly yardsticks: readonly number[];
}

const SAMPLE_MS = 10;
const LEAST_ROUNDS = 5;
const MOST_ROUNDS = 300;

/** Each gets about `timeMs`; `tell` hears how far it is. Throws what a contender throws. */
export async function takeTurns(
  contenders: readonly Contender[],
  { timeMs, tell = () => {} }: { readonly timeMs: number; readonly tell?: (progress: string) => void },
): Promise<Timed[]> {
  const yardstick = makeYardstick();
  const racing: { readonly timed: Timed; readonly count: number; readonly rounds: number }[] = [];
  for (const [i, contender] of contenders.entries()) {
    tell(`checking ${i + 1} of ${contenders.length}: ${contender.label}`);
    await contender.check();
    const { count, ms } = await countFor((n) => contender.sample(n), Math.min(SAMPLE_MS, timeMs / LEAST_ROUNDS));
    const rounds = Math.max(LEAST_ROUNDS, Math.min(MOST_ROUNDS, Math.round(timeMs / ms)));
    racing.push({ timed: { contender, samples: [], yardsticks: [] }, count, rounds });
  }
  const rounds = racing.reduce((most, each) => Math.max(most, each.rounds), 0);
  for (let round = 0; round < rounds; round++) {
    tell(`timing, round ${round + 1} of ${rounds}`);
    for (const { timed, count, rounds: own } of racing) {
      // fewer rounds than others: spread over all of them
      if (Math.floor(((round + 1) * own) / rounds) === Math.floor((round * own) / rounds)) continue;
      const before = yardstick();
      (timed.samples as number[]).push((await timed.contender.sample(count)) / count);
      (timed.yardsticks as number[]).push((before + yardstick()) / 2);
    }
  }
  return racing.map(({ timed }) => timed);
}

const TURNS = 100_000;

/** Vectors multiplied in registers, about a millisecond: measures how fast the processor runs at this moment. */
function makeYardstick(): () => number {
  const module = new WasmModule({ shared: false, maximumPages: 1, relaxed: false });
  module.function('yardstick', ['turns'], (f, { turns }) => {
    const sums = f.locals('v128', 8);
    const i = f.local('i32');
    f.loop(i, turns, 1, () => {
      for (const sum of sums) f.set(sum, v128.add(v128.mul(sum, v128.of(0.5)), v128.of(1)));
    });
    f.store(0, sums.reduce((total, sum) => v128.add(total, sum) as never));
  });
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
  const table = new WebAssembly.Table({ element: 'anyfunc', initial: 0 });
  const made = new WebAssembly.Instance(new WebAssembly.Module(module.bytes() as never), { env: { memory, table } });
  const run = made.exports.yardstick as (turns: number) => void;
  for (let i = 0; i < 20; i++) run(TURNS); // until V8 has optimised it
  return () => {
    const start = performance.now();
    run(TURNS);
    return performance.now() - start;
  };
}

/** The smallest step of the clock that can be seen here, in milliseconds. */
export function clockResolutionMs(): number {
  let least = Infinity;
  for (let i = 0; i < 200; i++) {
    const start = performance.now();
    let now = start;
    while (now === start) now = performance.now();
    least = Math.min(least, now - start);
  }
  return least;
}
