// The whole pipeline in a process whose disk fails, or that is killed, at some file-system calls. All of them: npm run test:soak faults.

import { expect, test } from 'vitest';
import { compiled, injectFaults, KINDS, short } from '../support/faults.ts';
import { temporaryFolder } from '../support/temporary.ts';

const run = compiled(), scratch = temporaryFolder();

test('a run that is killed, or whose disk fails, is taken up again and ends with the same bytes', { timeout: 300_000 }, async () => {
  const faults = await injectFaults({ run, command: ['train', ...short], scratch, stride: 97 });
  console.log(`faults: ${KINDS.map((kind) => `${faults[kind]} ${kind}`).join(', ')}: 0 lost runs`);
  for (const kind of KINDS) expect(faults[kind]).toBeGreaterThan(1);
});
