// Every op on WebGPU against the CPU in double precision: values and gradients. What is drawn and compared:
// ../support/parity.ts.

import { afterAll, test } from 'vitest';
import { everyOp } from '../support/fill.ts';
import { describeGpu, gpu } from '../support/gpu.ts';
import { compareOp } from '../support/parity.ts';

let worst = { error: 0, name: '' };

describeGpu('every op', () => {
  test.each(everyOp.map((op) => [op.def.name, op] as const))('%s', async (name, op) => {
    const error = await compareOp(op, gpu);
    if (error > worst.error) worst = { error, name };
  });

  afterAll(async () => {
    console.log(`worst relative error of an op on ${gpu.name}: ${worst.error.toExponential(1)} (${worst.name})`);
    await gpu.close();
  });
});
