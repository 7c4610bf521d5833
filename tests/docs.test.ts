// The documents are checked like code. Each block marked `ts run` is run, and what it prints must be what its `// ->`
// comments say; every link, every path in the prose and every line of a file tree must lead somewhere; and the map must
// name every source file. In a comment, ... stands for anything. A block marked `ts file=<path>` is a file that the
// reader is asked to write: the blocks after it can import it from there. Snippets import 'remit-mini', or files of the
// repository as seen from its top folder, never both. A block marked `ts run webgpu` needs a GPU, a software adapter at
// the least, and is run where there is one. A block marked `ts from=<path>` must be found in that file.

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { formatWithOptions } from 'node:util';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { describeGpu, gpu } from './support/gpu.ts';
import { temporaryFolder } from './support/temporary.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const scratch = temporaryFolder();
let snippets = 0;

const ignored = new Set(['node_modules', 'dist', 'runs', '.git']);
const sourceFolders = ['kernels', 'engine', 'nn', 'optim', 'remit', 'bench', 'scripts', 'site'];

/** Files below a folder whose names end in `end`, as paths from the top of the repository. */
function filesBelow(folder: string, end: string): string[] {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = posix.join(folder, entry.name);
    if (entry.isDirectory()) return ignored.has(entry.name) ? [] : filesBelow(path, end);
    return path.endsWith(end) ? [path] : [];
  });
}

const exists = (path: string): boolean => existsSync(join(root, path));

interface Block {
  /** What follows the opening fence: the language, then how to treat it. */
  readonly info: string;
  readonly text: string;
  /** Line of the opening fence, from 1. */
  readonly line: number;
}

/** The fenced blocks of a document, and what is left of it without them. */
function parse(text: string): { blocks: Block[]; prose: string } {
  const markdown = text.replaceAll('\r\n', '\n'); // of a checkout with Windows line ends
  const blocks: Block[] = [];
  const prose = markdown.replaceAll(
    /^```([^\n]*)\n(.*?)^```$/gms,
    (all: string, info: string, text: string, at: number) => {
      blocks.push({ info: info.trim(), text, line: markdown.slice(0, at).split('\n').length });
      return all.replaceAll(/[^\n]/g, '');
    },
  );
  return { blocks, prose };
}

/** Files that a document asks its reader to write. */
function readersFiles({ blocks }: { blocks: readonly Block[] }): Map<string, string> {
  return new Map(
    blocks.flatMap(({ info, text }) =>
      info.startsWith('ts file=') ? [[info.slice('ts file='.length), text] as const] : [],
    ),
  );
}

/** Points every import of the file at `path` to the repository, or to the reader's own files, which lie in `folder`. */
function redirect(source: string, path: string, folder: string, own: ReadonlyMap<string, string>): string {
  return source.replaceAll(/\b(from |import )'(remit-mini|\.[^']*)'/g, (_, keyword: string, target: string) => {
    const to = target === 'remit-mini' ? 'index.ts' : posix.join(posix.dirname(path), target);
    return `${keyword}'${join(own.has(to) ? folder : root, to)}'`;
  });
}

/**
 * Runs a snippet as if it lay at the top of the repository; resolves to what it printed, one entry for each
 * console.log.
 */
async function run(source: string, own: ReadonlyMap<string, string> = new Map()): Promise<string[]> {
  const folder = join(scratch, `${++snippets}`);
  const printed: string[] = [];
  for (const [path, text] of [...own, ['try.ts', source] as const]) {
    mkdirSync(join(folder, dirname(path)), { recursive: true });
    writeFileSync(join(folder, path), redirect(text, path, folder, own));
  }
  const log = vi.spyOn(console, 'log').mockImplementation((...values) => {
    printed.push(formatWithOptions({ colors: false }, ...values));
  });
  try {
    await import(pathToFileURL(join(folder, 'try.ts')).href);
  } finally {
    log.mockRestore();
  }
  return printed;
}

