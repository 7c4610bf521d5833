// out[o,i] = factor * sum over k of x[o,k,i], with x of [outer, length, inner]. SHARE threads make one element of out,
// reading its column in order: runs of 64 are summed first, then 4096 of these, then those: a long chain of additions
// would round too often.
//#include "../lib/index.wgsl"
//#include "../lib/share.wgsl"

struct Params { outer: u32, length: u32, inner: u32, factor: f32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

const RUN = 64u;
const RUNS = 4096u * RUN;

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let i = flatGroup(group, groups) * (THREADS / SHARE) + thread / SHARE;
  let counts = i < p.outer * p.inner;
  let length = select(0u, p.length, counts);
  let start = i / p.inner * p.length * p.inner + i % p.inner;
  var total = 0.0;
  for (var begin = thread % SHARE; begin < length; begin += RUNS * SHARE) {
    var some = 0.0;
    for (var first = begin; first < min(begin + RUNS * SHARE, length); first += RUN * SHARE) {
      var part = 0.0;
      for (var k = first; k < min(first + RUN * SHARE, length); k += SHARE) {
        part += x[start + k * p.inner];
      }
      some += part;
    }
    total += some;
  }
  total = sumOfRow(thread, total);
  if (counts && thread % SHARE == 0u) {
    out[i] = p.factor * total;
  }
}
