// "Did you mean": the known name closest to a mistyped one, by the number of letters to change. Pure functions. Used
// by: options.ts, remit/settings/resolve.ts.

/** Words that people bring from elsewhere, by what they are called here. */
const synonyms: Readonly<Record<string, string>> = {
  lr: 'rate',
  learningrate: 'rate',
  dim: 'width',
  embd: 'width',
  batchsize: 'batch',
  blocksize: 'context',
  epochs: 'steps',
  iterations: 'steps',
  eps: 'epsilon',
  alpha: 'distil',
  gpu: 'webgpu',
  cuda: 'webgpu',
  metal: 'webgpu',
};

/** `: did you mean train?`, or nothing where no name is near. `mark` is what a name is written with, such as `--`. */
export function didYouMean(wrong: string, names: Iterable<string>, mark = ''): string {
  const name = nearest(wrong, names);
  return name === undefined ? '' : `: did you mean ${mark}${name}?`;
}

/**
 * The entry of `names` closest to `wrong`. Dotted names also match by their last part alone: `width` finds
 * `model.width`. Undefined when none is near: two letters in five may differ, or the end be missing.
 */
export function nearest(wrong: string, names: Iterable<string>): string | undefined {
  const sought = translate(wrong).toLowerCase();
  let best: string | undefined;
  let least = Infinity;
  for (const candidate of names) {
    const name = candidate.toLowerCase();
    const whole = isNear(sought, name) ? distance(sought, name) : Infinity;
    const bySection = 0.5 + (section(sought) === section(name) ? 0 : 1);
    const byLastPart = isNear(lastPart(sought), lastPart(name))
      ? bySection + distance(lastPart(sought), lastPart(name))
      : Infinity;
    const cost = Math.min(whole, byLastPart);
    if (cost < least) [best, least] = [candidate, cost];
  }
  return best;
}

const SHARE = 0.4; // of the letters: trian is train, foo is not score
const SHORTEST_START = 3;

function isNear(sought: string, name: string): boolean {
  if (sought.length >= SHORTEST_START && name.startsWith(sought)) return true;
  return distance(sought, name) <= SHARE * Math.min(sought.length, name.length);
}

/** How many letters to insert, delete, replace, or swap with the next, to turn `a` into `b`. */
export function distance(a: string, b: string): number {
  let before: readonly number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replace = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      const isSwapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swap = isSwapped ? before[j - 2]! + 1 : Infinity;
      next.push(Math.min(replace, swap, row[j]! + 1, next[j - 1]! + 1));
    }
    [before, row] = [row, next];
  }
  return row[b.length]!;
}

function lastPart(name: string): string {
  return name.slice(name.lastIndexOf('.') + 1);
}

function section(name: string): string {
  return name.slice(0, Math.max(0, name.lastIndexOf('.')));
}

function translate(name: string): string {
  const word = lastPart(name).toLowerCase().replaceAll(/[-_]/g, '');
  const ours = Object.hasOwn(synonyms, word) ? synonyms[word]! : undefined;
  if (ours === undefined) return name;
  return section(name) === '' ? ours : `${section(name)}.${ours}`;
}
