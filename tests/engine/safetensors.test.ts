// The file format that everything we save goes through. Files from elsewhere are hostile until proven otherwise.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FormatError } from '../../engine/errors.ts';
import { readSafetensors, writeSafetensors } from '../../engine/safetensors.ts';
import type { SafetensorsArray, TensorToWrite, WritableDType } from '../../engine/safetensors.ts';

/** A file with this header and data, whatever they are. */
function fileOf(header: string, data: Uint8Array = new Uint8Array()): Uint8Array {
  const json = new TextEncoder().encode(header);
  const file = new Uint8Array(8 + json.length + data.length);
  new DataView(file.buffer).setBigUint64(0, BigInt(json.length), true);
  file.set(json, 8);
  file.set(data, 8 + json.length);
  return file;
}

const headerLength = (file: Uint8Array) => 8 + Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
const entry = (begin: number, end: number, shape = `[${(end - begin) / 4}]`) =>
  `{"dtype":"F32","shape":${shape},"data_offsets":[${begin},${end}]}`;
const reading = (file: Uint8Array) => () => readSafetensors(file, 'a.safetensors');

const sample = writeSafetensors(
  [
    ['weight', { dtype: 'F32', shape: [4, 3], data: Float32Array.from({ length: 12 }, (_, i) => Math.sin(i)) }],
    ['ids', { dtype: 'I32', shape: [3], data: Int32Array.of(7, -1, 2 ** 31 - 1) }],
  ],
  [['format', 'pt']],
);

describe('writing', () => {
  test('the bytes are the ones the format describes', () => {
    const file = writeSafetensors(
      [['attn.0', { dtype: 'F32', shape: [1, 2], data: Float32Array.of(1, -2) }]],
      [['format', 'pt']],
    );
    const header = '{"__metadata__":{"format":"pt"},"attn.0":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}';
    const padded = header.padEnd(Math.ceil(header.length / 8) * 8);
    expect(file).toEqual(fileOf(padded, Uint8Array.of(0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0)));
  });

  test('wide elements come first, so that every array is aligned', () => {
    const file = writeSafetensors([
      ['bytes', { dtype: 'U8', shape: [3], data: Uint8Array.of(1, 2, 3) }],
      ['doubles', { dtype: 'F64', shape: [1], data: Float64Array.of(1) }],
    ]);
    expect([...readSafetensors(file, 'x').tensors.keys()]).toEqual(['doubles', 'bytes']);
    expect(headerLength(file) % 8).toBe(0);
  });

  test('refuses what could not be read back', () => {
    const one: TensorToWrite = { dtype: 'F32', shape: [1], data: Float32Array.of(1) };
    expect(() =>
      writeSafetensors([
        ['a', one],
        ['a', one],
      ]),
    ).toThrow(new FormatError('safetensors: "a": this name is used twice'));
    expect(() => writeSafetensors([['__metadata__', one]])).toThrow(
      new FormatError('safetensors: "__metadata__": this name is reserved'),
    );
    expect(() => writeSafetensors([['a', { ...one, shape: [2, 3] }]]))
      .toThrow(new FormatError('safetensors: "a": [2,3] needs 6 elements, the array has 1'));
    expect(() => writeSafetensors([['a', { ...one, dtype: 'F16' as never }]]))
      .toThrow(/^safetensors: "a": dtype F16: can be read, not written: use F64, /);
    const bad = (change: object, message: string) =>
      expect(() => writeSafetensors([['a', { ...one, ...change }]])).toThrow(
        new FormatError(`safetensors: "a": ${message}`),
      );
    bad({ shape: [-1, -1] }, 'shape [-1,-1]: must be a list of whole numbers from 0');
    bad({ shape: [0.5, 2] }, 'shape [0.5,2]: must be a list of whole numbers from 0');
    bad({ shape: Int32Array.of(1) }, 'shape [1]: must be a list of whole numbers from 0');
    bad({ shape: undefined }, 'shape [undefined]: must be a list of whole numbers from 0');
    bad({ data: [1] }, 'F32 is held by a Float32Array, not by a Array');
    bad({ data: null }, 'F32 is held by a Float32Array, not by a null');
    expect(() => writeSafetensors([['a', null as never]])).toThrow(
      new FormatError('safetensors: "a": must be { dtype, shape, data }'),
    );
    expect(() => writeSafetensors([[5 as never, one]])).toThrow(
      new FormatError('safetensors: name 5: must be a string'),
    );
    expect(() => writeSafetensors([['\ud800', one]])).toThrow(
      new FormatError('safetensors: name "\\ud800": is no Unicode text'),
    );
    const pairs = 'must be a Map or a list of [name, value]: an object is given as Object.entries(...)';
    expect(() => writeSafetensors({ a: one } as never)).toThrow(new FormatError(`safetensors: tensors: ${pairs}`));
    expect(() => writeSafetensors([], { a: 'x' } as never)).toThrow(new FormatError(`safetensors: metadata: ${pairs}`));
    expect(() => writeSafetensors([], [['a', 5 as never]])).toThrow(
      new FormatError('safetensors: metadata "a" = 5: must be a string'),
    );
    expect(() => writeSafetensors([], [['a', undefined as never]])).toThrow(
      new FormatError('safetensors: metadata "a" = undefined: must be a string'),
    );
    expect(() =>
      writeSafetensors(
        [],
        [
          ['a', 'x'],
          ['a', 'y'],
        ],
      ),
    ).toThrow(new FormatError('safetensors: "a": this metadata key is used twice'));
    expect(() => writeSafetensors([['a', { ...one, dtype: 'I32' }]]))
      .toThrow(new FormatError('safetensors: "a": I32 is held by a Int32Array, not by a Float32Array'));
  });
});

