// WebAssembly's instructions by the names that the specification gives them, with the bytes that stand for each and
// what follows it in the code. Only what the kernels use is here. Writing: instructions.ts, assembler.ts; reading:
// disassembler.ts.
// Source: the WebAssembly core specification 2.0, chapter 5.4; relaxed SIMD and threads proposals. Read next:
// instructions.ts.

/** What follows an instruction: nothing, a number, or what its kind needs. */
export type Immediate =
  | 'none' | 'index' | 'label' | 'blockType' | 'table' | 'memory' | 'i32' | 'i64' | 'f32' | 'sixteen' | 'lane';

const plain = {
  block: [0x02, 'blockType'],
  loop: [0x03, 'blockType'],
  if: [0x04, 'blockType'],
  else: [0x05],
  end: [0x0b],
  br_if: [0x0d, 'label'],
  return: [0x0f],
  call: [0x10, 'index'],
  call_indirect: [0x11, 'table'],
  drop: [0x1a],
  select: [0x1b],
  'local.get': [0x20, 'index'],
  'local.set': [0x21, 'index'],
  'i32.load': [0x28, 'memory'],
  'f32.load': [0x2a, 'memory'],
  'i32.store': [0x36, 'memory'],
  'f32.store': [0x38, 'memory'],
  'i32.const': [0x41, 'i32'],
  'i64.const': [0x42, 'i64'],
  'f32.const': [0x43, 'f32'],
  'i32.eq': [0x46],
  'i32.ne': [0x47],
  'i32.lt_s': [0x48],
  'i32.gt_s': [0x4a],
  'i32.ge_s': [0x4e],
  'f32.eq': [0x5b],
  'f32.ne': [0x5c],
  'f32.lt': [0x5d],
  'f32.gt': [0x5e],
  'f32.le': [0x5f],
  'f32.ge': [0x60],
  'i32.add': [0x6a],
  'i32.sub': [0x6b],
  'i32.mul': [0x6c],
  'i32.div_u': [0x6e],
  'i32.rem_u': [0x70],
  'i32.and': [0x71],
  'i32.or': [0x72],
  'i32.xor': [0x73],
  'i32.shl': [0x74],
  'i32.shr_s': [0x75],
  'i32.shr_u': [0x76],
  'f32.abs': [0x8b],
  'f32.neg': [0x8c],
  'f32.sqrt': [0x91],
  'f32.add': [0x92],
  'f32.sub': [0x93],
  'f32.mul': [0x94],
  'f32.div': [0x95],
  'f32.min': [0x96],
  'f32.max': [0x97],
  'f32.convert_i32_s': [0xb2],
  'i32.reinterpret_f32': [0xbc],
  'f32.reinterpret_i32': [0xbe],
} as const;

/** After the byte 0xfd. */
const vectors = {
  'v128.load': [0x00, 'memory'],
  'v128.load32_splat': [0x09, 'memory'],
  'v128.store': [0x0b, 'memory'],
  'v128.const': [0x0c, 'sixteen'],
  'i8x16.shuffle': [0x0d, 'sixteen'],
  'i32x4.splat': [0x11],
  'f32x4.splat': [0x13],
  'i32x4.extract_lane': [0x1b, 'lane'],
  'f32x4.extract_lane': [0x1f, 'lane'],
  'i32x4.eq': [0x37],
  'i32x4.ne': [0x38],
  'i32x4.lt_s': [0x39],
  'i32x4.gt_s': [0x3b],
  'i32x4.ge_s': [0x3f],
  'f32x4.eq': [0x41],
  'f32x4.ne': [0x42],
  'f32x4.lt': [0x43],
  'f32x4.gt': [0x44],
  'f32x4.le': [0x45],
  'f32x4.ge': [0x46],
  'v128.not': [0x4d],
  'v128.and': [0x4e],
  'v128.andnot': [0x4f],
  'v128.or': [0x50],
  'v128.xor': [0x51],
  'v128.bitselect': [0x52],
  'v128.any_true': [0x53],
  'f32x4.nearest': [0x6a],
  'i32x4.all_true': [0xa3],
  'i32x4.shl': [0xab],
  'i32x4.shr_s': [0xac],
  'i32x4.shr_u': [0xad],
  'i32x4.add': [0xae],
  'i32x4.sub': [0xb1],
  'i32x4.mul': [0xb5],
  'i32x4.min_s': [0xb6],
  'i32x4.max_s': [0xb8],
  'f32x4.abs': [0xe0],
  'f32x4.neg': [0xe1],
  'f32x4.sqrt': [0xe3],
  'f32x4.add': [0xe4],
  'f32x4.sub': [0xe5],
  'f32x4.mul': [0xe6],
  'f32x4.div': [0xe7],
  'f32x4.min': [0xe8],
  'f32x4.max': [0xe9],
  'f32x4.pmin': [0xea],
  'f32x4.pmax': [0xeb],
  'i32x4.trunc_sat_f32x4_s': [0xf8],
  'f32x4.convert_i32x4_s': [0xfa],
  'f32x4.relaxed_madd': [0x105],
} as const;

/** After the byte 0xfe. */
const atomics = {
  'memory.atomic.notify': [0x00, 'memory'],
  'memory.atomic.wait32': [0x01, 'memory'],
  'i32.atomic.load': [0x10, 'memory'],
  'i32.atomic.store': [0x17, 'memory'],
  'i32.atomic.rmw.add': [0x1e, 'memory'],
  'i32.atomic.rmw.cmpxchg': [0x48, 'memory'],
} as const;

export type Opcode = keyof typeof plain | keyof typeof vectors | keyof typeof atomics;

/** An instruction's bytes, and what follows them. */
export interface Instruction {
  readonly bytes: readonly number[];
  readonly immediate: Immediate;
}

type Row = readonly [number, Immediate?];

/** Bytes of an unsigned number, seven bits each, least significant first. */
export function unsigned(n: number): number[] {
  const bytes: number[] = [];
  do {
    const rest = n >>> 7;
    bytes.push((n & 0x7f) | (rest ? 0x80 : 0));
    n = rest;
  } while (n);
  return bytes;
}

function table(prefix: readonly number[], rows: Readonly<Record<string, Row>>): [string, Instruction][] {
  return Object.entries(rows).map(([name, [code, immediate = 'none']]) => {
    const bytes = prefix.length === 0 ? [code] : [...prefix, ...unsigned(code)];
    return [name, { bytes, immediate }];
  });
}

export const instructions = Object.fromEntries([
  ...table([], plain), ...table([0xfd], vectors), ...table([0xfe], atomics),
]) as Readonly<Record<Opcode, Instruction>>;

/** The bytes of an instruction. */
export function op(name: Opcode): readonly number[] {
  return instructions[name].bytes;
}
