// Tensors that need no list of numbers. Read after: tensor.ts.

import { anything, checkArguments } from './options.ts';
import { anRng, type Rng } from './rng.ts';
import { checkShape, sizeOf, type DType, type Shape } from './shape.ts';
import { tensor, type Tensor } from './tensor.ts';

/** All 0; f32 unless said. Throws ShapeError. */
export function zeros(shape: Shape, dtype: DType = 'f32'): Tensor {
  checkArguments('zeros', arguments, { shape: anything, dtype: anything });
  checkShape('zeros', shape);
  return tensor(new Float64Array(sizeOf(shape)), shape, dtype);
}

/** All 1; f32 unless said. Throws ShapeError. */
export function ones(shape: Shape, dtype: DType = 'f32'): Tensor {
  checkArguments('ones', arguments, { shape: anything, dtype: anything });
  checkShape('ones', shape);
  return tensor(new Float64Array(sizeOf(shape)).fill(1), shape, dtype);
}

/** Normal numbers of mean 0 and deviation 1, a function of the seed: f32. Throws ShapeError. */
export function randn(shape: Shape, random: Rng): Tensor {
  checkArguments('randn', arguments, { shape: anything, random: anRng });
  checkShape('randn', shape);
  return tensor(random.normals(sizeOf(shape)), shape);
}
