// Safetensors: named arrays in one file. Eight bytes of header length, a JSON header, then the raw little-endian data.
// A file from elsewhere is untrusted, so reading is strict: whatever the header claims is checked before a byte is used.
// The format has no checksum; a caller that wants one puts it into the metadata.
// Source: the format description in huggingface/safetensors, README.md. Used by: remit/run/checkpoint.ts, remit/interop/.
import { FormatError } from './errors.ts';

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
const BYTES = { F64: 8, F32: 4, F16: 2, BF16: 2, I64: 8, U64: 8, I32: 4, U32: 4, I16: 2, U16: 2, I8: 1, U8: 1, BOOL: 1 } as const;

export type WritableDType = keyof typeof ARRAYS;
export type SafetensorsDType = keyof typeof BYTES;
export type SafetensorsArray =
  | Float64Array | Float32Array | BigInt64Array | BigUint64Array | Int32Array | Uint32Array | Int16Array | Uint16Array | Int8Array | Uint8Array;

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

const METADATA = '__metadata__';
const MAX_HEADER_BYTES = 100_000_000;

/**
 * The bytes of a safetensors file, a function of its arguments alone.
 *
 * Tensors keep the given order, except that wider elements come first: so every array starts at a multiple of its element size.
 * Throws FormatError when a name is reserved or used twice, or when an array does not have the type or length that its entry says.
 */
export function writeSafetensors(
  tensors: Iterable<readonly [name: string, tensor: TensorToWrite]>,
  metadata: Iterable<readonly [key: string, value: string]> = [],
): Uint8Array {
  const entries = [...tensors].sort(([, a], [, b]) => BYTES[b.dtype] - BYTES[a.dtype]); // a stable sort
  const fields: string[] = [];
  const field = (key: string, value: unknown) => fields.push(`${JSON.stringify(key)}:${JSON.stringify(value)}`);

  const notes = new Map(metadata);
  if (notes.size > 0) fields.push(`"${METADATA}":{${[...notes].map(([k, v]) => `${JSON.stringify(k)}:${JSON.stringify(v)}`).join(',')}}`);

  const names = new Set<string>([METADATA]);
  let offset = 0;
  for (const [name, tensor] of entries) {
    if (names.has(name)) throw new FormatError(`safetensors: "${name}": this name is ${name === METADATA ? 'reserved' : 'used twice'}`);
    names.add(name);
    checkArray(name, tensor);
    field(name, { dtype: tensor.dtype, shape: tensor.shape, data_offsets: [offset, (offset += tensor.data.byteLength)] });
  }

  const json = new TextEncoder().encode(`{${fields.join(',')}}`);
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

function checkArray(name: string, { dtype, shape, data }: TensorToWrite): void {
  const size = shape.reduce((product, length) => product * length, 1);
  if (!(data instanceof ARRAYS[dtype])) {
    throw new FormatError(`safetensors: "${name}": ${dtype} is held by a ${ARRAYS[dtype].name}, not by a ${data.constructor.name}`);
  }
  if (size !== data.length) throw new FormatError(`safetensors: "${name}": [${shape}] needs ${size} elements, the array has ${data.length}`);
}

/**
 * Read a safetensors file; `where` names it in messages.
 *
 * Throws FormatError unless: the header is at most 100,000,000 bytes of UTF-8 JSON that starts with "{" and repeats no key; every tensor
 * has a known dtype and takes exactly shape x dtype bytes; together they cover the data without hole or overlap, to the end of the file.
 */
export function readSafetensors(bytes: Uint8Array, where: string): SafetensorsFile {
  const fail: Fail = (why) => {
    throw new FormatError(`safetensors: ${where}: ${why}`);
  };
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
    if (begin !== due) fail(`tensor "${name}" starts at byte ${begin} of the data, not at ${due}: ${begin < due ? 'tensors overlap' : 'there is a hole'}`);
    due = end;
    if (dataStart + end > file.length) fail(`tensor "${name}" ends at byte ${dataStart + end}, the file at ${file.length}: it is cut short`);
    tensors.set(name, { dtype, shape, data: toArray(dtype, file.slice(dataStart + begin, dataStart + end)) });
  }
  if (dataStart + due !== file.length) fail(`the tensors end at byte ${dataStart + due}, the file at ${file.length}`);
  return { tensors, metadata };
}

