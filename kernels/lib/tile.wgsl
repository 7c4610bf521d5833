// Reading and writing a tile's elements at the edges of the matrices. For the matrix product's shaders, with their
// bindings a, b, out and parameters M, N, K, transA, transB, accumulate.
//#include "epilogue.wgsl"

/** a's element (row, k) of the matrix that begins at `first`; 0 beyond the edge. */
fn loadA(first: u32, row: u32, k: u32) -> f32 {
  if (row >= p.M || k >= p.K) {
    return 0.0;
  }
  return a[first + select(row * p.K + k, k * p.M + row, p.transA != 0u)];
}

/** b's element (k, column); 0 beyond the edge. */
fn loadB(first: u32, k: u32, column: u32) -> f32 {
  if (column >= p.N || k >= p.K) {
    return 0.0;
  }
  return b[first + select(k * p.N + column, column * p.K + k, p.transB != 0u)];
}

/**
 * Writes, or adds with accumulate, four neighbours of a row of the batch's product, after the epilogue; none beyond the
 * edge.
 */
fn storeFour(row: u32, column: u32, batch: u32, value: vec4<f32>) {
  if (row >= p.M) {
    return;
  }
  let at = (batch * p.M + row) * p.N + column;
  for (var i = 0u; i < 4u; i++) {
    if (column + i < p.N) {
      out[at + i] = select(0.0, out[at + i], p.accumulate != 0u) + epilogue(value[i], at + i, column + i);
    }
  }
}
