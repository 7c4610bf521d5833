// Safetensors: named arrays in one file. Eight bytes of header length, a JSON header, then the raw little-endian data.
// A file from elsewhere is untrusted, so reading is strict: whatever the header claims is checked before a byte is
// used. The format has no checksum; a caller that wants one puts it into the metadata.
// Source: the format description in huggingface/safetensors, README.md. Used by: remit/app/run/checkpoint.ts,
// remit/app/interop/.
import { anything, checkArguments, string, typedArray } from './options.ts';
import { FormatError } from './errors.ts';
import { parseJson } from './json.ts';

/** Element types that can be written, with the array that holds them in memory. */
const ARRAYS = {
  F64: Float64Array,
  F32: Float32Array,
  I64: BigInt64Array,
  U64: BigUint64Array,
  I32: Int32Array,
  U32: Uint32Array,
  I16: Int16Array,
  U16: Uint16Array,
  I8: Int8Array,
  U8: Uint8Array,
  BOOL: Uint8Array,
} as const;

/** Bytes per element. F16 and BF16 can be read (they are widened to Float32Array), not written. */
const BYTES = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  U64: 8,
  I32: 4,
  U32: 4,
  I16: 2,
  U16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
} as const;

export type WritableDType = keyof typeof ARRAYS;
export type SafetensorsDType = keyof typeof BYTES;
export type SafetensorsArray =
  | Float64Array
  | Float32Array
  | BigInt64Array
  | BigUint64Array
  | Int32Array
  | Uint32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array;

/** What goes into a file. `data` is the array type of `dtype`, row-major, as long as the product of `shape`. */
export interface TensorToWrite {
  readonly dtype: WritableDType;
  readonly shape: readonly number[];
  readonly data: SafetensorsArray;
}

/** What comes out of a file. `data` is a copy of its own, aligned; for F16 and BF16 it is a Float32Array. */
export interface StoredTensor {
  readonly dtype: SafetensorsDType;
  readonly shape: readonly number[];
  readonly data: SafetensorsArray;
}

export interface SafetensorsFile {
  /** In the order of the data. */
  readonly tensors: Map<string, StoredTensor>;
  readonly metadata: Map<string, string>;
}

const uint8 = typedArray('Uint8Array');
const METADATA = '__metadata__';
const MAX_HEADER_BYTES = 100_000_000;

/**
 * The bytes of a safetensors file, a function of its arguments alone.
 *
 * Tensors keep the given order, except that wider elements come first: so every array starts at a multiple of its
 * element size. Throws FormatError for whatever readSafetensors() would refuse, or read as something else: a name that
 * is reserved, used twice or no text; a note that is no text; a shape of other than whole numbers; an array that does
 * not have the type or length its entry says.
 */
