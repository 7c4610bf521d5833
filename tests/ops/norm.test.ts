// RMSNorm and LayerNorm: values on paper, the same maths in small ops, gradients added to a parameter's slot, and
// errors.

import { expect, test } from 'vitest';
import { mul } from '../../engine/ops/arithmetic.ts';
import { layerNorm, rmsNorm } from '../../engine/ops/norm.ts';
import { square, sqrt } from '../../engine/ops/unary.ts';
import { backward } from '../../engine/tape.ts';
import { Tensor, tensor, variable } from '../../engine/tensor.ts';
import { expectClose, expectSame, f64, messageOf } from './oracle.ts';
import { onBackend } from '../support/backends.ts';

const SHAPES = [[1, 1], [2, 3, 5], [7, 1], [4, 16]];

test('rmsNorm divides by the root of the mean square', () => onBackend(f64, async () => {
  const y = rmsNorm(tensor([3, 4, 6, 8], [2, 2]), tensor([1, 10]), { epsilon: 0 });
  expectClose(await y.read(), [3, 40, 3, 40].map((v) => v / Math.sqrt(12.5)));
}));

const last = { axis: -1 };

test('epsilon stands inside the root', () => onBackend(f64, async () => {
  const x = variable([0, 0], [1, 2]);
  const y = rmsNorm(x, tensor([1, 2]), { epsilon: 0.04 });
  expectClose(await y.read(), [0, 0]);
  expectClose(await backward(y.sum()).of(x)!.read(), [5, 10]);
}));

test('layerNorm makes the mean 0 and the variance 1, then scales and shifts', () => onBackend(f64, async () => {
  const y = layerNorm(tensor([1, 3, 50, 10], [2, 2]), tensor([1, 2]), tensor([0, 100]), { epsilon: 0 });
  expectClose(await y.read(), [-1, 102, 1, 98]);
}));

test.each(SHAPES)('rmsNorm of [%i,%i,...] equals the same in small ops', async (...shape) => {
  const small = (x: Tensor, weight: Tensor): Tensor => {
    const root = sqrt(square(x).mean(last).add(0.01)).reshape({ shape: [...x.shape.slice(0, -1), 1] });
    return mul(x.div(root), weight);
  };
  await expectSame((x, weight) => rmsNorm(x!, weight!, { epsilon: 0.01 }), small as never, [shape, [shape.at(-1)!]]);
});

test.each(SHAPES)('layerNorm of [%i,%i,...] equals the same in small ops', async (...shape) => {
  const small = (x: Tensor, weight: Tensor, bias: Tensor): Tensor => {
    const column = [...x.shape.slice(0, -1), 1];
    const centred = x.sub(x.mean(last).reshape({ shape: column }));
    const root = sqrt(square(centred).mean(last).add(0.01)).reshape({ shape: column });
    return mul(centred.div(root), weight).add(bias);
  };
  await expectSame((x, weight, bias) => layerNorm(x!, weight!, bias!, { epsilon: 0.01 }), small as never, [
    shape,
    [shape.at(-1)!],
    [shape.at(-1)!],
  ]);
});

test("a weight's gradient is added to its slot", () => onBackend(f64, async () => {
  const slot = tensor([100, 200]);
  const { shape, dtype, storage } = tensor([1, 1]);
  const weight = new Tensor({ shape, dtype, storage, needsGrad: true, gradient: slot });
  const x = tensor([3, 4, 3, -4], [2, 2]);
  const n = Math.sqrt(12.5);
  backward(rmsNorm(x, weight, { epsilon: 0 }).sum());
  expectClose(await slot.read(), [100 + 6 / n, 200]);
  backward(layerNorm(x, weight, tensor([0, 0]), { epsilon: 0 }).sum());
  expectClose(await slot.read(), [100 + 6 / n, 200]); // the two rows' normalised values are -1, 1 and 1, -1
  backward(layerNorm(tensor([0, 2, 4, 6], [2, 2]), weight, tensor([0, 0]), { epsilon: 0 }).sum());
  expectClose(await slot.read(), [98 + 6 / n, 202]);
}));

test('a weight of another size is an error', () => {
  expect(messageOf(() => rmsNorm(tensor(new Float64Array(6), [2, 3]), tensor([1, 2])))).toBe(
    'rmsNorm: x [2,3], weight [2]: weight must be [3]',
  );
  expect(messageOf(() => layerNorm(tensor(new Float64Array(6), [2, 3]), tensor([1, 2, 3]), tensor([1, 2, 3], [1, 3]))))
    .toBe('layerNorm: x [2,3], bias [1,3]: bias must be [3]');
  expect(messageOf(() => rmsNorm(tensor([1], []), tensor([1])))).toBe('rmsNorm: x []: needs a last axis to normalise');
});
