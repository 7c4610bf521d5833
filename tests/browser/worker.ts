// What worker.test.ts runs in a worker: a step with a gradient on each device, answered in one message.

import { backward, createDevice, ops, rng, step, tensor, variable } from '../../index.ts';

export interface Answer {
  readonly device: string;
  readonly values: readonly number[];
  readonly gradient: readonly number[];
}

async function answer(kind: 'cpu' | 'webgpu'): Promise<Answer> {
  const device = await createDevice(kind);
  const numbers = rng(6).normals(35);
  const run = step(() => {
    const x = variable(Float32Array.from(numbers), [5, 7]);
    const values = ops.softmax(x.matmul(tensor([...Array(21).keys()], [7, 3])));
    return { values, gradient: backward(ops.square(values).sum()).of(x)! };
  });
  const { values, gradient } = await run();
  return { device: device.name, values: [...await values.read()], gradient: [...await gradient.read()] };
}

try {
  postMessage([await answer('cpu'), await answer('webgpu')]);
} catch (error) {
  postMessage(`${error}`);
}
