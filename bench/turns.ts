// Timing by turns what is cheap to ask for and waited for in bulk, as on a GPU: a sample is `count` units of work in a
// row and the wait for the last. Contenders take turns, round after round, so that a busy moment hits all of them. Used
// by: gpu.bench.ts. Compare: harness.ts.

export interface Contender {
  readonly name: string;
  /** Milliseconds for `count` units of work, one after another, all of them waited for. */
  sample(count: number): Promise<number>;
}

export interface Turns {
  readonly name: string;
  /** Milliseconds per unit. */
  readonly best: number;
  readonly median: number;
}

const MOST = 5000; // units in a sample

/**
 * Rounds of one sample each, of at least `sampleMs`; a contender that needs more than `limitMs` for its part gets fewer
 * rounds, but three.
 */
export async function takeTurns(
  contenders: readonly Contender[],
  { rounds = 9, sampleMs = 10, limitMs = 1500 } = {},
): Promise<Turns[]> {
  const racing: {
    readonly contender: Contender;
    readonly count: number;
    readonly rounds: number;
    readonly times: number[];
  }[] = [];
  for (const contender of contenders) {
    await contender.sample(1); // compiles
    let count = 1;
    let ms = await contender.sample(1);
    while (ms < sampleMs && count < MOST) {
      count = Math.min(MOST, Math.ceil(count * Math.min(10, (1.2 * sampleMs) / ms)));
      ms = await contender.sample(count);
    }
    racing.push({ contender, count, rounds: Math.max(3, Math.min(rounds, Math.floor(limitMs / ms))), times: [] });
  }
  for (let round = 0; round < rounds; round++) {
    for (const { contender, count, rounds, times } of racing) {
      if (round < rounds) times.push((await contender.sample(count)) / count);
    }
  }
  return racing.map(({ contender: { name }, times }) => {
    const sorted = times.toSorted((a, b) => a - b);
    return { name, best: sorted[0]!, median: sorted[sorted.length >> 1]! };
  });
}
