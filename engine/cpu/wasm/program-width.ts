// How wide programs are, as others are told. Read next: width.ts, which finds out.

export interface Width {
  /** Whether programs are made in pairs of vectors. */
  readonly wide: boolean;
  /** Why, or why not, in a few words. */
  readonly reason: string;
}

/** How wide the programs of a backend came out. */
export interface ProgramWidth extends Width {
  /** Kernels whose wide program differed from its narrow one, which was taken (self-check.ts). */
  readonly distrusted: readonly string[];
}

/** In words: `256 bits`, `128 bits`, or `256 bits, but softmax and sum in 128`. */
export function bitsOf({ wide, distrusted }: ProgramWidth): string {
  if (!wide) return '128 bits';
  return distrusted.length === 0 ? '256 bits' : `256 bits, but ${distrusted.join(' and ')} in 128`;
}
