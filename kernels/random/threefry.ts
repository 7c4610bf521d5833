// Threefry-2x32 with 20 rounds: two random words from a key and a counter, by additions, rotations and exclusive-ors
// alone, so that TypeScript, WASM and WGSL agree bit for bit.
// Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011); checked against its published
// vectors. Read next: random.ts.

const ROTATIONS = [13, 15, 26, 6, 17, 29, 16, 24] as const;
export const GROUPS = 5;
export const PARITY = 0x1bd11bda;

/** The rotations of rounds in group 1, 2, ...: the two halves of the list, in turn. */
export function rotationsOf(group: number): readonly number[] {
  return group & 1 ? ROTATIONS.slice(0, 4) : ROTATIONS.slice(4);
}

/** key (k0, k1) and counter (c0, c1) -> two unsigned 32-bit words. */
export function threefry2x32(k0: number, k1: number, c0: number, c1: number): readonly [number, number] {
  const k2 = k0 ^ k1 ^ PARITY;
  let x = (c0 + k0) | 0;
  let y = (c1 + k1) | 0;
  for (let group = 1; group <= GROUPS; group++) {
    const first = group & 1 ? 0 : 4;
    for (let i = first; i < first + 4; i++) {
      const r = ROTATIONS[i]!;
      x = (x + y) | 0;
      y = ((y << r) | (y >>> (32 - r))) ^ x;
    }
    const [a, b] = group % 3 === 1 ? [k1, k2] : group % 3 === 2 ? [k2, k0] : [k0, k1];
    x = (x + a) | 0;
    y = (y + b + group) | 0;
  }
  return [x >>> 0, y >>> 0];
}