describe('round trip', () => {
  const arrays: Record<WritableDType, (bytes: Uint8Array<ArrayBuffer>) => SafetensorsArray> = {
    F64: (b) => new Float64Array(b.buffer), F32: (b) => new Float32Array(b.buffer),
    I64: (b) => new BigInt64Array(b.buffer), U64: (b) => new BigUint64Array(b.buffer),
    I32: (b) => new Int32Array(b.buffer), U32: (b) => new Uint32Array(b.buffer),
    I16: (b) => new Int16Array(b.buffer), U16: (b) => new Uint16Array(b.buffer),
    I8: (b) => new Int8Array(b.buffer), U8: (b) => b, BOOL: (b) => b,
  };
  const widths = { F64: 8, F32: 4, I64: 8, U64: 8, I32: 4, U32: 4, I16: 2, U16: 2, I8: 1, U8: 1, BOOL: 1 };
  const bytesOf = (a: SafetensorsArray) => new Uint8Array(a.buffer, a.byteOffset, a.byteLength);
  const tensor = fc
    .record({
      dtype: fc.constantFrom(...(Object.keys(arrays) as WritableDType[])),
      shape: fc.array(fc.nat(4), { maxLength: 4 }),
    })
    .chain(({ dtype, shape }) => {
      const length = shape.reduce((a, b) => a * b, 1) * widths[dtype];
      return fc
        .uint8Array({ minLength: length, maxLength: length })
        .map((bytes) => ({ dtype, shape, data: arrays[dtype](bytes.slice()) }));
    });
  // '__proto__', 'toString', '0' and the like are names too.
  const name = fc
    .oneof(fc.string({ unit: 'binary' }), fc.constantFrom('__proto__', 'constructor', 'toString', '0', '1', '', '"\\'))
    .filter((s) => s !== '__metadata__');
  const tensors = fc.uniqueArray(fc.tuple(name, tensor), { selector: ([key]) => key, maxLength: 8 });
  const metadata = fc.uniqueArray(fc.tuple(name, fc.string({ unit: 'binary' })), {
    selector: ([key]) => key,
    maxLength: 4,
  });

  test('names, types, shapes, bits and metadata come back, and writing again gives the same bytes', () => {
    fc.assert(fc.property(tensors, metadata, (given, notes) => {
      const file = writeSafetensors(given, notes);
      const read = readSafetensors(file, 'x');
      expect(read.metadata).toEqual(new Map(notes));
      expect(read.tensors.size).toBe(given.length);
      for (const [key, { dtype, shape, data }] of given) {
        const got = read.tensors.get(key)!;
        expect([got.dtype, got.shape, got.data.constructor]).toEqual([dtype, shape, data.constructor]);
        expect(bytesOf(got.data)).toEqual(bytesOf(data)); // bits, so that NaN payloads count
      }
      expect(writeSafetensors(given, notes)).toEqual(file);
    }), { numRuns: 300 });
  });

  test('tensors are copies, also from a Buffer that starts at an odd address', () => {
    const file = Buffer.alloc(sample.length + 3).subarray(3);
    file.set(sample);
    const { data } = readSafetensors(file, 'x').tensors.get('weight')!;
    expect(data[1]).toBe(Math.fround(Math.sin(1)));
    data.fill(0 as never);
    expect(file.equals(sample)).toBe(true);
  });

  test('F16 and BF16 are widened without loss', () => {
    const half = Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x8000, 0x7bff, 0x7c00, 0x3555);
    const brain = Uint16Array.of(0x3f80, 0xff80, 0x4049);
    const header =
      '{"h":{"dtype":"F16","shape":[7],"data_offsets":[0,14]},"b":{"dtype":"BF16","shape":[3],"data_offsets":[14,20]}}';
    const { tensors: got } = readSafetensors(fileOf(header, Buffer.concat([bytesOf(half), bytesOf(brain)])), 'x');
    expect(got.get('h')!.data).toEqual(Float32Array.of(1, -2, 2 ** -24, -0, 65504, Infinity, 0.333251953125));
    expect(got.get('b')!.data).toEqual(Float32Array.of(1, -Infinity, 3.140625));
  });
});

