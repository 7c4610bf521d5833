// Rows of a table, picked by number: how tokens become vectors. Kernels: kernels/embedding. Used by: nn/embedding.ts.

import { embeddingBackwardKernel, embeddingKernel } from '../../kernels/embedding/embedding.ts';
import { ShapeError } from '../errors.ts';
import { defineOp, integers, normal, run, type Op } from '../op.ts';
import { checkIds, show } from '../shape.ts';
import { empty, type Tensor } from '../tensor.ts';

/**
 * table [V,C] f32, ids [...] i32 -> [...,C]: row ids[i] of the table for each i.
 * Throws ShapeError when the table is no matrix, the ids are no integers, or ids from the host are not all in [0,V).
 * One that was made on the device and is not reads a row of NaN, and its gradient goes nowhere.
 */
export const embedding: Op<readonly [table: Tensor, ids: Tensor], object> = defineOp({
  name: 'embedding',
  takes: { table: 'f32', ids: 'i32' },
  infer([table, ids]) {
    if (table.shape.length !== 2) throw new ShapeError(`embedding: table ${show(table.shape)}: must be [V,C]`);
    checkIds('embedding', 'id', ids, table.shape[0]!);
    return [{ shape: [...ids.shape, table.shape[1]!], dtype: 'f32' }];
  },
  forward(run, [table, ids], [out]) {
    run(
      embeddingKernel,
      { table: table.storage, ids: ids.storage, out: out.storage },
      { N: ids.size, V: table.shape[0]!, C: table.shape[1]! },
    );
  },
  backward: (grad, { inputs: [table, ids] }, need) => [need(0, (into) => {
    const dTable = into ?? empty(table);
    const [V, C] = table.shape as [number, number];
    run(embeddingBackwardKernel, { ids: ids.storage, dOut: grad.storage, dTable: dTable.storage }, {
      N: ids.size, V, C, accumulate: +(into !== undefined),
    });
    return dTable;
  }), null],
  cases: {
    dims: { V: [1, 5], C: [1, 4], M: [1, 3], N: [1, 4] },
    inputs: ({ V, C, M, N }) => [normal(V!, C!), integers(V!, M!, N!)],
  },
});
