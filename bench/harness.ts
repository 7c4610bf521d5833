// Timing by turns: contenders run one after another, round after round, so that a busy moment of the machine hits all
// of them, and each keeps its best and its median. Ratios between contenders of one run are what we quote; see
// docs/measuring.md.

import { Bench } from 'tinybench';

export interface Contender {
  readonly name: string;
  /** One unit of work, waited for. */
  readonly run: () => void | Promise<void>;
}

export interface Timing {
  readonly name: string;
  /** Milliseconds per unit of work. */
  readonly best: number;
  readonly median: number;
}

/** Rounds of a few samples each, every sample `inner` units long, so that it takes at least about 5 ms. */
export async function byTurns(contenders: readonly Contender[], { rounds = 7, samples = 4 } = {}): Promise<Timing[]> {
  const inner = new Map<string, number>();
  const times = new Map<string, number[]>();
  for (const { name, run } of contenders) {
    for (let i = 0; i < 3; i++) await run(); // compile, and let the engine optimise
    const start = performance.now();
    await run();
    inner.set(name, Math.max(1, Math.round(5 / (performance.now() - start))));
    times.set(name, []);
  }
  for (let round = 0; round < rounds; round++) {
    for (const { name, run } of contenders) {
      const count = inner.get(name)!;
      const bench = new Bench({ iterations: samples, time: 0, warmup: false, retainSamples: true });
      bench.add(name, async () => {
        for (let i = 0; i < count; i++) await run();
      });
      await bench.run();
      const result = bench.tasks[0]!.result;
      if (!('latency' in result)) throw new Error(`bench: ${name} did not complete`, { cause: result });
      for (const ms of result.latency.samples!) times.get(name)!.push(ms / count);
    }
  }
  return contenders.map(({ name }) => {
    const sorted = times.get(name)!.toSorted((a, b) => a - b);
    return { name, best: sorted[0]!, median: sorted[sorted.length >> 1]! };
  });
}
