// out[b] = a[b] b[b] (or += with accumulate), the plainest way: a thread makes one element and reads a whole row and
// column for it. The first rung of the ladder, to read and to compare with: 2 K loads for 2 K operations. Next:
// matmul-blocked.wgsl.
//#include "../lib/epilogue.wgsl"

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
  if (id.y >= p.M || id.x >= p.N) {
    return;
  }
  var at = id.z * p.strideA + id.y * select(p.K, 1u, p.transA != 0u);
  var bt = id.z * p.strideB + id.x * select(1u, p.K, p.transB != 0u);
  var sum = 0.0;
  for (var k = 0u; k < p.K; k++) {
    sum += a[at] * b[bt];
    at += select(1u, p.M, p.transA != 0u);
    bt += select(p.N, 1u, p.transB != 0u);
  }
  let to = (id.z * p.M + id.y) * p.N + id.x;
  out[to] = select(0.0, out[to], p.accumulate != 0u) + epilogue(sum, to, id.x);
}
