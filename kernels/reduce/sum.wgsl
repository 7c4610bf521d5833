// out[o,i] = factor * sum over k of x[o,k,i], with x of [outer, length, inner]. SHARE threads make one element of out, reading
// its column in order: runs of 64 are summed first and then added, so that rounding grows with length / 64 and not with length.
//#include "../lib/index.wgsl"
//#include "../lib/share.wgsl"

struct Params { outer: u32, length: u32, inner: u32, factor: f32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

const RUN = 64u;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let i = flatGroup(group, groups) * (THREADS / SHARE) + thread / SHARE;
  let counts = i < p.outer * p.inner;
  let length = select(0u, p.length, counts);
  let start = i / p.inner * p.length * p.inner + i % p.inner;
  var total = 0.0;
  for (var first = thread % SHARE; first < length; first += RUN * SHARE) {
    let end = min(first + RUN * SHARE, length);
    var part = 0.0;
    for (var k = first; k < end; k += SHARE) {
      part += x[start + k * p.inner];
    }
    total += part;
  }
  total = sumOfRow(thread, total);
  if (counts && thread % SHARE == 0u) {
    out[i] = p.factor * total;
  }
}
