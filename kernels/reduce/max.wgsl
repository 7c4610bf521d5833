// out[o,i] = the largest x[o,k,i], with x of [outer, length, inner]. A thread makes one element of out, reading its
// column in order.
//#include "../lib/index.wgsl"
//#include "../lib/math.wgsl"

struct Params { outer: u32, length: u32, inner: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let i = flatGroup(group, groups) * 64u + thread;
  if (i < p.outer * p.inner) {
    var at = i / p.inner * p.length * p.inner + i % p.inner;
    var best = x[at];
    for (var k = 0u; k < p.length; k++) {
      best = larger(best, x[at]);
      at += p.inner;
    }
    out[i] = best;
  }
}
