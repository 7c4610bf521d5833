// The smallest and the largest of many numbers. Math.min(...numbers) puts every number on the stack, and ends the
// program at some 100,000. Used by: nn/generate.ts, remit/rl/rollout.ts.

/** NaN when one of them is NaN, Infinity for none. */
export function lowest(numbers: ArrayLike<number>): number {
  let least = Infinity;
  for (let i = 0; i < numbers.length; i++) least = Math.min(least, numbers[i]!);
  return least;
}

/** NaN when one of them is NaN, -Infinity for none. */
export function highest(numbers: ArrayLike<number>): number {
  let most = -Infinity;
  for (let i = 0; i < numbers.length; i++) most = Math.max(most, numbers[i]!);
  return most;
}
