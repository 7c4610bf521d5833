// The kinks of the clipped policy loss, on paper: where the ratio has moved, which way the advantage points, and what
// is let through.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { policyLoss } from '../../../engine/ops/policy-loss.ts';
import { useBackend } from '../../../engine/runtime.ts';
import { backward } from '../../../engine/tape.ts';
import { tensor, variable } from '../../../engine/tensor.ts';
import { backendAt, gpu, places } from '../../support/gpu.ts';

/** One token. */
async function token({
  ratio,
  gain,
  gap = 0,
  ...options
}: {
  ratio: number;
  gain: number;
  gap?: number;
  clip?: number;
  clipHigh?: number;
  klWeight?: number;
}) {
  const at = -2;
  const one = (x: number) => tensor([x], [1, 1]);
  const own = variable([at], [1, 1]);
  const [loss, , , diagnostics] = policyLoss.all(
    own,
    one(at - Math.log(ratio)),
    one(at + gap),
    tensor([gain]),
    tensor([0], [1, 1], 'i32'),
    options,
  );
  const gradient = await backward(loss).of(own)!.item();
  const [k3, cut] = await diagnostics!.read();
  return { loss: await loss.item(), gradient, k3: k3!, cut: cut! };
}

describe.each(places)('in %s', (place) => {
  beforeAll(() => useBackend(backendAt(place)));

  test.each([
    { ratio: 1.1, gain: 2, loss: -2.2, gradient: -2.2, cut: 0 },    // inside: r A, and its slope is r A too
    { ratio: 1.5, gain: 2, loss: -2.4, gradient: 0, cut: 1 },       // raised enough: 1.2 A, and no further
    { ratio: 0.5, gain: 2, loss: -1, gradient: -1, cut: 0 },        // fell although it was good: pulled back
    { ratio: 0.5, gain: -2, loss: 1.6, gradient: 0, cut: 1 },       // lowered enough
    { ratio: 1.5, gain: -2, loss: 3, gradient: 3, cut: 0 },         // rose although it was bad: pulled back
    { ratio: 1.5, gain: 0, loss: 0, gradient: 0, cut: 0 },
  ])('ratio $ratio, advantage $gain: loss $loss, slope $gradient', async ({ ratio, gain, loss, gradient, cut }) => {
    const found = await token({ ratio, gain });
    expect(found.loss).toBeCloseTo(loss, 5);
    expect(found.gradient).toBeCloseTo(gradient, 5);
    expect(found.cut).toBe(cut);
    expect(found.k3).toBe(0);
  });

  test('upwards the ratio may move further than downwards', async () => {
    expect((await token({ ratio: 1.27, gain: 2, clipHigh: 0.28 })).gradient).toBeCloseTo(-2.54, 5);
    expect((await token({ ratio: 1.3, gain: 2, clipHigh: 0.28 })).loss).toBeCloseTo(-2.56, 5);
    expect((await token({ ratio: 0.79, gain: -2, clipHigh: 0.28 })).loss).toBeCloseTo(1.6, 5);
  });

  test('each answer counts alike, whatever its length', async () => {
    const own = variable([-1, -2, -3, -1, -1, -1], [2, 3]);
    const targets = tensor([4, 4, 4, 4, -1, -1], [2, 3], 'i32'); // answers of three tokens and of one
    const old = own.stopGradient();
    const loss = policyLoss(own, old, old, tensor([3, 1 / 3, 5, 1], [2, 2]), targets, { count: 2 });
    expect(await loss.item()).toBeCloseTo(-(3 + 5) / 2, 5);
    const gradient = [...await backward(loss).of(own)!.read()];
    [-0.5, -0.5, -0.5, -2.5, 0, 0].forEach((slope, i) => expect(gradient[i]).toBeCloseTo(slope, 5));
  });

  test('the clip is that which is given', async () => {
    expect((await token({ ratio: 1.5, gain: 2, clip: 0.6 })).cut).toBe(0);
    expect((await token({ ratio: 1.05, gain: 2, clip: 0.01 })).loss).toBeCloseTo(-2.02, 5);
  });

  test.each([0.7, -0.7, 1e-3, 3])(
    'a reference that expects the token %d nats more costs k3 = e^d - d - 1, with slope 1 - e^d',
    async (gap) => {
      const { loss, gradient, k3 } = await token({ ratio: 1, gain: 0, gap, klWeight: 0.5 });
      const exact = Math.expm1(gap) - gap;
      // single precision: d is the difference of two numbers of size 2
      expect(k3 / exact).toBeCloseTo(1, place === 'f64' ? 9 : 3);
      expect(loss).toBeCloseTo(0.5 * k3, 6);
      expect(gradient).toBeCloseTo(-0.5 * Math.expm1(gap), 5);
    },
  );

  test('ratio exactly 1, penalty exactly 0 when all three models agree', async () => {
    for (const gain of [3, -0.25]) {
      expect(await token({ ratio: 1, gain, klWeight: 0.5, clip: 1e-7 })).toEqual({
        loss: -gain,
        gradient: -gain,
        k3: 0,
        cut: 0,
      });
    }
  });

  test('tokens that are not counted cost nothing, get exactly no gradient, and are not in the divisor', async () => {
    const own = variable([-1, -2, -3, -4], [2, 2]);
    const old = tensor([-1, 50, -3, -50], [2, 2]);
    const targets = tensor([5, -1, 2, -1], [2, 2], 'i32');
    const [loss, losses, , diagnostics] = policyLoss.all(own, old, old, tensor([1, -2]), targets, {
      count: 2,
      klWeight: 1,
    });
    const gradient = Array.from(await backward(loss).of(own)!.read());
    expect(await loss.item()).toBe(0.5);                                  // (-1 + 2) / 2
    expect(Array.from(await losses!.read())).toEqual([-0.5, 0, 1, 0]);
    expect(gradient).toEqual([-0.5, 0, 1, 0]);
    expect(Array.from(await diagnostics!.read())).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
  });
});

afterAll(() => gpu?.close());
