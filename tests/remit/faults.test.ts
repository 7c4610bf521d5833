// The whole pipeline in a process whose disk fails, or that is killed, at some file-system calls. All of them: npm run
// test:soak faults.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { compiled, injectFaults, KINDS, short, together } from '../support/faults.ts';
import { temporaryFolder } from '../support/temporary.ts';

const run = compiled();
const scratch = temporaryFolder();

test(
  'a run that is killed, or whose disk fails, is taken up again and ends with the same bytes',
  { timeout: 300_000 },
  async () => {
    const faults = await injectFaults({ run, command: ['train', ...short], scratch, stride: 199 });
    console.log(`faults: ${KINDS.map((kind) => `${faults[kind]} ${kind}`).join(', ')}: 0 lost runs`);
    for (const kind of KINDS) expect(faults[kind]).toBeGreaterThan(1);
  },
);

test(
  'a study whose folder is removed under a cell ends, and the folder does not come back',
  { timeout: 300_000 },
  async () => {
    await together(
      [1, 2, 7, 16, 24], // calls that write, among them those that make folders
      async (call) => {
        const out = join(scratch, `gone-${call}`);
        const { code, stderr } = await run(
          ['study', ...short, '--seeds', '1', '--light', '--jobs', '1', '--out', out],
          { fault: `gone:${call}:${out}` },
        );
        expect([code, stderr], `call ${call}`).toEqual([
          1,
          expect.stringMatching(
            /^error: study: seed-1\/base: ended with exit code \d: its log cannot be read: ENOENT.*\n$/m,
          ),
        ]);
        expect(existsSync(out), `call ${call}`).toBe(false);
      },
    );
  },
);