describe('damage', () => {
  // A name or a note may change without a trace (the format has no checksum); a type, a shape or a value may not.
  const meaning = (file: Uint8Array) => [...readSafetensors(file, 'x').tensors.values()];

  test('every single-bit flip of the header is an error or leaves types, shapes and values alone', () => {
    const expected = meaning(sample);
    let refused = 0;
    for (let bit = 0; bit < headerLength(sample) * 8; bit++) {
      const damaged = sample.slice();
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      let got;
      try {
        got = meaning(damaged);
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
        refused++;
        continue;
      }
      expect(got).toEqual(expected);
    }
    expect(refused / (headerLength(sample) * 8)).toBeGreaterThan(0.8); // the rest are names, notes and padding
  });

  test('every truncation and every added byte is an error', () => {
    for (let n = 0; n < sample.length; n++) expect(reading(sample.subarray(0, n))).toThrow(FormatError);
    for (let n = headerLength(sample); n <= sample.length; n++) {
      expect(reading(Uint8Array.of(...sample.subarray(0, n), 0, ...sample.subarray(n)))).toThrow(FormatError);
    }
  });

  test('2,000 random files and 2,000 random headers are read or refused with a FormatError', () => {
    const survives = (file: Uint8Array) => {
      try {
        readSafetensors(file, 'x');
      } catch (error) {
        if (!(error instanceof FormatError)) throw error;
      }
    };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), survives), { numRuns: 2000 });
    const value = fc.oneof(fc.jsonValue(), fc.constantFrom('F32', 'U8', [0], [2, 2], [0, 4], [0, 16]));
    const info = fc.record({ dtype: value, shape: value, data_offsets: value }, { requiredKeys: [] });
    const header = fc.oneof(
      fc.jsonValue(),
      fc.dictionary(fc.string(), info),
      fc.dictionary(fc.constantFrom('__metadata__', '__proto__'), value),
    );
    fc.assert(
      fc.property(header, fc.uint8Array({ maxLength: 20 }), (h, data) => survives(fileOf(JSON.stringify(h), data))),
      { numRuns: 2000 },
    );
  });
});

test('what is given instead of bytes is named', () => {
  expect(() => readSafetensors('a.safetensors' as never, 'x')).toThrow(
    new FormatError('safetensors: x: must be given as a Uint8Array of its bytes, not as a.safetensors'),
  );
  expect(() => readSafetensors(new ArrayBuffer(16) as never, 'x')).toThrow(/not as ArrayBuffer$/);
});

