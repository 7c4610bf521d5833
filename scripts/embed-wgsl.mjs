// Turns every kernels/**/*.wgsl into modules, so that Node, vitest, browsers and bundlers load shaders with no plugin
// and no file reading, and the compiler knows the names of their bindings and parameters: kernels/generated.ts has
// those, and generated-sources.ts the texts, which only a GPU needs: every file once, and of which lines of them each
// shader is made. `//#include "path"` lines are replaced by the file they name, each once. Runs before build, test and
// type check, under tsx; its result is not in git. What a shader must look like: kernels/README.md.

import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseWgsl } from '../kernels/parse-wgsl.ts';

const root = join(dirname(dirname(fileURLToPath(import.meta.url))), 'kernels');
const files = readdirSync(root, { recursive: true })
  .filter((name) => name.endsWith('.wgsl'))
  .map((name) => name.replaceAll('\\', '/'))
  .sort();
const modules = files.filter((name) => !name.startsWith('lib/')).map(describe);

const header = '// Made by scripts/embed-wgsl.mjs from the .wgsl files. Not in git.\n';
write('generated.ts', [`${header}\nimport type { Wgsl } from './wgsl.ts';\n`, ...modules.map(emit)].join('\n'));
write(
  'generated-sources.ts',
  `${header}
/** Every file once: shaders, and what they include. */
export const files: Readonly<Record<string, string>> = ${json(files.map((path) => [path, read(join(root, path))]))};

/** Of which lines each shader is made, in order: so many lines of a file, beginning at a line of it. */
export const parts: Readonly<Record<string, readonly (readonly [file: string, line: number, count: number])[]>> =
${json(modules.map(({ path, lines }) => [path, runs(lines)]))};
`,
);

/** Only what changed, so that nothing is built again without need. */
function write(name, text) {
  const target = join(root, name);
  if (!existsSync(target) || readFileSync(target, 'utf8') !== text) writeFileSync(target, text);
}

/** By path, an entry on a line of its own. */
function json(entries) {
  return `{\n${entries.map(([path, value]) => `  ${JSON.stringify(`kernels/${path}`)}: ${JSON.stringify(value)},\n`).join('')}}`;
}

/** Neighbouring lines of one file as one entry. */
function runs(lines) {
  const found = [];
  for (const { file, line } of lines) {
    const last = found.at(-1);
    if (last && last[0] === `kernels/${file}` && last[1] + last[2] === line) last[2]++;
    else found.push([`kernels/${file}`, line, 1]);
  }
  return found;
}

function describe(path) {
  const lines = expand(path, new Set());
  const source = lines.map(({ text }) => text).join('\n');
  const found = parseWgsl(source);
  if (typeof found === 'string') fail(path, found);
  return { path, lines, ...found };
}

/** The lines of a file, includes replaced, each with where it comes from. */
function expand(path, seen) {
  if (seen.has(path)) return [];
  seen.add(path);
  const full = join(root, path);
  if (!existsSync(full)) fail(path, 'no such file');
  return read(full).split('\n').flatMap((text, i) => {
    const include = /^\/\/#include "(.+)"$/.exec(text);
    return include
      ? expand(relative(root, join(dirname(full), include[1])).replaceAll('\\', '/'), seen)
      : [{ text, file: path, line: i + 1 }];
  });
}

function emit({ path, bindings, params }) {
  const name = path
    .slice(0, -'.wgsl'.length)
    .split('/')
    .at(-1)
    .replaceAll(/-(\w)/g, (_, letter) => letter.toUpperCase());
  const union = (items) => items.map((item) => `'${item.name}'`).join(' | ') || 'never';
  return `export const ${name}Wgsl: Wgsl<${union(bindings)}, ${union(params)}> = ${JSON.stringify({
    path: `kernels/${path}`, params,
    bindings: bindings.map(({ name, access }) => ({ name, access })),
  })};\n`;
}

function fail(path, what) {
  console.error(`kernels/${path}: ${what}`);
  process.exit(1);
}

/** With line ends as this repository keeps them, whatever a checkout made of them. */
function read(path) {
  return readFileSync(path, 'utf8').replaceAll('\r\n', '\n');
}
