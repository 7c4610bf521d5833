import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ConfigError, FormatError } from '../../../engine/errors.ts';
import { CHARACTERS } from '../../../remit/worlds/tiny/alphabet.ts';
import { byteTokenizer, characterTokenizer, tokenizerFromJSON, type Tokenizer } from '../../../remit/text/tokenizer.ts';
import { tinyWorldTokenizer } from '../../../remit/worlds/tiny/tokenizer.ts';

/** The file as anyone reads it back. */
const file = (tokenizer: Tokenizer) => JSON.parse(JSON.stringify(tokenizer)) as Record<string, any>;

describe('the byte tokenizer', () => {
  test('gives any text back', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(byteTokenizer.decode(byteTokenizer.encode(text))).toBe(text);
    }));
    expect(byteTokenizer.decode(byteTokenizer.encode('\uFEFFmark'))).toBe('\uFEFFmark');
  });

  test('gives each byte its own value as id', () => {
    expect(Array.from(byteTokenizer.encode('aé€'))).toEqual([97, 0xc3, 0xa9, 0xe2, 0x82, 0xac]);
    expect([byteTokenizer.name, byteTokenizer.vocabulary]).toEqual(['byte', 256]);
  });

  test('refuses half of a surrogate pair, which has no bytes of its own', () => {
    expect(() => byteTokenizer.encode('a\ud83d')).toThrow(
      new ConfigError('tokenizer: text: "\\ud83d" at position 1: is half of a character'),
    );
    expect(() => byteTokenizer.encode(5 as never)).toThrow(new ConfigError('tokenizer: encode(5): must be a string'));
  });

  test('shows bytes that are not UTF-8 as U+FFFD', () => {
    expect(byteTokenizer.decode([97, 0xc3])).toBe('a\uFFFD');
  });
});

describe('the character tokenizer', () => {
  test('gives text of the tiny world back, one token per character', () => {
    fc.assert(fc.property(fc.array(fc.nat({ max: 69 })), (ids) => {
      const text = ids.map((id) => CHARACTERS[id]).join('');
      expect(Array.from(tinyWorldTokenizer.encode(text))).toEqual(ids);
      expect(tinyWorldTokenizer.decode(ids)).toBe(text);
    }));
    expect([tinyWorldTokenizer.name, tinyWorldTokenizer.vocabulary]).toEqual(['character', 70]);
  });

  test('refuses an alphabet that no tokenizer.json could hold', () => {
    const refused = (alphabet: unknown, message: string) =>
      expect(() => characterTokenizer(alphabet as string)).toThrow(new ConfigError(`tokenizer: ${message}`));
    refused('hello', `alphabet "hello": has "l" twice: give [...new Set(text)].join('')`);
    refused('', 'alphabet "": must be a text of one or more characters');
    refused(undefined, 'alphabet undefined: must be a text of one or more characters');
    refused(['a', 'b'], 'alphabet ["a","b"]: must be a text of one or more characters');
    refused('ab\udc00', 'alphabet: "\\udc00" at position 2: is half of a character');
    expect(tokenizerFromJSON(file(characterTokenizer('0a1_')))).toMatchObject({ vocabulary: 4 });
  });

  test('names a character without a token, and its position', () => {
    expect(() => tinyWorldTokenizer.encode('^S1Q')).toThrow(
      `tokenizer: character "Q" at position 3: not in the alphabet ${CHARACTERS}`,
    );
    expect(() => tinyWorldTokenizer.encode('^\n')).toThrow(
      'tokenizer: character "\\n" at position 1: not in the alphabet',
    );
    expect(() => characterTokenizer('a😀').encode('😀é')).toThrow(
      'tokenizer: character "é" at position 1: not in the alphabet a😀',
    );
  });

  test('names an id out of range, and its position', () => {
    expect(() => tinyWorldTokenizer.decode([0, 70])).toThrow('tokenizer: token 70 at position 1: must be from 0 to 69');
    expect(() => byteTokenizer.decode([-1])).toThrow('tokenizer: token -1 at position 0: must be from 0 to 255');
    expect(() => byteTokenizer.decode([1.5])).toThrow('tokenizer: token 1.5 at position 0: must be from 0 to 255');
  });
});

