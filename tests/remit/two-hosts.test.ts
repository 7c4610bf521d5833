// One run folder, seen from two machines: one writer at a time, whoever sleeps or dies, and the bytes of a run that
// nobody disturbed. More rounds: tests/soak/two-hosts.soak.ts.

import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../support/temporary.ts';
import { expectSameBytes, noNamespaces } from '../support/two-hosts.ts';

const scratch = temporaryFolder();
const why = noNamespaces();
if (why !== undefined) console.log(`two pid namespaces are left out: ${why}`);

describe.skipIf(why !== undefined)('two pid namespaces on one run folder', () => {
  test('5 rounds', async () => {
    expect(await expectSameBytes(scratch, 5, 400)).toEqual({ refused: 1, fenced: 4, killed: 1 });
  });
});
