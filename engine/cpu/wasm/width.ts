// How wide the CPU's vectors are. WebAssembly has vectors of 128 bits. V8 can join two neighbouring operations on them
// into one of 256 bits (AVX2), when a flag says so while it compiles; the programs then come in pairs of vectors
// (kernels/wasm/lanes.ts). The flag is experimental. So it is set for nothing but the compilation of our own module, on
// versions of Node that the tests have run on (npm run test:wide); what it makes is measured here, and compared bit for
// bit with what is made without it in self-check.ts. Bits do not depend on the width.
// Read after: kernels/wasm/lanes.ts. Read next: self-check.ts, compile.ts.

import { columnsOf, ROWS, tiles } from '../../../kernels/matmul/tile.wasm.ts';
import { WasmModule } from '../../../kernels/wasm/assembler.ts';
import { lowest } from '../../extremes.ts';
import type { Width } from './program-width.ts';
import { relaxedSimd } from './relaxed.ts';

/**
 * Optimised code from the start, so that what was checked is what runs; and all functions at once, while the flags are
 * set.
 */
const OPTIMISED = ['no-liftoff', 'no-wasm-lazy-compilation'] as const;
const JOINED = 'experimental-wasm-revectorize';
/**
 * By Node's major version, what its V8 needs besides: that of 26 inlines by counts which only unoptimised code
 * collects, else it aborts.
 */
const MORE_FLAGS: Readonly<Record<string, readonly string[]>> = {
  24: [],
  26: ['no-wasm-inlining', 'no-wasm-inlining-call-indirect'],
};

const FASTER = 0.95; // of the narrow product's time, or width is not worth having

let found: Width | undefined;

/** Whether programs are worth making wide, found once: takes a few milliseconds. */
export function width(): Width {
  return (found ??= findWidth());
}

function findWidth(): Width {
  const { process } = globalThis;
  if (!process?.versions?.node) return { wide: false, reason: 'only in Node' };
  const { env, arch, versions } = process;
  if (env.REMIT_WIDE === '0') return { wide: false, reason: 'turned off by REMIT_WIDE=0' };
  if (versions.bun ?? versions.deno ?? versions.electron) return { wide: false, reason: 'only in Node' };
  if (arch !== 'x64') return { wide: false, reason: `only on x64, not ${arch}` };
  if (!Object.hasOwn(MORE_FLAGS, majorOf(versions.node))) {
    return { wide: false, reason: `with Node ${Object.keys(MORE_FLAGS).join(' or ')}, not ${versions.node}` };
  }
  const ratio = productTime(true) / productTime(false);
  if (!(ratio < FASTER)) return { wide: false, reason: 'this processor joins no vectors' };
  return { wide: true, reason: `a small product takes ${ratio.toFixed(2)} of its time` };
}

/** Compiles a module of wide programs. Where V8 cannot join their pairs they compute the same, only slower. */
export const compileWide = (bytes: Uint8Array<ArrayBuffer>): WebAssembly.Module => compileOptimised(bytes, true);

/** Compiles a module with flags set, which nothing sees that is compiled before or afterwards. */
function compileOptimised(bytes: Uint8Array<ArrayBuffer>, joins: boolean): WebAssembly.Module {
  const { process } = globalThis;
  const more = process?.versions?.node === undefined ? undefined : MORE_FLAGS[majorOf(process.versions.node)];
  if (!more) return new WebAssembly.Module(bytes);
  const { setFlagsFromString } = process.getBuiltinModule('node:v8');
  const flags = [...OPTIMISED, ...more, ...(joins ? [JOINED] : [])];
  const opposite = (flag: string): string => (flag.startsWith('no-') ? flag.slice(3) : `no-${flag}`);
  for (const flag of flags) setFlagsFromString(`--${flag}`);
  try {
    return new WebAssembly.Module(bytes);
  } finally {
    for (const flag of flags) setFlagsFromString(`--${opposite(flag)}`);
  }
}

const majorOf = (version: string): string => version.split('.')[0]!;

const TIMED = { M: 256, N: 64, K: 128 } as const;
const RUNS = 10;

/**
 * The best time of a product of numbers that are all 0, in milliseconds: some 0.1. All tiles read the same rows and
 * write to the same place.
 */
function productTime(wide: boolean): number {
  const module = new WasmModule({ shared: false, maximumPages: 1, relaxed: relaxedSimd(), wide });
  const callee = tiles(module);
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
  const { exports } = new WebAssembly.Instance(compileOptimised(module.bytes(), wide), { env: { memory } });
  const { K } = TIMED;
  const a = 0;
  const b = a + 4 * ROWS * K;
  const out = b + 4 * TIMED.N * K;
  const tile = out + 4 * ROWS * TIMED.N;
  const strides = { aRow: 4 * K, aK: 4, aTile: 0, bPanel: 4 * columnsOf(module) * K, outRow: 0 };
  const values: Readonly<Record<string, number>> = { ...TIMED, ...strides, a, b, out, tile, adds: 0 };
  const run = exports.matmulTiles as (...integers: number[]) => void;
  const times = Array.from({ length: RUNS }, () => {
    const start = performance.now();
    run(...callee.parameters.map((name) => values[name]!));
    return performance.now() - start;
  });
  return lowest(times);
}
