// As tests/remit/two-hosts.test.ts, with 50 rounds.

import { expect, test } from 'vitest';
import { temporaryFolder } from '../support/temporary.ts';
import { expectSameBytes, noNamespaces } from '../support/two-hosts.ts';

const scratch = temporaryFolder();
const why = noNamespaces();
if (why !== undefined) console.log(`two pid namespaces are left out: ${why}`);

test.skipIf(why !== undefined)('two pid namespaces on one run folder, 50 rounds', async () => {
  expect(await expectSameBytes(scratch, 50, 6000)).toEqual({ refused: 1, fenced: 34, killed: 16 });
});
