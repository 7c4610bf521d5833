// A folder for a test file's own use, removed when the file is done.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'remit-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