describe('known attacks get a message that names the file and the fault', () => {
  const huge = new Uint8Array(16);
  new DataView(huge.buffer).setBigUint64(0, 100_000_001n, true);
  const bytes = (n: number) => new Uint8Array(n);
  const cases: readonly [fault: string, file: Uint8Array, message: string][] = [
    ['empty', bytes(0), 'only 0 bytes long: not a safetensors file'],
    ['huge header', huge, 'the header would be 100000001 bytes long, more than 100000000: not a safetensors file'],
    ['header past the end', fileOf('{}').subarray(0, 9), 'the header ends at byte 10, the file at 9: it is cut short'],
    ['not UTF-8', Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0, 0xff), 'the header is not UTF-8'],
    ['byte order mark', fileOf('\ufeff{}'), 'the header does not start with "{"'],
    ['leading space', fileOf(' {}'), 'the header does not start with "{"'],
    ['nesting', fileOf(`{"a":${'['.repeat(101)}${']'.repeat(101)}}`), 'the header is nested deeper than 100 levels'],
    [
      'overlap',
      fileOf(`{"a":${entry(0, 8)},"b":${entry(4, 12)}}`, bytes(12)),
      'tensor "b" starts at byte 4 of the data, not at 8: tensors overlap',
    ],
    [
      'hole',
      fileOf(`{"a":${entry(0, 8)},"b":${entry(12, 16)}}`, bytes(16)),
      'tensor "b" starts at byte 12 of the data, not at 8: there is a hole',
    ],
    ['hidden tail', fileOf(`{"a":${entry(0, 8)}}`, bytes(12)), 'the tensors end at byte 70, the file at 74'],
    [
      'cut short',
      fileOf(`{"a":${entry(0, 8)}}`, bytes(4)),
      'tensor "a" ends at byte 70, the file at 66: it is cut short',
    ],
    [
      'shape overflow',
      fileOf(`{"a":${entry(0, 8, '[4294967296,4294967296]')}}`, bytes(8)),
      'tensor "a" has the shape [4294967296,4294967296]: too large',
    ],
    [
      'wrong size',
      fileOf(`{"a":${entry(0, 8, '[3]')}}`, bytes(8)),
      'tensor "a" F32 [3] needs 12 bytes, its offsets [0,8] hold 8',
    ],
    [
      'backward offsets',
      fileOf(`{"a":${entry(8, 0, '[0]')}}`, bytes(8)),
      'tensor "a" F32 [0] needs 0 bytes, its offsets [8,0] hold -8',
    ],
    [
      'negative length',
      fileOf(`{"a":${entry(0, 8, '[-1,-2]')}}`, bytes(8)),
      'the header has the number -1: whole numbers from 0 are allowed',
    ],
    [
      'fraction',
      fileOf(`{"a":${entry(0, 0, '[0.0]')}}`),
      'the header has the number 0.0: whole numbers from 0 are allowed',
    ],
    [
      'unsafe integer',
      fileOf(`{"a":${entry(0, 8, '[9007199254740993]')}}`, bytes(8)),
      'tensor "a" has the shape [9007199254740992]: not a list of whole numbers',
    ],
    ['name twice', fileOf(`{"a":${entry(0, 8)},"\\u0061":${entry(0, 8)}}`, bytes(8)), 'the header has "a" twice'],
    ['metadata twice', fileOf('{"__metadata__":{},"__metadata__":{}}'), 'the header has "__metadata__" twice'],
    [
      'field twice',
      fileOf('{"a":{"dtype":"F32","shape":[1],"shape":[2],"data_offsets":[0,8]}}', bytes(8)),
      'the header has "shape" twice',
    ],
    [
      'unknown field',
      fileOf('{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"strides":[1]}}'),
      'tensor "a" has an unknown field "strides"',
    ],
    [
      'unknown dtype',
      fileOf('{"a":{"dtype":"toString","shape":[0],"data_offsets":[0,0]}}'),
      'tensor "a" has the unknown dtype "toString"',
    ],
    ['no dtype', fileOf('{"a":{"shape":[0],"data_offsets":[0,0]}}'), 'tensor "a" has the unknown dtype undefined'],
    [
      'bad shape',
      fileOf(`{"a":${entry(0, 4, '"1"')}}`, bytes(4)),
      'tensor "a" has the shape "1": not a list of whole numbers',
    ],
    [
      'bad offsets',
      fileOf('{"a":{"dtype":"U8","shape":[0],"data_offsets":[0]}}'),
      'tensor "a" has the data_offsets [0]: not two whole numbers',
    ],
    ['not described', fileOf('{"a":[]}'), 'tensor "a" is not described by an object'],
    ['metadata of numbers', fileOf('{"__metadata__":{"step":7}}'), 'metadata "step" is not a string'],
    ['metadata list', fileOf('{"__metadata__":[]}'), '"__metadata__" is not an object'],
  ];
  test.each(cases)('%s', (_fault, file, message) => {
    expect(reading(file)).toThrow(new FormatError(`safetensors: a.safetensors: ${message}`));
  });

  test('a header that is not JSON', () => {
    expect(reading(fileOf('{"a":}'))).toThrow(/^safetensors: a\.safetensors: the header is not JSON: /);
  });

  test('"__proto__" is a name like any other, as tensor, as note and as field', () => {
    const read = readSafetensors(
      fileOf(`{"__metadata__":{"__proto__":"x"},"__proto__":${entry(0, 4)}}`, bytes(4)),
      'x',
    );
    expect([...read.tensors.keys(), ...read.metadata.keys()]).toEqual(['__proto__', '__proto__']);
    expect(reading(fileOf(`{"a":{"__proto__":${entry(0, 4)}}}`, bytes(4)))).toThrow(/unknown field "__proto__"/);
    expect(({} as Record<string, unknown>)['dtype']).toBeUndefined();
  });

  test('brackets, quotes and digits inside a string do not confuse the scan for repeated keys', () => {
    const notes = [['{"a":1,"a":2}', '}"\\":-1.5e3'], ['\\', '\\"']] as const;
    expect([...readSafetensors(writeSafetensors([], notes), 'x').metadata]).toEqual(notes);
  });
});
