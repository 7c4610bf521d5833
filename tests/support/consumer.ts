// A project of somebody else that has this package installed, to type-check and to bundle.

import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const LIBRARY = `import { backward, createDevice, Transformer, variable, type Tensor } from 'remit-mini';
import * as all from 'remit-mini';
import { defineOp, ops } from 'remit-mini/engine';
import { defineKernel, wgsl } from 'remit-mini/kernels';
import { Linear } from 'remit-mini/nn';
import { lineChart } from 'remit-mini/plot';
export const entrances = { defineOp, ops, defineKernel, wgsl, Linear, lineChart };
export async function gradient(): Promise<ArrayLike<number> | undefined> {
  await createDevice('cpu');
  const x = variable([1, 2, 3]);
  const loss: Tensor = x.mul(x).sum();
  return backward(loss).of(x)?.read();
}
export const names: (keyof typeof all)[] = ['tensor', 'generate'];
export { Transformer };
`;

const NODE = `import { main, readText, RunFolder } from 'remit-mini/node';
export const code: Promise<number> = main(['--version']);
export const text: string = readText('a.txt', { field: 'body' });
export { RunFolder };
`;

export interface Consumer {
  readonly name: string;
  readonly lib: string;
  readonly types: readonly string[];
  readonly files: readonly string[];
  readonly resolution: 'nodenext' | 'bundler';
  /** Tried in every test run, not only in the long one. */
  readonly often?: true;
}

/** Strict in everything, skipLibCheck off. */
export const CONSUMERS: readonly Consumer[] = [
  {
    name: 'a page, built by a bundler',
    lib: 'es2022,dom',
    types: [],
    files: ['library.ts'],
    resolution: 'bundler',
    often: true,
  },
  { name: 'a page, as Node resolves', lib: 'es2023,dom', types: [], files: ['library.ts'], resolution: 'nodenext' },
  {
    name: 'a server without DOM',
    lib: 'es2023',
    types: ['node'],
    files: ['library.ts', 'server.ts'],
    resolution: 'nodenext',
    often: true,
  },
];

/**
 * Makes the folder, with dist/ as the package's, and of what the repository has installed only what the package depends
 * on.
 */
export function layOut(folder: string, dist: string, root: string): void {
  const modules = join(folder, 'node_modules');
  const installed = join(modules, 'remit-mini');
  mkdirSync(installed, { recursive: true });
  cpSync(join(root, 'package.json'), join(installed, 'package.json'));
  cpSync(dist, join(installed, 'dist'), { recursive: true, filter: (path) => !path.endsWith('.map') });
  for (const name of ['zod', '@types/node', 'undici-types']) {
    mkdirSync(dirname(join(modules, name)), { recursive: true });
    symlinkSync(join(root, 'node_modules', name), join(modules, name), 'junction');
  }
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  writeSources(folder);
}

export function writeSources(folder: string): void {
  writeFileSync(join(folder, 'library.ts'), LIBRARY);
  writeFileSync(join(folder, 'server.ts'), NODE);
}

/** What a compiler says of a consumer; nothing when all is well. */
export function typeErrors(tsc: string, folder: string, { lib, types, files, resolution }: Consumer): string {
  const config = join(folder, `tsconfig.${resolution}.${lib}.json`);
  writeFileSync(
    config,
    JSON.stringify({
      compilerOptions: {
        strict: true,
        skipLibCheck: false,
        exactOptionalPropertyTypes: true,
        noUncheckedIndexedAccess: true,
        verbatimModuleSyntax: true,
        allowImportingTsExtensions: true,
        noEmit: true,
        target: 'es2022',
        lib: lib.split(','),
        types,
        module: resolution === 'bundler' ? 'esnext' : 'nodenext',
        moduleResolution: resolution,
      },
      files,
    }),
  );
  const { stdout, stderr, status } = spawnSync(process.execPath, [tsc, '-p', config], {
    cwd: folder,
    encoding: 'utf8',
  });
  return status === 0 ? '' : stdout + stderr || `exit ${status}`;
}
