// A row times a matrix: what decoding a single sequence is made of. Every weight is read once, so nothing is packed.
// Read after: ../wasm/assembler.ts, ../wasm/lanes.ts. Used by: matmul.wasm.ts, ../attention/cached.wasm.ts.

import type { FunctionBuilder, WasmModule } from '../wasm/assembler.ts';
import {
  at, f32, i32, lower, upper, v128, type Expr, type Float, type Int, type Vector,
} from '../wasm/instructions.ts';
import { pairs, vectors, widest, type Lanes, type LaneType } from '../wasm/lanes.ts';

const AT_ONCE = 4; // vectors or pairs of columns, or rows of B, that go along k together

/**
 * One row of A times B [K,N], whose rows lie bRow apart: columns walk down B together, as many as there are at a time;
 * then single ones. out = a B, or out += with adds = 1.
 */
export function rowTimesColumns(module: WasmModule) {
  return module.function(
    'matmulRowTimesColumns',
    ['a', 'b', 'bRow', 'out', 'N', 'K', 'adds'],
    (f, { a, b, bRow, out, N, K, adds }) => {
      const [j, k, pa, pb, to] = f.locals('i32', 5);
      const walk = (body: () => void): void => {
        f.set(pa, a);
        f.set(pb, at(b, [j, 4]));
        f.set(to, at(out, [j, 4]));
        f.loop(k, K, 1, () => {
          body();
          f.bump(pa, 4);
          f.bump(pb, bRow);
        });
      };
      /** `count` vectors of columns at a time, while there are as many. */
      const columns = <T extends LaneType>(lanes: Lanes<T>, count: number): void => {
        const bytes = 4 * lanes.floats;
        f.while(i32.ge(N, i32.add(j, count * lanes.floats)), () => {
          const sums = f.locals(lanes.type, count);
          for (const sum of sums) f.set(sum, lanes.zero as never);
          walk(() => {
            const element = f.keep(lanes.loadSplat(pa));
            sums.forEach((sum, q) => f.set(sum, lanes.madd(element, lanes.load(pb, bytes * q), sum) as never));
          });
          f.if(adds, () => sums.forEach((sum, q) => f.set(sum, lanes.add(lanes.load(to, bytes * q), sum) as never)));
          sums.forEach((sum, q) => f.store(to, sum, bytes * q));
          f.bump(j, count * lanes.floats);
        });
      };
      f.set(j, 0);
      columns(widest(f), AT_ONCE);
      if (module.wide) columns(pairs(f), 1);
      columns(vectors(f), 1);
      const single = f.local('f32');
      f.while(i32.lt(j, N), () => {
        f.set(single, f32.zero);
        walk(() => f.set(single, f32.add(single, f32.mul(f32.load(pa), f32.load(pb)))));
        storeFloat(f, to, single, adds);
        f.bump(j, 1);
      });
    },
  );
}

/** One row of A times B' for B [N,K]: dot products, four rows of B at a time, in eight lanes along k. */
export function rowTimesRows(module: WasmModule) {
  return module.function('matmulRowTimesRows', ['a', 'b', 'out', 'N', 'K', 'adds'], (f, { a, b, out, N, K, adds }) => {
    const [j, k, pa, to] = f.locals('i32', 4);
    const pb = f.locals('i32', AT_ONCE);
    const bytes = f.keep(i32.mul(K, 4));
    /** Along k while there are as many: into the sums of the rows. */
    const along = <T extends LaneType>(
      lanes: Lanes<T>,
      rows: readonly Int[],
      addTo: (r: number, product: (sum: Expr<T>) => Expr<T>) => void,
    ): void => {
      f.while(i32.ge(K, i32.add(k, lanes.floats)), () => {
        const element = f.keep(lanes.load(pa));
        rows.forEach((p, r) => {
          addTo(r, (sum) => lanes.madd(element, lanes.load(p), sum));
          f.bump(p, 4 * lanes.floats);
        });
        f.bump(pa, 4 * lanes.floats);
        f.bump(k, lanes.floats);
      });
    };
    const dots = (count: number) => (): void => {
      const rows = pb.slice(0, count);
      const eights = f.locals('pair', count);
      f.set(pa, a);
      f.set(k, 0);
      rows.forEach((p, r) => f.set(p, at(b, [i32.add(j, r), bytes])));
      for (const eight of eights) f.set(eight, pairs(f).zero);
      along(pairs(f), rows, (r, product) => f.set(eights[r]!, product(eights[r]!)));
      const fours = eights.map((eight) => f.keep(v128.add(lower(eight), upper(eight))));
      along(vectors(f), rows, (r, product) => f.set(fours[r]!, product(fours[r]!)));
      f.set(to, at(out, [j, 4]));
      if (count === 1) {
        storeFloat(f, to, f.keep(v128.sum(fours[0]!)), adds);
      } else {
        const sums = f.keep(sumOfEach(f, fours));
        f.if(adds, () => f.store(to, v128.add(v128.load(to), sums)), () => f.store(to, sums));
      }
      f.while(i32.lt(k, K), () => { // the last K mod 4 products of each row
        rows.forEach((p, r) => {
          f.store(to, f32.add(f32.load(to, 4 * r), f32.mul(f32.load(pa), f32.load(p))), 4 * r);
          f.bump(p, 4);
        });
        f.bump(pa, 4);
        f.bump(k, 1);
      });
      f.bump(j, count);
    };
    f.set(j, 0);
    f.while(i32.ge(N, i32.add(j, AT_ONCE)), dots(AT_ONCE));
    f.while(i32.lt(j, N), dots(1));
  });
}

/** The sum of the lanes of each of four vectors. */
function sumOfEach(f: FunctionBuilder, [a, b, c, d]: readonly Vector[]): Expr<'v128'> {
  const halves = (x: Vector, y: Vector): Vector =>
    f.keep(v128.add(v128.shuffle(x, y, 0, 4, 1, 5), v128.shuffle(x, y, 2, 6, 3, 7)));
  const ab = halves(a!, b!);
  const cd = halves(c!, d!);
  return v128.add(v128.shuffle(ab, cd, 0, 1, 4, 5), v128.shuffle(ab, cd, 2, 3, 6, 7));
}

function storeFloat(f: FunctionBuilder, to: Int, value: Float, adds: Int): void {
  f.if(adds, () => f.store(to, f32.add(f32.load(to), value)), () => f.store(to, value));
}
