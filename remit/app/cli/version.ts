// This package's version, from the package.json above: three folders up in the sources, four in dist/. Used by:
// main.ts, session.ts.

import { existsSync, readFileSync } from 'node:fs';

export function version(): string {
  const candidates = ['../../../package.json', '../../../../package.json'].map((path) => new URL(path, import.meta.url));
  const file = candidates.find((url) => existsSync(url));
  if (file === undefined) throw new Error(`internal: no package.json above ${import.meta.url}`);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
