// out[o,i] = factor * sum over k of x[o,k,i], with x of [outer, length, inner]. A thread makes one element of out, reading its column
// in order: runs of 64 are summed first and then added, so that rounding grows with length / 64 and not with length.
//#include "../lib/index.wgsl"

struct Params { outer: u32, length: u32, inner: u32, factor: f32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

const RUN = 64u;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let i = flatGroup(group, groups) * 64u + thread;
  if (i < p.outer * p.inner) {
    var at = i / p.inner * p.length * p.inner + i % p.inner;
    var total = 0.0;
    for (var start = 0u; start < p.length; start += RUN) {
      let end = min(start + RUN, p.length);
      var part = 0.0;
      for (var k = start; k < end; k++) {
        part += x[at];
        at += p.inner;
      }
      total += part;
    }
    out[i] = p.factor * total;
  }
}
