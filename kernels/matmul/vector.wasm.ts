// A row times a matrix: what decoding a single sequence is made of. Every weight is read once, so nothing is packed.
// Read after: ../wasm/assembler.ts. Used by: matmul.wasm.ts.

import type { Callable, FunctionBuilder, WasmModule } from '../wasm/assembler.ts';
import { f32, i32, v128, type Expr, type Local } from '../wasm/instructions.ts';

type Int = Local<'i32'>;

/** (a, b, bRow, out, N, K, adds): one row of A times B [K,N], whose rows lie bRow apart: 16 columns at a time walk down B; then 4, then single ones. */
export function rowTimesColumns(module: WasmModule): Callable {
  return module.function('matmulRowTimesColumns', ['a', 'b', 'bRow', 'out', 'N', 'K', 'adds'], (f, { a, b, bRow, out, N, K, adds }) => {
    const [j, k, pa, pb, to] = f.locals('i32', 5) as [Int, Int, Int, Int, Int], sums = f.locals('v128', 4), av = f.local('v128');
    const scalar = f.local('f32');
    const walk = (body: () => void): void => {
      f.set(pa, a);
      f.set(pb, i32.add(b, i32.mul(j, 4)));
      f.set(to, i32.add(out, i32.mul(j, 4)));
      f.loop(k, K, 1, () => {
        body();
        f.bump(pa, 4);
        f.bump(pb, bRow);
      });
    };
    const columns = (used: readonly Local<'v128'>[]) => () => {
      for (const sum of used) f.set(sum, v128.zero);
      walk(() => {
        f.set(av, v128.loadSplat(pa));
        used.forEach((sum, q) => f.set(sum, f.madd(av, v128.load(pb, 16 * q), sum)));
      });
      used.forEach((sum, q) => f.if(adds, () => f.store(to, v128.add(v128.load(to, 16 * q), sum), 16 * q), () => f.store(to, sum, 16 * q)));
      f.bump(j, 4 * used.length);
    };
    f.set(j, 0);
    f.while(i32.ge(N, i32.add(j, 16)), columns(sums));
    f.while(i32.ge(N, i32.add(j, 4)), columns(sums.slice(0, 1)));
    f.while(i32.lt(j, N), () => {
      f.set(scalar, f32.zero);
      walk(() => f.set(scalar, f32.add(scalar, f32.mul(f32.load(pa), f32.load(pb)))));
      storeFloat(f, to, scalar, adds);
      f.bump(j, 1);
    });
  });
}

/** (a, b, out, N, K, adds): one row of A times B' for B [N,K]: dot products, four rows of B at a time, in lanes of four along k. */
export function rowTimesRows(module: WasmModule): Callable {
  return module.function('matmulRowTimesRows', ['a', 'b', 'out', 'N', 'K', 'adds'], (f, { a, b, out, N, K, adds }) => {
    const [j, k, pa, to, bytes] = f.locals('i32', 5) as [Int, Int, Int, Int, Int], pb = f.locals('i32', 4), sums = f.locals('v128', 4), av = f.local('v128');
    const rows = (count: number) => () => {
      f.set(pa, a);
      for (let r = 0; r < count; r++) {
        f.set(pb[r]!, i32.add(b, i32.mul(i32.add(j, r), bytes)));
        f.set(sums[r]!, v128.zero);
      }
      f.set(k, 0);
      f.while(i32.ge(K, i32.add(k, 4)), () => {
        f.set(av, v128.load(pa));
        for (let r = 0; r < count; r++) {
          f.set(sums[r]!, f.madd(av, v128.load(pb[r]!), sums[r]!));
          f.bump(pb[r]!, 16);
        }
        f.bump(pa, 16);
        f.bump(k, 4);
      });
      f.set(to, i32.add(out, i32.mul(j, 4)));
      if (count === 1) storeFloat(f, to, f.keep(v128.sum(sums[0]!)), adds);
      else {
        const dots = f.keep(sumOfEach(f, sums));
        f.if(adds, () => f.store(to, v128.add(v128.load(to), dots)), () => f.store(to, dots));
      }
      f.while(i32.lt(k, K), () => { // the last K mod 4 products of each row
        for (let r = 0; r < count; r++) {
          f.store(to, f32.add(f32.load(to, 4 * r), f32.mul(f32.load(pa), f32.load(pb[r]!))), 4 * r);
          f.bump(pb[r]!, 4);
        }
        f.bump(pa, 4);
        f.bump(k, 1);
      });
      f.bump(j, count);
    };
    f.set(bytes, i32.mul(K, 4));
    f.set(j, 0);
    f.while(i32.ge(N, i32.add(j, 4)), rows(4));
    f.while(i32.lt(j, N), rows(1));
  });
}

/** The sum of the lanes of each of four vectors. */
function sumOfEach(f: FunctionBuilder, [a, b, c, d]: readonly Local<'v128'>[]): Expr<'v128'> {
  const halves = (x: Local<'v128'>, y: Local<'v128'>): Local<'v128'> => f.keep(v128.add(v128.shuffle(x, y, 0, 4, 1, 5), v128.shuffle(x, y, 2, 6, 3, 7)));
  const ab = halves(a!, b!), cd = halves(c!, d!);
  return v128.add(v128.shuffle(ab, cd, 0, 1, 4, 5), v128.shuffle(ab, cd, 2, 3, 6, 7));
}

function storeFloat(f: FunctionBuilder, to: Parameters<FunctionBuilder['store']>[0], value: Local<'f32'>, adds: Int): void {
  f.if(adds, () => f.store(to, f32.add(f32.load(to), value)), () => f.store(to, value));
}
