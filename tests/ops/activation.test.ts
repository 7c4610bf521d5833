// SwiGLU and GELU: values on paper, the same maths in small ops, and both ends of the number line.

import { expect, test } from 'vitest';
import { gelu, swiglu } from '../../engine/ops/activation.ts';
import { mul } from '../../engine/ops/arithmetic.ts';
import { slice } from '../../engine/ops/shape.ts';
import { sigmoid, tanh } from '../../engine/ops/unary.ts';
import { backward } from '../../engine/tape.ts';
import { tensor, variable, type Tensor } from '../../engine/tensor.ts';
import { expectClose, expectSame, f64, messageOf } from './oracle.ts';
import { onBackend } from '../support/backends.ts';

test('swiglu takes the gate from the first half and up from the second', () => onBackend(f64, async () => {
  const y = swiglu(tensor([0, 1, 5, 2], [1, 4]));
  expect(y.shape).toEqual([1, 2]);
  expectClose(await y.read(), [0, 2 / (1 + Math.exp(-1))]);
}));

test('swiglu equals the same in small ops', async () => {
  const small = (x: Tensor): Tensor => {
    const F = x.shape.at(-1)! / 2;
    const gate = slice(x, { axis: -1, start: 0, end: F });
    return mul(mul(gate, sigmoid(gate)), slice(x, { axis: -1, start: F, end: 2 * F }));
  };
  for (const shape of [[2], [1, 2], [3, 2, 10], [5, 14]]) await expectSame((x) => swiglu(x!), small as never, [shape]);
});

test('gelu equals its tanh form in small ops', async () => {
  const small = (x: Tensor): Tensor => {
    const inner = x.add(mul(mul(x, x), x).mul(0.044715)).mul(Math.sqrt(2 / Math.PI));
    return mul(x, tanh(inner).add(1)).mul(0.5);
  };
  for (const shape of [[1], [7], [3, 5]]) await expectSame((x) => gelu(x!), small as never, [shape]);
});

test('gelu(1) is 0.841192', () => onBackend(f64, async () => {
  expectClose(await gelu(tensor([-1, 0, 1])).read(), [-0.15880800939172324, 0, 0.8411919906082768]);
}));

test('far from 0 both are flat or linear, and never NaN', () => onBackend(f64, async () => {
  const x = variable([-1e4, 1e4]);
  const y = gelu(x);
  expectClose(await y.read(), [0, 1e4]);
  expectClose(await backward(y.sum()).of(x)!.read(), [0, 1]);
  const gateUp = variable([-1e4, 1e4, 3, 3]);
  const z = swiglu(gateUp);
  expectClose(await z.read(), [0, 3e4]);
  expectClose(await backward(z.sum()).of(gateUp)!.read(), [0, 3, 0, 1e4]);
}));

test('swiglu of an odd width is an error', () => {
  expect(messageOf(() => swiglu(tensor(new Float64Array(6), [2, 3])))).toBe(
    'swiglu: [2,3]: the last size must be even, gate and up side by side',
  );
});
