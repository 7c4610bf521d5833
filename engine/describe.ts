// How a value that somebody handed over reads in a message: short, on one line, whatever it is. Used by: options.ts.

const LONGEST = 40; // characters

/** `3`, `"abc"`, `[1,2,3]`, `a promise`, `a tensor [2,3]`. Never throws. */
export function describe(value: unknown): string {
  try {
    return short(inWords(value));
  } catch {
    return 'something that cannot be shown'; // a revoked proxy, a getter that throws
  }
}

function inWords(value: unknown): string {
  switch (typeof value) {
    case 'string': return JSON.stringify(value);
    case 'bigint': return `${value}n`;
    case 'function': return value.name ? `the function ${value.name}` : 'a function';
    case 'object': return value === null ? 'null' : objectInWords(value);
    default: return String(value);
  }
}

function objectInWords(value: object): string {
  if ('then' in value && typeof value.then === 'function') return 'a promise: await it first';
  if ('shape' in value && 'dtype' in value && Array.isArray(value.shape)) return `a tensor [${value.shape.join(',')}]`;
  if (ArrayBuffer.isView(value) && 'length' in value) {
    return `a ${value[Symbol.toStringTag as never] as string} of ${value.length as number}`;
  }
  return isPlain(value) ? JSON.stringify(value, plain) : `a ${nameOf(value)}`;
}

/** JSON has no word for these, and would tell all that an object of somebody's class holds. */
function plain(_key: string, value: unknown): unknown {
  if (typeof value === 'object' && value !== null && !isPlain(value)) return inWords(value);
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  return ['bigint', 'function', 'symbol', 'undefined'].includes(typeof value) ? String(value) : value;
}

function isPlain(value: object): boolean {
  const name = nameOf(value);
  return Array.isArray(value) || name === 'Object' || name === undefined;
}

function nameOf(value: object): string | undefined {
  return Object.getPrototypeOf(value)?.constructor?.name as string | undefined;
}

function short(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ');
  return line.length > LONGEST ? `${line.slice(0, LONGEST - 3)}...` : line;
}
