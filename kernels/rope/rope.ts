// Rotary position embedding: turns pairs of channels of each head by an angle that grows with the token's position.
// Half-split: channel i of a head pairs with channel i + D/2. The table [context,D] holds, for each position, the
// cosines of the D/2 angles and then their sines; it is made on the host, in double precision, since GPUs differ in
// their sines. Source: RoFormer, arXiv 2104.09864, section 3.2. Read next: kernels/attention/attention.ts, which
// rotates as it reads.

import { defineKernel, type HostArray } from '../kernel.ts';
import { ropeWgsl } from '../generated.ts';
import { ceilDiv, flatGrid } from '../wgsl.ts';

/** x [rows,H*D] -> out, each head of row r turned by the angles of position r mod T; inverse = 1 turns back. */
export const ropeKernel = defineKernel({
  name: 'rope',
  bindings: { x: 'read', table: 'read', out: 'write' },
  params: ['rows', 'T', 'H', 'D', 'inverse'],
  reference({ x, table, out }, { rows, T, H, D, inverse }) {
    const sign = inverse ? -1 : 1;
    for (let r = 0, p = 0; r < rows; r++) {
      for (let h = 0; h < H; h++, p += D) rotate(x, p, out, p, table, r % T, D, sign);
    }
  },
  wgsl: { shader: ropeWgsl, grid: ({ rows, H, D }) => flatGrid(ceilDiv(rows * H * D / 2, 64)) },
});

/** Turns the D channels at x[from] by the angles of `position`, into out[to]. sign -1 turns back. */
export function rotate(
  x: HostArray, from: number, out: HostArray, to: number, table: HostArray, position: number, D: number, sign: 1 | -1,
): void {
  const half = D / 2;
  const angles = position * D;
  for (let i = 0; i < half; i++) {
    const a = x[from + i]!;
    const b = x[from + half + i]!;
    const cos = table[angles + i]!;
    const sin = sign * table[angles + half + i]!;
    out[to + i] = a * cos - b * sin;
    out[to + half + i] = b * cos + a * sin;
  }
}
