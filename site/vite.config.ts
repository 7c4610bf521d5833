// Builds the page: static files that work under any path. Read next: scripts/site.mjs, which trains the models that
// come with it.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

const at = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));
const { version } = JSON.parse(readFileSync(at('package.json'), 'utf8')) as { version: string };

/** What package.json's "exports" and "imports" say of the built files, for the sources. */
const alias = [
  { find: /^remit-mini$/, replacement: at('index.ts') },
  { find: /^remit-mini\/engine$/, replacement: at('engine.ts') },
  { find: /^remit-mini\/plot$/, replacement: at('remit/app/plot/index.ts') },
  { find: '#node-adapter', replacement: at('engine/webgpu/no-adapter.ts') },
];

export default defineConfig({
  root: at('site'),
  base: './',
  publicDir: 'public',
  resolve: { alias },
  define: { __VERSION__: JSON.stringify(version) },
  worker: { format: 'es' },
  build: { outDir: at('dist/site'), emptyOutDir: true, target: 'es2023', modulePreload: { polyfill: false } },
  server: {
    headers: { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' },
  },
});