type Fail = (why: string) => never;

function parseHeader(file: Uint8Array, fail: Fail): { header: Record<string, unknown>; dataStart: number } {
  if (file.length < 8) fail(`only ${file.length} bytes long: not a safetensors file`);
  const length = new DataView(file.buffer, file.byteOffset).getBigUint64(0, true);
  if (length > MAX_HEADER_BYTES) fail(`the header would be ${length} bytes long, more than ${MAX_HEADER_BYTES}: not a safetensors file`);
  const dataStart = 8 + Number(length);
  if (dataStart > file.length) fail(`the header ends at byte ${dataStart}, the file at ${file.length}: it is cut short`);

  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(file.subarray(8, dataStart)); // "ignore" keeps a BOM in the text
  } catch {
    return fail('the header is not UTF-8');
  }
  if (!text.startsWith('{')) fail('the header does not start with "{"');
  let header: Record<string, unknown>;
  try {
    header = JSON.parse(text) as Record<string, unknown>;
  } catch {
    return fail('the header is not JSON');
  }
  checkKeysAndNumbers(text, fail);
  return { header, dataStart };
}

/**
 * What JSON.parse lets pass: a key used twice in one object (the last one would win), and numbers other than plain whole ones.
 * `text` is JSON that has been parsed without error, so every bracket and quote has its partner.
 */
function checkKeysAndNumbers(text: string, fail: Fail): void {
  const objects: Set<string>[] = []; // keys seen so far, one set for each open object
  const number = /[-+.\deE]+/y;
  const colon = /[ \t\n\r]*:/y;
  for (let i = 0; i < text.length; i++) {
    const character = text[i]!;
    if (character === '{') {
      objects.push(new Set());
    } else if (character === '}') {
      objects.pop();
    } else if (character === '"') {
      const begin = i++;
      while (text[i] !== '"') i += text[i] === '\\' ? 2 : 1;
      colon.lastIndex = i + 1;
      if (!colon.test(text)) continue; // a value, not a key
      const key = JSON.parse(text.slice(begin, i + 1)) as string;
      const keys = objects.at(-1)!;
      if (keys.has(key)) fail(`the header has "${key}" twice`);
      keys.add(key);
    } else if (character === '-' || (character >= '0' && character <= '9')) {
      number.lastIndex = i;
      const digits = number.exec(text)![0];
      if (!/^\d+$/.test(digits)) fail(`the header has the number ${digits}: whole numbers from 0 are allowed`);
      i += digits.length - 1;
    }
  }
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
  if (typeof dtype !== 'string' || !Object.hasOwn(BYTES, dtype)) return fail(`${tensor} has the unknown dtype ${JSON.stringify(dtype)}`);
  if (!isCounts(shape)) return fail(`${tensor} has the shape ${JSON.stringify(shape)}: not a list of whole numbers`);
  if (!isCounts(offsets) || offsets.length !== 2) return fail(`${tensor} has the data_offsets ${JSON.stringify(offsets)}: not two whole numbers`);

  let size: number = BYTES[dtype as SafetensorsDType];
  for (const length of shape) {
    size *= length;
    if (!Number.isSafeInteger(size)) fail(`${tensor} has the shape [${shape}]: too large`);
  }
  const [begin, end] = offsets as [number, number];
  if (end - begin !== size) fail(`${tensor} ${dtype} [${shape}] needs ${size} bytes, its offsets [${begin},${end}] hold ${end - begin}`);
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
