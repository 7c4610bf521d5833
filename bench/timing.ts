// Timing by turns: contenders run one after another, round after round, over the whole time, so that a busy moment of
// the machine hits all of them. Each round also times a yardstick, work that no change of this project touches; two runs
// are compared in its measure (statistics.ts). Read next: contenders.ts. Used by: command.ts.

import { WasmModule } from '../kernels/wasm/assembler.ts';
import { i32, v128 } from '../kernels/wasm/instructions.ts';
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

const ROWS = 4;
const COLUMNS = 8;
const DEPTH = 512; // a panel of either operand; both lie in the second level of cache
const PANELS = 8;
const ROUNDS = 80;
const WAITS = 900; // additions that wait for each other, per round: no neighbour takes anything from those

/**
 * Tiles of a matrix product, about a millisecond: measures how fast the processor runs at this moment. It loads,
 * multiplies and adds as most of what is timed here does, so that a neighbour who takes ports of the processor, its
 * caches or its clock slows it as much; and a tenth of it only waits, as some of everything does.
 */
function makeYardstick(): () => number {
  const module = new WasmModule({ shared: false, maximumPages: 3, relaxed: false });
  module.function('yardstick', ['rounds'], (f, { rounds }) => {
    const sums = f.locals('v128', (ROWS * COLUMNS) / 4);
    const round = f.local('i32');
    const a = f.local('i32');
    const b = f.local('i32');
    const k = f.local('i32');
    const wait = f.local('v128');
    f.loop(round, rounds, 1, () => {
      f.set(a, i32.of(64));
      f.set(b, i32.of(64 + 4 * ROWS * DEPTH));
      f.loop(k, DEPTH * PANELS, 1, () => {
        const columns = [0, 16].map((offset) => f.keep(v128.load(b, offset)));
        for (let row = 0; row < ROWS; row++) {
          const element = f.keep(v128.loadSplat(a, 4 * row));
          columns.forEach((column, i) => {
            const sum = sums[2 * row + i]!;
            f.set(sum, v128.add(v128.mul(element, column), sum));
          });
        }
        // the first operand's panel again and again, the second's one after another
        f.set(a, i32.add(64, i32.and(i32.mul(k, 4 * ROWS), 4 * ROWS * DEPTH - 1)));
        f.set(b, i32.add(b, 4 * COLUMNS));
      });
      f.loop(k, WAITS, 1, () => f.set(wait, v128.add(wait, v128.of(1))));
    });
    f.store(0, [...sums, wait].reduce((total, sum) => v128.add(total, sum) as never));
  });
  const memory = new WebAssembly.Memory({ initial: 3, maximum: 3 });
  const table = new WebAssembly.Table({ element: 'anyfunc', initial: 0 });
  const made = new WebAssembly.Instance(new WebAssembly.Module(module.bytes() as never), { env: { memory, table } });
  const run = made.exports.yardstick as (rounds: number) => void;
  for (let i = 0; i < 20; i++) run(ROUNDS); // until V8 has optimised it
  return () => {
    const start = performance.now();
    run(ROUNDS);
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
