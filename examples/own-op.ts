// The op of softplus.ts at work: values, a gradient, and whether its backward is the derivative. Run it in a folder where
// remit-mini is installed: npx tsx own-op.ts, or node own-op.ts from Node 22.18 on.

import { backward, checkGradients, createDevice, ops, variable } from 'remit-mini/engine';
import { softplus } from './softplus.ts';

const show = (values: ArrayLike<number>): string => Array.from(values, (v) => v.toFixed(3)).join(' ');

await createDevice('cpu');
const x = variable([-1, 0, 2]);
const y = softplus(x, { sharpness: 1 });
console.log(show(await y.read()));                                       // -> 0.313 0.693 2.127
console.log(show(await backward(ops.sum(y)).of(x)!.read()));             // -> 0.269 0.500 0.881
console.log((await checkGradients(softplus)) < 1e-6);                    // -> true
