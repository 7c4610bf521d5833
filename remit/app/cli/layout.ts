// Text fitted into a terminal. A source of text is written as one reads it: a paragraph is lines that begin at the
// margin, an item is a line that is indented, with its meaning after two spaces or more; lines that are indented
// further go on with it. Each is filled anew, wrapped at words, and the rest of an item hangs below its meaning. Used
// by: main.ts (--help), comparison.ts, markdown.ts.

const NARROWEST = 20; // a terminal that is smaller wraps by itself
const WIDEST = 120; // longer lines are hard to read
const MEANING = 24; // an item's meaning has at least so many columns, or goes to a line of its own
const DEEPER = 6; // spaces before such a line

/** The text in lines of at most `width` columns, but for words that are longer. */
export function layout(text: string, width: number): string {
  const most = Math.min(WIDEST, Math.max(NARROWEST, width));
  return blocks(text).map((block) => (block === '' ? '' : fill(block, most))).join('\n').replace(/\n+$/, '');
}

/** Words in lines of at most `width` columns; never empty. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/).filter((each) => each !== '')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/** Paragraphs and items, each on one line; an empty line stays one. */
function blocks(text: string): string[] {
  const found: string[] = [];
  for (const line of text.split('\n')) {
    const last = found.at(-1) ?? '';
    const isMore =
      last !== '' &&
      line !== '' &&
      (indentOf(last) === 0 ? indentOf(line) === 0 && !last.endsWith(':') : indentOf(line) > indentOf(last));
    if (isMore) found[found.length - 1] = `${last} ${line.trim()}`;
    else found.push(line);
  }
  return found;
}

function fill(block: string, width: number): string {
  const indent = indentOf(block);
  const item = indent === 0 ? null : /^( +\S.*? {2,})(?=\S)/.exec(block);
  const head = item?.[1] ?? ' '.repeat(indent);
  const body = block.slice(head.length);
  if (width - head.length >= MEANING || item === null) {
    return hang(head, wrap(body, Math.max(1, width - head.length)), head.length);
  }
  return `${head.trimEnd()}\n${hang(' '.repeat(DEEPER), wrap(body, Math.max(1, width - DEEPER)), DEEPER)}`;
}

/** A name and its text, whose further lines hang below the first. */
export function hanging(name: string, text: string, width: number): string {
  if (name.length + text.trimEnd().length <= width) return `${name}${text}`.trimEnd(); // with its own spaces
  return hang(name, wrap(text, Math.max(MEANING, width - name.length)), name.length).trimEnd();
}

function hang(head: string, lines: readonly string[], indent: number): string {
  return lines.map((line, i) => `${i === 0 ? head : ' '.repeat(indent)}${line}`).join('\n');
}

function indentOf(line: string): number {
  return line.length - line.trimStart().length;
}
