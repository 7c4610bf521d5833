// The package as others get it: what is in it, that its declarations need nothing of theirs, and what a bundle of it
// holds. Looks at dist/, which `npm test` builds. The same with other versions of TypeScript, from the registry:
// soak/package.soak.ts.

import { execFileSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { expect, test } from 'vitest';
import { CONSUMERS, layOut, typeErrors } from './support/consumer.ts';
import { temporaryFolder } from './support/temporary.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const scratch = temporaryFolder();

/** Paths of what npm would publish. */
function packed(): Set<string> {
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const json = execFileSync(npm, ['pack', '--dry-run', '--ignore-scripts', '--json'], {
    cwd: root,
    encoding: 'utf8',
    shell: process.platform === 'win32',
  });
  const [{ files }] = JSON.parse(json) as [{ files: { path: string }[] }];
  return new Set(files.map(({ path }) => path));
}

const files = packed();

test('the built files are there', () => {
  expect(existsSync(join(root, 'dist/index.js')), 'run npm run build first').toBe(true);
});

test('every link of the packaged documents leads to something in the package', () => {
  const documents = [...files].filter((path) => path.endsWith('.md'));
  const links = documents.flatMap((document) => {
    const targets = [...readFileSync(join(root, document), 'utf8').matchAll(/\]\(([^)\s#]+)[^)]*\)/g)].map(
      (match) => match[1]!,
    );
    return targets
      .filter((target) => !/^(https?|mailto):/.test(target))
      .map((target) => posix.join(posix.dirname(document), target));
  });
  expect(documents.length).toBeGreaterThan(10);
  expect(links.length).toBeGreaterThan(80);
  const there = (path: string) =>
    files.has(path) || [...files].some((file) => file.startsWith(`${path.replace(/\/$/, '')}/`));
  expect(links.filter((path) => !there(path))).toEqual([]);
});

test('"go to definition" ends in TypeScript: every declaration and every module has a map to a source that is there', () => {
  const built = [...files].filter((path) => /^dist\/(?!site\/).*(\.js|\.d\.ts)$/.test(path));
  expect(built.length).toBeGreaterThan(300);
  for (const path of built) {
    const map = JSON.parse(readFileSync(join(root, `${path}.map`), 'utf8')) as { sources: string[] };
    expect(files.has(`${path}.map`)).toBe(true);
    for (const source of map.sources) {
      expect(files.has(posix.join(posix.dirname(path), source)), `${path}: ${source}`).toBe(true);
    }
  }
});

test('nothing else is in it', () => {
  const folders = 'bench|dist|docs|engine|examples|kernels|nn|optim|remit|tests/remit';
  const alone = 'README\\.md|LICENSE|package\\.json|\\w+\\.ts|scripts/embed-wgsl\\.mjs|site/README\\.md';
  const places = new RegExp(`^((${folders})/.*|${alone})$`);
  expect([...files].filter((path) => !places.test(path))).toEqual([]);
});

test.skipIf(process.platform === 'win32')('the program has its run bit (Windows has none)', () => {
  expect(() => accessSync(join(root, 'dist/remit/cli/bin.js'), constants.X_OK)).not.toThrow();
});

test('everything that package.json points to is in the package', () => {
  const { exports, imports, bin } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<
    string,
    object
  >;
  const targets = (value: unknown): string[] =>
    typeof value === 'string' ? [value] : Object.values(value as object).flatMap(targets);
  const named = [exports, imports, bin].flatMap(targets).map((path) => posix.normalize(path));
  expect(named.length).toBeGreaterThan(6);
  expect(named.filter((path) => !files.has(path))).toEqual([]);
});

const consumer = join(scratch, 'consumer');
layOut(consumer, join(root, 'dist'), root);
const tsc = fileURLToPath(import.meta.resolve('typescript/package.json')).replace(/package\.json$/, 'bin/tsc');

test.each(CONSUMERS.filter(({ often }) => often))(
  'the declarations are right by themselves, without @webgpu/types: $name',
  (options) => {
    expect(typeErrors(tsc, consumer, options)).toBe('');
  },
);

/** What esbuild makes of the README's snippet for a browser: by file name, its bytes. */
async function bundle(): Promise<{ outputs: Map<string, string>; entry: string }> {
  const snippet = /```ts run\r?\n(.*?)```/s.exec(readFileSync(join(root, 'README.md'), 'utf8'))![1]!;
  const out = join(scratch, 'bundle');
  mkdirSync(out, { recursive: true });
  const { outputFiles } = await build({
    stdin: { contents: snippet, resolveDir: consumer, sourcefile: 'snippet.mjs' },
    bundle: true,
    minify: true,
    splitting: true,
    format: 'esm',
    platform: 'browser',
    outdir: out,
    write: false,
    logLevel: 'silent',
  });
  return { outputs: new Map(outputFiles.map(({ path, text }) => [path, text])), entry: join(out, 'stdin.js') };
}

test('a page loads no shader until it computes on a GPU, and nothing of Node at all', async () => {
  const { outputs, entry } = await bundle();
  const first = new Set<string>();
  const visit = (path: string): void => {
    if (first.has(path)) return;
    first.add(path);
    for (const match of outputs.get(path)!.matchAll(/(?:from|import)"(\.[^"]+)"/g)) {
      visit(join(dirname(path), match[1]!));
    }
  };
  visit(entry);
  const atOnce = [...first].map((path) => outputs.get(path)!).join('\n');
  const all = [...outputs.values()].join('\n');
  expect([all, atOnce].map((text) => text.includes('@compute'))).toEqual([true, false]);
  expect(atOnce.length).toBeLessThan(180_000); // it was 486,000 with them
  expect(all.length).toBeLessThan(360_000);
  expect(/(from|import\(?)\s*["']node:|dlopen|["']webgpu["'];/.exec(all)?.[0]).toBe(undefined);
});
