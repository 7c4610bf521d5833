// A function's body as text, an instruction a line: what an emitted program really is. Reads what assembler.ts writes,
// by the same table of instructions; anything else is an error. Read after: opcodes.ts, assembler.ts. Used by:
// remit-mini show.

import { instructions, type Immediate } from './opcodes.ts';

/** A body in words, and what it keeps in locals. */
export interface Listing {
  readonly lines: readonly string[];
  /** Local variables besides the parameters, by type. V8 keeps as many of them in registers as there are. */
  readonly locals: Readonly<Record<'i32' | 'f32' | 'v128', number>>;
}

const LOCAL_TYPES: Readonly<Record<number, keyof Listing['locals']>> = { 0x7f: 'i32', 0x7d: 'f32', 0x7b: 'v128' };
const names = new Map(Object.entries(instructions).map(([name, { bytes }]) => [bytes.join(), name]));
const opens = new Set(['block', 'loop', 'if']);

/**
 * bytes: as WasmModule.bodies() gives them; functions: names of what `call` calls, by number. Throws for an instruction
 * that the assembler does not write.
 */
export function disassemble(bytes: readonly number[], functions: readonly string[] = []): Listing {
  const reader = new Reader(bytes);
  reader.unsigned(); // the length of what follows
  const locals = { i32: 0, f32: 0, v128: 0 };
  for (let groups = reader.unsigned(); groups > 0; groups--) {
    const count = reader.unsigned();
    locals[LOCAL_TYPES[reader.byte()]!] += count;
  }
  const lines: string[] = [];
  let depth = 1;
  while (!reader.done) {
    const name = reader.instruction();
    if (name === 'end' || name === 'else') depth--;
    const { immediate } = instructions[name as keyof typeof instructions];
    const said = name === 'call' ? nameOf(reader.unsigned(), functions) : reader.immediate(immediate);
    lines.push(`${'  '.repeat(Math.max(0, depth))}${name}${said === '' ? '' : ` ${said}`}`);
    if (opens.has(name) || name === 'else') depth++;
  }
  return { lines, locals };
}

function nameOf(index: number, functions: readonly string[]): string {
  return functions[index] === undefined ? `${index}` : `$${functions[index]}`;
}

class Reader {
  readonly #bytes: readonly number[];
  #at = 0;

  constructor(bytes: readonly number[]) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  byte(): number {
    const value = this.#bytes[this.#at++];
    if (value === undefined) throw new Error('disassembler: the code ends in the middle of an instruction');
    return value;
  }

  /** Seven bits a byte, least significant first. */
  unsigned(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  }

  /** The same with a sign, which is bit 6 of the last byte. */
  signed(): bigint {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return byte & 0x40 ? value - (1n << (shift + 7n)) : value;
    }
  }

  instruction(): string {
    const start = this.#at;
    if (this.byte() >= 0xfc) this.unsigned(); // a prefix, and the number of the instruction
    const bytes = this.#bytes.slice(start, this.#at);
    const name = names.get(bytes.join());
    if (name === undefined) throw new Error(`disassembler: no instruction is [${bytes.join(', ')}]`);
    return name;
  }

  immediate(kind: Immediate): string {
    switch (kind) {
      case 'none':
        return '';
      case 'index':
      case 'label':
        return `${this.unsigned()}`;
      case 'blockType': {
        const type = this.byte();
        return type === 0x40 ? '' : `(result ${LOCAL_TYPES[type]})`;
      }
      case 'table':
        return `type ${this.unsigned()} table ${this.unsigned()}`;
      case 'memory': {
        this.unsigned(); // the alignment, which says nothing to a reader
        const offset = this.unsigned();
        return offset === 0 ? '' : `offset=${offset}`;
      }
      case 'i32':
      case 'i64':
        return `${this.signed()}`;
      case 'f32':
        return `${this.#view(4).getFloat32(0, true)}`;
      case 'sixteen':
        return [...new Uint8Array(this.#view(16).buffer)].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
      case 'lane':
        return `${this.byte()}`;
    }
  }

  #view(count: number): DataView {
    return new DataView(Uint8Array.from({ length: count }, () => this.byte()).buffer);
  }
}
