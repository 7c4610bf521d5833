// Inputs that are almost right: a valid text or file, changed in one to three places. What is random and shrinks comes
// from fast-check.

import fc from 'fast-check';

/** `bytes` with bits flipped, bytes put in or taken out, a stretch doubled, or cut short. */
export function mutatedBytes(bytes: Uint8Array): fc.Arbitrary<Uint8Array> {
  const change = fc.record({
    how: fc.constantFrom('flip', 'insert', 'remove', 'double', 'cut', 'set'),
    at: fc.nat(bytes.length),
    count: fc.integer({ min: 1, max: 12 }),
    value: fc.nat(255),
  });
  return fc.array(change, { minLength: 1, maxLength: 3 }).map((changes) =>
    changes.reduce<Uint8Array>((file, { how, at, count, value }) => {
      const [before, after] = [file.subarray(0, at), file.subarray(at)];
      switch (how) {
        case 'flip':
          return join(
            before,
            after.subarray(0, 1).map((byte) => byte ^ (1 << (value & 7))),
            after.subarray(1),
          );
        case 'set':
          return join(before, after.subarray(0, count).fill(value), after.subarray(count));
        case 'insert':
          return join(before, new Uint8Array(count).fill(value), after);
        case 'remove':
          return join(before, after.subarray(count));
        case 'double':
          return join(before, after.subarray(0, count), after);
        default:
          return before.slice();
      }
    }, bytes.slice()),
  );
}

function join(...parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

/** Values that a program trips over. */
const oddValue: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom(
    0,
    -1,
    -0,
    0.5,
    1e308,
    1e15,
    2 ** 31,
    2 ** 53,
    null,
    true,
    '',
    'NaN',
    '__proto__',
    '../../etc/passwd',
    [],
    {},
    [[]],
    'x'.repeat(1000),
  ),
  fc.jsonValue({ maxDepth: 2 }),
  fc.constant(JSON.parse('{"__proto__":{"polluted":true}}') as unknown),
);
const oddKey = fc.oneof(
  fc.constantFrom('__proto__', 'constructor', 'prototype', 'toString', 'length', ''),
  fc.string({ maxLength: 6 }),
);

/** `value`, some of whose parts are replaced, left out, or put under another name. */
export function mutatedJson(value: unknown): fc.Arbitrary<unknown> {
  const change = fc.record({
    place: fc.nat(10_000),
    how: fc.constantFrom('replace', 'remove', 'rename', 'add'),
    odd: oddValue,
    key: oddKey,
  });
  return fc.array(change, { minLength: 1, maxLength: 3 }).map((changes) => {
    const root = { root: structuredClone(value) };
    for (const { place, how, odd, key } of changes) {
      const other = JSON.parse(JSON.stringify(odd)) as unknown; // drawn values may be shared
      const places = [...placesIn(root)];
      const { owner, key: at } = places[place % places.length]!;
      const old = owner[at];
      const put = (name: string, what: unknown): void => {
        if (Array.isArray(owner) && !/^\d$/.test(name)) owner.push(what);
        else Object.defineProperty(owner, name, { value: what, enumerable: true, configurable: true, writable: true });
      };
      if (how === 'replace' || owner === root) put(at, other);
      else if (how === 'add') put(key, other);
      else delete owner[at];
      if (how === 'rename' && owner !== root) put(key, old);
    }
    return root.root;
  });
}

type Owner = Record<string, unknown>;

function* placesIn(owner: Owner): Generator<{ owner: Owner; key: string }> {
  for (const key of Object.keys(owner)) {
    yield { owner, key };
    const value = owner[key];
    if (typeof value === 'object' && value !== null) yield* placesIn(value as Owner);
  }
}