/** What the `// ->` comments of a snippet promise, in order. */
function promised(source: string): string[] {
  return [...source.matchAll(/\/\/ -> (.*)$/gm)].map((match) => match[1]!);
}

/** Throws unless these lines were printed; spaces do not count, and ... stands for anything. */
function comparePrinted(printed: readonly string[], expected: readonly string[]): void {
  const bare = (text: string): string => text.replaceAll(/\s+/g, '');
  const matches = (text: string, pattern: string): boolean =>
    new RegExp(
      `^${bare(pattern)
        .split('...')
        .map((part) => part.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
        .join('.*')}$`,
    ).test(bare(text));
  const shown = printed.map((text, i) =>
    expected[i] !== undefined && matches(text, expected[i]) ? expected[i] : text,
  );
  expect(shown).toEqual(expected);
}

const pathLike = /(?:[\w.-]+\/)+[\w.-]+\.(?:ts|mjs|md|json|wgsl)\b/g;

/** What a document names that is not there. */
function missing(document: string, markdown: string): string[] {
  const { blocks, prose } = parse(markdown);
  const own = readersFiles({ blocks });
  const links = [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map((match) => match[1]!)
    .filter((target) => !/^(https?:|mailto:|#)/.test(target));
  const words = [
    ...[...prose.matchAll(/`([^`\n]+)`/g)].map((match) => match[1]!),
    ...blocks.filter(({ info }) => info === 'sh').map(({ text }) => text),
  ];
  const paths = words.flatMap((word) => word.match(pathLike) ?? []).filter((path) => !/^(runs|dist)\//.test(path));
  return [
    ...links.filter((target) => !exists(posix.join(posix.dirname(document), target.split('#')[0]!))),
    ...[...paths, ...blocks.filter(isTree).flatMap(({ text }) => treePaths(text))].filter(
      (path) => !exists(path) && !own.has(path),
    ),
  ];
}

/** Blocks that quote a file which does not say so, but for spaces, as lines of the document. */
function misquotes({ blocks }: { blocks: readonly Block[] }): number[] {
  const bare = (text: string): string => text.replaceAll(/\s+/g, '');
  const from = /^\w+ from=/;
  const quotes = blocks.filter(({ info }) => from.test(info));
  const isThere = ({ info, text }: Block): boolean =>
    bare(readFileSync(join(root, info.replace(from, '')), 'utf8')).includes(bare(text));
  return quotes.filter((quote) => !isThere(quote)).map(({ line }) => line);
}

/**
 * A tree is a block without a language (or called text or tree) in which a line begins with a folder, and nothing but
 * names.
 */
function isTree({ info, text }: Block): boolean {
  return ['', 'text', 'tree'].includes(info) && /^(├── |└── )?(kernels|engine)\/(\s|$)/m.test(text);
}

/**
 * The paths of a tree. A line is a name, or several between spaces or commas, then at least two spaces and what it is;
 * deeper lines are indented, with or without drawn branches.
 */
function treePaths(tree: string): string[] {
  const above: { indent: number; path: string }[] = [];
  return tree.split('\n').flatMap((line) => {
    const [, lead = '', entry = ''] = /^([\s│├└─]*)(.*?)(?=\s{2}|$)/.exec(line)!;
    const names = entry.split(/,? /).filter((name) => name !== '');
    if (!names.every((name) => /^[\w./-]+(\/|\.\w+)$/.test(name))) return [];
    while (above.length > 0 && above.at(-1)!.indent >= lead.length) above.pop();
    const paths = names.map((name) => posix.join(above.at(-1)?.path ?? '', name));
    if (paths.length > 0) above.push({ indent: lead.length, path: paths.at(-1)! });
    return paths;
  });
}

const documents = filesBelow('.', '.md').map((path) => ({ path, markdown: readFileSync(join(root, path), 'utf8') }));

describe.each(documents)('$path', ({ path, markdown }) => {
  test('names only what is there', () => {
    expect(missing(path, markdown)).toEqual([]);
  });

  test('quotes files as they are', () => {
    expect(misquotes(parse(markdown))).toEqual([]);
  });

  const { blocks } = parse(markdown);
  const own = readersFiles({ blocks });
  for (const { line, text, info } of blocks.filter(({ info }) => /^ts run( webgpu)?$/.test(info))) {
    const check = (): void => test(`line ${line} runs and prints what it says`, async () => {
      if (/'remit-mini'/.test(text)) expect(text).not.toMatch(/from '\./);
      comparePrinted(await run(text, own), promised(text));
    });
    if (info === 'ts run') check();
    else describeGpu('snippet', check);
  }
});

afterAll(() => gpu?.close());

test('the map has one line for every source file', () => {
  const { blocks } = parse(readFileSync(join(root, 'docs/00-map.md'), 'utf8'));
  const lines = blocks.filter(isTree).flatMap(({ text }) => treePaths(text)).filter((path) => !path.endsWith('/'));
  expect(lines.filter((path, i) => lines.indexOf(path) !== i)).toEqual([]);
  const named = new Set(lines);
  const sources = sourceFolders.flatMap((folder) => [...filesBelow(folder, '.ts'), ...filesBelow(folder, '.mjs')]);
  expect(sources.filter((file) => !named.has(file))).toEqual([]);
});

describe('the checks find what is wrong:', () => {
  const fence = '```';

  test('a snippet that throws, and one that does not parse', async () => {
    await expect(run("throw new Error('on purpose');")).rejects.toThrow('on purpose');
    await expect(run('const x = ;')).rejects.toThrow();
    await expect(run("import { nothing } from 'remit-mini';\nnothing();")).rejects.toThrow();
  });

  test('a wrong number, a line too many and one too few', async () => {
    const source = (said: string): string =>
      [
        "import { tensor, createDevice } from 'remit-mini';",
        'await createDevice();',
        `console.log([...await tensor([5, 7, 9]).read()]); ${said}`,
      ].join('\n');
    const check = async (said: string): Promise<void> =>
      comparePrinted(await run(source(said)), promised(source(said)));
    await check('// -> [5, 7, 9]');
    await check('// -> [5, ...]');
    await expect(check('// -> [5, 7, 8]')).rejects.toThrow();
    await expect(check('')).rejects.toThrow();
    await expect(check('// -> [5, 7, 9]\n// -> more')).rejects.toThrow();
  });

  test('dead links, and paths that are not there, in prose, commands and trees', () => {
    const text = [
      'See [one](01-nothing.md), [two](../engine/shape.ts#L3), `engine/nothing.ts` and `engine/shape.ts`.',
      `${fence}sh`, 'npx vitest run tests/nothing.test.ts', fence,
      fence, 'kernels/', '  kernel.ts    what', '  nothing.ts, index.ts   what', '  matmul/ none/', fence,
      fence, '├── engine/', '│   ├── nothing/   what', '│   └── shape.ts', '└── docs/', fence,
      `${fence}ts file=engine/ops/yours.ts`, fence, '`engine/ops/yours.ts`',
    ].join('\n');
    expect(missing('docs/a.md', text)).toEqual([
      '01-nothing.md', 'engine/nothing.ts', 'tests/nothing.test.ts', 'kernels/nothing.ts', 'kernels/none/',
      'engine/nothing/',
    ]);
  });

  test('a quote that is no longer so', () => {
    const quote = (text: string): string => `${fence}ts from=tests/form.test.ts\n${text}\n${fence}\n`;
    expect(misquotes(parse(quote('expect(linesOver(140))')))).toEqual([]);
    expect(misquotes(parse(`\n${quote('expect(linesOver(141))')}`))).toEqual([2]);
  });

  test('a reader\'s own file is found by the snippets after it', async () => {
    const own = new Map([
      ['engine/ops/yours.ts', "import { show } from '../shape.ts';\nexport const yours = show([1, 2]);\n"],
    ]);
    expect(await run("import { yours } from './engine/ops/yours.ts';\nconsole.log(yours);", own)).toEqual(['[1,2]']);
  });
});
