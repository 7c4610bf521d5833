// The page that trains in a tab, as `npm run site` built it: files that the viewer hands out as they are, with the headers
// that let a page have threads. Used by: server.ts.

import { existsSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Beside the built program, or, where it runs from its sources, in dist/. */
const ROOTS = ['../../../site/', '../../../dist/site/'].map((path) => fileURLToPath(new URL(path, import.meta.url)));

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8',
  '.safetensors': 'application/octet-stream',
};

/** The page says itself what it may load. */
export const SITE_HEADERS = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'X-Content-Type-Options': 'nosniff',
};

export const hasSite = (): boolean => rootOf() !== undefined;

function rootOf(): string | undefined {
  return ROOTS.find((root) => existsSync(join(root, 'index.html')) && existsSync(join(root, 'models')));
}

/** A file of the page by its address; undefined for what it does not have, which is all outside of its folders too. */
export function siteFile(path: string): { readonly type: string; readonly body: Uint8Array } | undefined {
  const root = rootOf();
  const name = path === '' ? 'index.html' : path;
  if (root === undefined || !/^(assets\/|models\/)?[\w-]+(\.[\w-]+)*$/.test(name)) return undefined;
  const file = join(root, name);
  const type = TYPES[extname(name)];
  return type === undefined || !existsSync(file) ? undefined : { type, body: readFileSync(file) };
}