export function writeSafetensors(
  tensors: Iterable<readonly [name: string, tensor: TensorToWrite]>,
  metadata: Iterable<readonly [key: string, value: string]> = [],
): Uint8Array {
  checkArguments('writeSafetensors', arguments, { tensors: anything, metadata: anything });
  const given = pairs('tensors', tensors);
  const names = new Set<string>([METADATA]);
  for (const [name, tensor] of given) {
    checkName('name', name, names.has(name) && (name === METADATA ? 'is reserved' : 'is used twice'));
    names.add(name);
    checkTensor(name, tensor);
  }
  const entries = given.sort(([, a], [, b]) => BYTES[b.dtype] - BYTES[a.dtype]); // a stable sort

  const fields: string[] = [];
  const field = (key: string, value: unknown) => fields.push(`${JSON.stringify(key)}:${JSON.stringify(value)}`);
  const notes = new Map<string, string>();
  for (const [key, value] of pairs('metadata', metadata)) {
    checkName('metadata key', key, notes.has(key) && 'is used twice');
    if (typeof value !== 'string') {
      throw new FormatError(`safetensors: metadata "${key}" = ${String(value).slice(0, 40)}: must be a string`);
    }
    notes.set(key, value);
  }
  if (notes.size > 0) {
    fields.push(`"${METADATA}":{${[...notes].map(([k, v]) => `${JSON.stringify(k)}:${JSON.stringify(v)}`).join(',')}}`);
  }

  let offset = 0;
  for (const [name, { dtype, shape, data }] of entries) {
    const begin = offset;
    offset += data.byteLength;
    field(name, { dtype, shape, data_offsets: [begin, offset] });
  }

  const json = new TextEncoder().encode(`{${fields.join(',')}}`);
  if (json.length > MAX_HEADER_BYTES) {
    throw new FormatError(
      `safetensors: ${entries.length} tensors: names and notes take ${json.length} bytes, at most ` +
      `${MAX_HEADER_BYTES} can be read`,
    );
  }
  const start = 8 + Math.ceil(json.length / 8) * 8; // data begins at a multiple of 8; the gap is filled with spaces
  const file = new Uint8Array(start + offset).fill(0x20, 8 + json.length, start);
  new DataView(file.buffer).setBigUint64(0, BigInt(start - 8), true);
  file.set(json, 8);
  let at = start;
  for (const [, { data }] of entries) {
    file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return file;
}

/** The entries of a Map or a list of pairs, as a list of its own. */
function pairs<T>(what: string, given: Iterable<readonly [string, T]>): (readonly [string, T])[] {
  const isPair = (entry: unknown): boolean => Array.isArray(entry) && entry.length === 2;
  const list = typeof given === 'object' && given !== null && Symbol.iterator in given ? [...given] : undefined;
  if (list?.every(isPair)) return list;
  throw new FormatError(
    `safetensors: ${what}: must be a Map or a list of [name, value]: an object is given as Object.entries(...)`,
  );
}

/** `fault`: what else is wrong with it. A lone surrogate has no UTF-8, and so no place in a file that others read. */
function checkName(kind: string, name: unknown, fault: string | false): void {
  if (typeof name !== 'string') throw new FormatError(`safetensors: ${kind} ${String(name)}: must be a string`);
  if (/\p{Surrogate}/u.test(name)) {
    throw new FormatError(`safetensors: ${kind} ${JSON.stringify(name)}: is no Unicode text`);
  }
  if (fault !== false) throw new FormatError(`safetensors: "${name}": this ${kind} ${fault}`);
}

function checkTensor(name: string, tensor: unknown): void {
  const where = `safetensors: "${name}"`;
  if (!isObject(tensor)) throw new FormatError(`${where}: must be { dtype, shape, data }`);
  const { dtype, shape, data } = tensor as {
    readonly dtype?: WritableDType;
    readonly shape?: unknown;
    readonly data?: unknown;
  };
  if (typeof dtype !== 'string' || !Object.hasOwn(ARRAYS, dtype)) {
    const readOnly = typeof dtype === 'string' && Object.hasOwn(BYTES, dtype);
    throw new FormatError(
      `${where}: dtype ${String(dtype)}: ${readOnly ? 'can be read, not written' : 'is unknown'}: use ` +
      `${Object.keys(ARRAYS).join(', ')}`,
    );
  }
  if (!isCounts(shape)) {
    throw new FormatError(`${where}: shape [${String(shape)}]: must be a list of whole numbers from 0`);
  }
  const size = shape.reduce((product, length) => product * length, 1);
  if (!(data instanceof ARRAYS[dtype])) {
    throw new FormatError(`${where}: ${dtype} is held by a ${ARRAYS[dtype].name}, not by a ${typeName(data)}`);
  }
  if (size !== data.length) {
    throw new FormatError(`${where}: [${shape}] needs ${size} elements, the array has ${data.length}`);
  }
}

function typeName(value: unknown): string {
  return typeof value === 'object' && value !== null ? (value.constructor?.name ?? 'object') : String(value);
}

/**
 * Read a safetensors file; `where` names it in messages.
 *
 * Throws FormatError unless: the header is at most 100,000,000 bytes of UTF-8 JSON that starts with "{" and repeats no
 * key; every tensor has a known dtype and takes exactly shape x dtype bytes; together they cover the data without hole
 * or overlap, to the end of the file.
 */
export function readSafetensors(bytes: Uint8Array, where: string): SafetensorsFile {
  checkArguments('readSafetensors', arguments, { bytes: anything, where: string });
  const fail: Fail = (why) => {
    throw new FormatError(`safetensors: ${where}: ${why}`);
  };
  if (!uint8.accepts(bytes)) fail(`must be given as a Uint8Array of its bytes, not as ${typeName(bytes)}`);
  // A Node Buffer is a Uint8Array whose slice() does not copy: look at the memory through a plain one.
  const file = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const { header, dataStart } = parseHeader(file, fail);

  const { [METADATA]: notes = {}, ...described } = header;
  const metadata = new Map<string, string>();
  for (const [key, value] of Object.entries(isObject(notes) ? notes : fail(`"${METADATA}" is not an object`))) {
    metadata.set(key, typeof value === 'string' ? value : fail(`metadata "${key}" is not a string`));
  }

  const slots = Object.entries(described).map(([name, info]) => parseSlot(name, info, fail));
  slots.sort((a, b) => a.begin - b.begin || a.end - b.end);
  const tensors = new Map<string, StoredTensor>();
  let due = 0;
  for (const { name, dtype, shape, begin, end } of slots) {
    if (begin !== due) {
      fail(
        `tensor "${name}" starts at byte ${begin} of the data, not at ${due}: ` +
        `${begin < due ? 'tensors overlap' : 'there is a hole'}`,
      );
    }
    due = end;
    if (dataStart + end > file.length) {
      fail(`tensor "${name}" ends at byte ${dataStart + end}, the file at ${file.length}: it is cut short`);
    }
    tensors.set(name, { dtype, shape, data: toArray(dtype, file.slice(dataStart + begin, dataStart + end)) });
  }
  if (dataStart + due !== file.length) fail(`the tensors end at byte ${dataStart + due}, the file at ${file.length}`);
  return { tensors, metadata };
}

type Fail = (why: string) => never;

function parseHeader(file: Uint8Array, fail: Fail): { header: Record<string, unknown>; dataStart: number } {
  if (file.length < 8) fail(`only ${file.length} bytes long: not a safetensors file`);
  const length = new DataView(file.buffer, file.byteOffset).getBigUint64(0, true);
  if (length > MAX_HEADER_BYTES) {
    fail(`the header would be ${length} bytes long, more than ${MAX_HEADER_BYTES}: not a safetensors file`);
  }
  const dataStart = 8 + Number(length);
  if (dataStart > file.length) {
    fail(`the header ends at byte ${dataStart}, the file at ${file.length}: it is cut short`);
  }

  let text: string;
  try {
    // "ignore" keeps a BOM in the text
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(file.subarray(8, dataStart));
  } catch {
    return fail('the header is not UTF-8');
  }
  if (!text.startsWith('{')) fail('the header does not start with "{"');
  const header = parseJson(text, (why) => fail(`the header ${why}`), { whole: true }) as Record<string, unknown>;
  return { header, dataStart };
}

interface Slot {
  readonly name: string;
  readonly dtype: SafetensorsDType;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

function parseSlot(name: string, info: unknown, fail: Fail): Slot {
  const tensor = `tensor "${name}"`;
  if (!isObject(info)) return fail(`${tensor} is not described by an object`);
  const { dtype, shape, data_offsets: offsets, ...rest } = info;
  for (const key of Object.keys(rest)) fail(`${tensor} has an unknown field "${key}"`);
  if (typeof dtype !== 'string' || !Object.hasOwn(BYTES, dtype)) {
    return fail(`${tensor} has the unknown dtype ${JSON.stringify(dtype)}`);
  }
  if (!isCounts(shape)) return fail(`${tensor} has the shape ${JSON.stringify(shape)}: not a list of whole numbers`);
  if (!isCounts(offsets) || offsets.length !== 2) {
    return fail(`${tensor} has the data_offsets ${JSON.stringify(offsets)}: not two whole numbers`);
  }

  let size: number = BYTES[dtype as SafetensorsDType];
  for (const length of shape) {
    size *= length;
    if (!Number.isSafeInteger(size)) fail(`${tensor} has the shape [${shape}]: too large`);
  }
  const [begin, end] = offsets as [number, number];
  if (end - begin !== size) {
    fail(`${tensor} ${dtype} [${shape}] needs ${size} bytes, its offsets [${begin},${end}] hold ${end - begin}`);
  }
  return { name, dtype: dtype as SafetensorsDType, shape, begin, end };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && (n as number) >= 0);
}

/** `bytes` is a copy with a buffer of its own, so it is aligned for any element type. */
function toArray(dtype: SafetensorsDType, bytes: Uint8Array<ArrayBuffer>): SafetensorsArray {
  if (dtype === 'F16') return Float32Array.from(new Uint16Array(bytes.buffer), fromHalf);
  if (dtype === 'BF16') return fromBrainFloat(new Uint16Array(bytes.buffer));
  return new ARRAYS[dtype](bytes.buffer);
}

/** IEEE 754 half: 1 sign, 5 exponent, 10 fraction bits. Every half is a float32, so this is exact. */
function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction ? NaN : sign * Infinity;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** bfloat16 is the upper half of a float32. */
function fromBrainFloat(bits: Uint16Array): Float32Array {
  return new Float32Array(Uint32Array.from(bits, (b) => b << 16).buffer);
}
