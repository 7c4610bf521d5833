// Imports point down the stack: kernels <- engine <- nn, optim <- remit. This reads every import and shows the arrows
// that do not. Types may point up, since they are gone at run time, but nothing stands in a circle. Also: what a browser
// must run imports nothing from Node.

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** What each folder may import besides itself. */
const below: Readonly<Record<string, readonly string[]>> = {
  kernels: [],
  engine: ['kernels'],
  nn: ['engine', 'kernels'],
  optim: ['engine', 'kernels'],
  remit: ['nn', 'optim', 'engine', 'kernels'],
};

/**
 * The same inside remit: the method stands on its settings, its worlds and text; what surrounds it, the app, on all.
 * `cli` holds the program's first file alone.
 */
const belowInRemit: Readonly<Record<string, readonly string[]>> = {
  text: [],
  worlds: ['text'],
  'weights.ts': [],
  rl: ['text'],
  settings: ['weights.ts', 'rl', 'worlds', 'text'],
  'arms.ts': ['weights.ts'],
  phases: ['arms.ts', 'weights.ts', 'rl', 'settings', 'worlds', 'text'],
  'experiment.ts': ['arms.ts', 'phases', 'rl', 'settings', 'text', 'worlds'],
  'app/plot': [],
  'app/interop': ['app/run', 'text', 'worlds'],
  'app/report': ['app/plot', 'app/run', 'phases', 'settings', 'text'],
  'app/run': ['app/interop', 'experiment.ts', 'phases', 'settings', 'text'],
  'app/study': ['app/plot', 'app/run', 'arms.ts', 'experiment.ts', 'phases', 'settings', 'text', 'worlds'],
  'app/view': ['app/plot', 'app/report', 'app/run', 'settings', 'text', 'weights.ts'],
  'app/cli': [
    'arms.ts', 'experiment.ts', 'weights.ts', 'app/interop', 'app/plot', 'app/report', 'app/run', 'app/study', 'app/view', 'phases',
    'settings', 'text', 'worlds',
  ],
  cli: ['app/cli'],
};

/** The program's table of commands, which has one that times all of it. */
const named = ['remit/app/cli/main.ts -> bench/command.ts'];

const isomorphic = [
  /^(kernels|engine|nn|optim)\//,
  /^remit\/(text|worlds|phases|settings|rl|app\/plot)\//,
  /^remit\/(weights|arms|experiment)\.ts$/,
];
const nodeOnly = [
  'remit/text/files.ts',
  'remit/text/read.ts',
  'remit/worlds/files/read.ts',
  'engine/webgpu/node-adapter.ts',
  'engine/webgpu/swiftshader.ts',
];

interface Import { readonly file: string; readonly target: string }

const statically = [
  /^\s*(?:import|export)\s+(?!type\b)[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]/gm,
  /^\s*import\s*['"]([^'"]+)['"]/gm,
];
const dynamically = [/\bimport\(\s*['"]([^'"]+)['"]\s*\)/g];

/** Value imports of a source text: static, re-exported, for side effects, and dynamic ones. */
function valueImports(source: string, kinds = [...statically, ...dynamically]): string[] {
  const code = source.replaceAll(/^\s*(\/\/|\*|\/\*).*$/gm, '');
  return kinds.flatMap((pattern) => [...code.matchAll(pattern)].map((match) => match[1]!));
}

/** Which of these imports break a rule, as readable lines. */
function violations(imports: readonly Import[]): string[] {
  return imports.flatMap(({ file, target }) => {
    const browser = isomorphic.some((pattern) => pattern.test(file)) && !nodeOnly.includes(file);
    if (!target.startsWith('.')) {
      return browser && target.startsWith('node:') ? [`${file} -> ${target}: must run in a browser too`] : [];
    }
    const to = relative(root, join(root, dirname(file), target));
    if (named.includes(`${file} -> ${to}`)) return [];
    const [from, layer] = [file.split('/')[0]!, to.split('/')[0]!];
    if (from !== layer && !below[from]!.includes(layer)) return [`${file} -> ${to}: points up`];
    if (layer !== 'remit' || from !== 'remit') return [];
    const [part, other] = [partOf(file), partOf(to)];
    return part === other || belowInRemit[part]!.includes(other) ? [] : [`${file} -> ${to}: points up`];
  });
}

/** Where in remit a file stands: `app/run` of remit/app/run/lock.ts. */
function partOf(file: string): string {
  return /^remit\/(app\/[^/]+|[^/]+)/.exec(file)![1]!;
}

function sources(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name).replaceAll('\\', '/'));
}

test('imports point down, and isomorphic code imports nothing from Node', () => {
  const files = Object.keys(below).flatMap(sources);
  const imports = files.flatMap((file) =>
    valueImports(readFileSync(join(root, file), 'utf8')).map((target) => ({ file, target })),
  );
  expect(files.length).toBeGreaterThan(20);
  expect(imports.length).toBeGreaterThan(files.length / 2); // the reader of imports found some
  expect(violations(imports)).toEqual([]);
});

