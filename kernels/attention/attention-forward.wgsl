// out = softmax(q k' / sqrt(D)) v over the keys up to the query's own, and logSumExp of its scores.
// A thread makes the D channels of one head of one token, reading the keys and values of its head group in order;
// neighbouring threads are neighbouring queries of one head, so they read the same keys.
//#include "../lib/index.wgsl"
//#include "../lib/attend.wgsl"

struct Params { B: u32, T: u32, H: u32, KV: u32, D: u32, rotary: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> qkv: array<f32>;
@group(0) @binding(2) var<storage, read> table: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<storage, read_write> logSumExp: array<f32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let i = flatGroup(group, groups) * 64u + thread;
  if (i >= p.B * p.H * p.T) {
    return;
  }
  let t = i % p.T;
  let h = i / p.T % p.H;
  let first = i / (p.T * p.H) * p.T; // row of the sequence's first token
  let width = (p.H + 2u * p.KV) * p.D;

  begin((first + t) * width + h * p.D, t);
  var keyAt = first * width + (p.H + h * p.KV / p.H) * p.D;
  for (var j = 0u; j <= t; j++) {
    attendTo(keyAt, keyAt + p.KV * p.D, j);
    keyAt += width;
  }

  let outAt = ((first + t) * p.H + h) * p.D;
  for (var d = 0u; d < p.D; d++) {
    out[outAt + d] = y[d] / total;
  }
  logSumExp[i] = largest + logOf(total);
}