describe('tokenizer.json', () => {
  test('of bytes is a ByteLevel BPE without merges, in the GPT-2 alphabet', () => {
    const { model, pre_tokenizer, decoder } = file(byteTokenizer);
    expect(model).toMatchObject({
      type: 'BPE',
      merges: [],
      vocab: { '!': 33, a: 97, Ā: 0, ĉ: 9, Ċ: 10, Ġ: 32, é: 233, ÿ: 255, Ń: 173 },
    });
    expect(Object.keys(model.vocab)).toHaveLength(256);
    expect(pre_tokenizer).toMatchObject({ type: 'ByteLevel', add_prefix_space: false, use_regex: false });
    expect(decoder).toMatchObject({ type: 'ByteLevel' });
  });

  test('of characters is a BPE without merges, with nothing split beforehand', () => {
    const { model, pre_tokenizer, decoder } = file(tinyWorldTokenizer);
    expect(model).toMatchObject({ type: 'BPE', merges: [], unk_token: '^' });
    expect(model.vocab).toEqual(Object.fromEntries([...CHARACTERS].map((character, id) => [character, id])));
    expect([pre_tokenizer, decoder]).toEqual([null, { type: 'Fuse' }]);
  });

  test('is read back as the same tokenizer', () => {
    for (const tokenizer of [byteTokenizer, tinyWorldTokenizer, characterTokenizer('b😀a')]) {
      const again = tokenizerFromJSON(file(tokenizer));
      expect([again.name, again.vocabulary]).toEqual([tokenizer.name, tokenizer.vocabulary]);
      expect(file(again)).toEqual(file(tokenizer));
    }
  });

  test('may name vocabulary entries as special tokens', () => {
    const special = { ...file(tinyWorldTokenizer), added_tokens: [{ id: 0, content: '^', special: true }] };
    expect(tokenizerFromJSON(special).vocabulary).toBe(70);
  });

  const byte = file(byteTokenizer);
  const character = file(tinyWorldTokenizer);
  test.each<[string, unknown]>([
    ['the file: [1]: must be a JSON object', [1]],
    ['model: nothing: must be a JSON object', {}],
    ['model.type: "WordPiece": must be "BPE"', { ...byte, model: { ...byte.model, type: 'WordPiece' } }],
    [
      'model.merges[0]: "a b": "ab" is not in model.vocab',
      { ...byte, model: { ...byte.model, merges: ['a b'] } },
    ],
    [
      'model.end_of_word_suffix: "</w>": must be absent or null',
      { ...byte, model: { ...byte.model, end_of_word_suffix: '</w>' } },
    ],
    ['normalizer: {"type":"NFC"}: must be absent or null', { ...character, normalizer: { type: 'NFC' } }],
    [
      'post_processor: {"type":"TemplateProcessing"}: must be absent or null',
      { ...character, post_processor: { type: 'TemplateProcessing' } },
    ],
    ['model.vocab: nothing: must be a JSON object', { ...character, model: { type: 'BPE', merges: [] } }],
    ['model.vocab: {}: is empty', { ...character, model: { type: 'BPE', merges: [], vocab: {} } }],
    [
      'model.vocab["b"]: 2: ids must be 0 to 1, each once',
      { ...character, model: { type: 'BPE', merges: [], vocab: { a: 0, b: 2 } } },
    ],
    [
      'model.vocab["b"]: 0: ids must be 0 to 1, each once',
      { ...character, model: { type: 'BPE', merges: [], vocab: { a: 0, b: 0 } } },
    ],
    [
      'model.vocab: "ab": is not a single character',
      { ...character, model: { type: 'BPE', merges: [], vocab: { ab: 0 } } },
    ],
    ['decoder: {"type":"Fuse"}: must be ByteLevel, as pre_tokenizer is', { ...byte, decoder: { type: 'Fuse' } }],
    ['decoder: null: must be {"type":"Fuse"}', { ...character, decoder: null }],
    [
      'pre_tokenizer: {"type":"Whitespace"}: must be null, ByteLevel, or a Sequence that ends with it',
      { ...character, pre_tokenizer: { type: 'Whitespace' } },
    ],
    [
      'added_tokens: {"id":70,"content":"<pad>"}: is not in model.vocab under that id',
      { ...character, added_tokens: [{ id: 70, content: '<pad>' }] },
    ],
    [
      'added_tokens: {"id":0,"content":"^","lstrip":true}: lstrip must be false: it would swallow or pass over text',
      { ...character, added_tokens: [{ id: 0, content: '^', lstrip: true }] },
    ],
    [
      'truncation: {"max_length":8}: must be absent or null: texts are never cut',
      { ...character, truncation: { max_length: 8 } },
    ],
    [
      'padding: {"strategy":{"Fixed":8}}: must be absent or null: texts are never filled up',
      { ...byte, padding: { strategy: { Fixed: 8 } } },
    ],
    [
      'model.vocab: "\\ud83d": is half of a character',
      { ...character, model: { type: 'BPE', merges: [], vocab: { '\ud83d': 0 } } },
    ],
    ['added_tokens: 1: must be a list', { ...character, added_tokens: 1 }],
  ])('is refused: %s', (message, json) => {
    expect(() => tokenizerFromJSON(json)).toThrow(new FormatError(`tokenizer.json: ${message}`));
  });

  test('may give the bytes other ids', () => {
    const vocab = { ...byte.model.vocab, a: 98, b: 97 };
    const swapped = tokenizerFromJSON({ ...byte, model: { ...byte.model, vocab } });
    expect([swapped.name, ...swapped.encode('abc')]).toEqual(['bpe', 98, 97, 99]);
  });

  test('is refused in one short line, however long the file', () => {
    const merges = Array.from({ length: 1000 }, (_, i) => `a ${i}`);
    const long = { ...character, model: { ...character.model, merges } };
    expect(() => tokenizerFromJSON(long)).toThrow(/^tokenizer\.json: model\.merges: .{60}\.\.\.: must be \[\]/);
  });
});