test('no file imports itself by way of others, not even for a type', () => {
  const files = Object.keys(below).flatMap(sources);
  const targets = new Map(files.map((file) => [file, relativeImports(file)]));
  const done = new Set<string>();
  const circleFrom = (file: string, path: readonly string[]): readonly string[] => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return [];
    const circles = (targets.get(file) ?? []).map((target) => circleFrom(target, [...path, file]));
    done.add(file);
    return circles.find(({ length }) => length > 0) ?? [];
  };
  expect(files.map((file) => circleFrom(file, [])).find(({ length }) => length > 0)).toBeUndefined();
});

/** What a file imports of this repository, types too. */
function relativeImports(file: string): string[] {
  const source = readFileSync(join(root, file), 'utf8');
  return [...source.matchAll(/\bfrom '(\.[^']+)'|\bimport\('(\.[^']+)'\)/g)].map((match) =>
    posix.join(posix.dirname(file), (match[1] ?? match[2])!),
  );
}

test('what is for Node only is loaded by the rest of the engine when it is needed, never at the start', () => {
  const files = sources('engine').filter((file) => !nodeOnly.includes(file));
  const nodeOnlyImports = (kinds: readonly RegExp[]): string[] =>
    files.flatMap((file) =>
      valueImports(readFileSync(join(root, file), 'utf8'), [...kinds])
        .filter((target) => nodeOnly.includes(posix.join(posix.dirname(file), target)))
        .map(() => file),
    );
  expect(nodeOnlyImports(statically)).toEqual([]);
  expect(nodeOnlyImports(dynamically)).toEqual([]); // but by a name that package.json gives another file in a browser:
  const byName = (kinds: readonly RegExp[]) =>
    files.filter((file) => valueImports(readFileSync(join(root, file), 'utf8'), [...kinds]).includes('#node-adapter'));
  expect(byName(statically)).toEqual([]);
  expect(byName(dynamically)).toEqual(['engine/webgpu/adapter.ts']);
});

test('the texts of shaders are loaded with the WebGPU backend, never at the start', () => {
  const engine = [...sources('engine'), ...sources('kernels'), ...sources('nn'), ...sources('optim')];
  const importing = (target: string, kinds: readonly RegExp[]) =>
    engine.filter((file) =>
      valueImports(readFileSync(join(root, file), 'utf8'), [...kinds]).some(
        (path) => posix.join(posix.dirname(file), path) === target,
      ),
    );
  expect(importing('kernels/generated-sources.ts', statically)).toEqual(['engine/webgpu/pipelines.ts']);
  expect(importing('engine/webgpu/pipelines.ts', statically)).toEqual(['engine/webgpu/backend.ts']);
  expect(importing('engine/webgpu/backend.ts', statically)).toEqual([]);
  expect(importing('engine/webgpu/backend.ts', dynamically)).toEqual(['engine/device.ts']);
});

test('the reader of imports sees every kind, and leaves types and comments out', () => {
  const source = [
    "import { a } from './a.ts';",
    "import type { B } from './b.ts';",
    "import {\n  type C,\n  c,\n} from './c.ts';",
    "export * from './d.ts';",
    "export type { E } from './e.ts';",
    "import './f.ts';",
    "const g = await import('./g.ts');",
    "// import { h } from './h.ts';",
  ].join('\n');
  expect(valueImports(source).sort()).toEqual(['./a.ts', './c.ts', './d.ts', './f.ts', './g.ts']);
  expect(valueImports(source, statically).sort()).toEqual(['./a.ts', './c.ts', './d.ts', './f.ts']);
});

test('an upward import, a sideways import and a Node import are each named', () => {
  expect(violations([
    { file: 'kernels/a/a.ts', target: '../../engine/shape.ts' },
    { file: 'nn/mlp.ts', target: '../optim/adamw.ts' },
    { file: 'engine/rng.ts', target: 'node:crypto' },
    { file: 'remit/phases/a.ts', target: '../app/run/folder.ts' },
    { file: 'remit/app/run/a.ts', target: '../cli/table.ts' },
    { file: 'remit/rl/a.ts', target: '../phases/rl.ts' },
    { file: 'remit/text/files.ts', target: 'node:fs' },
    { file: 'remit/app/run/folder.ts', target: '../../../engine/safetensors.ts' },
  ])).toEqual([
    'kernels/a/a.ts -> engine/shape.ts: points up',
    'nn/mlp.ts -> optim/adamw.ts: points up',
    'engine/rng.ts -> node:crypto: must run in a browser too',
    'remit/phases/a.ts -> remit/app/run/folder.ts: points up',
    'remit/app/run/a.ts -> remit/app/cli/table.ts: points up',
    'remit/rl/a.ts -> remit/phases/rl.ts: points up',
  ]);
});

test('the page imports the entrances of the package alone, and what it is drawn and packed with', () => {
  const files = sources('site').filter((file) => !file.endsWith('vite.config.ts'));
  const targets = files.flatMap((file) => valueImports(readFileSync(join(root, file), 'utf8')).map((target) => ({ file, target })));
  const allowed = /^(remit-mini(\/(engine|kernels|nn|plot))?|lit-html(\/.*)?|nanotar)$/;
  const isInside = (file: string, target: string): boolean =>
    target.startsWith('.') && posix.join(posix.dirname(file), target).startsWith('site/');
  expect(targets.length).toBeGreaterThan(30);
  expect(targets.filter(({ file, target }) => !allowed.test(target) && !isInside(file, target))).toEqual([]);
});
