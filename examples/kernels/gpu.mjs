// A matrix product for a GPU: a thread makes four elements of a row, so that one load of a serves four multiplications.
// Run it: npx remit-mini bench --kernel gpu.mjs. Next: kernels/matmul/matmul-blocked.wgsl.

const WIDE = 4;

export default {
  like: 'matmul',
  fits: ({ batch, transA, transB }) => batch === 1 && !transA && !transB,
  grid: ({ M, N }) => [Math.ceil(N / (8 * WIDE)), Math.ceil(M / 8), 1],
  wgsl: `
struct Params {
  M: u32, N: u32, K: u32, transA: u32, transB: u32, strideA: u32, strideB: u32,
  accumulate: u32, addBias: u32, addResidual: u32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.y >= p.M) {
    return;
  }
  var sums: array<f32, ${WIDE}>;
  let first = ${WIDE} * id.x;
  let count = min(${WIDE}u, max(first, p.N) - first);
  for (var k = 0u; k < p.K; k++) {
    let x = a[id.y * p.K + k];
    for (var j = 0u; j < count; j++) {
      sums[j] += x * b[k * p.N + first + j];
    }
  }
  for (var j = 0u; j < count; j++) {
    out[id.y * p.N + first + j] = sums[j];
  }
}`,
};
