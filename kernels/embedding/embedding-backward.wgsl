// dTable[v,c] = sum of dOut[n,c] over the tokens n whose id is v, in token order; accumulate = 1 adds to what dTable holds.
// A thread makes one element of dTable: it looks through all N ids for its own row, so that nothing is added by two threads and the
// order never changes. The threads of a workgroup read the same ids at the same time.
//#include "../lib/index.wgsl"

struct Params { N: u32, V: u32, C: u32, accumulate: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> ids: array<i32>;
@group(0) @binding(2) var<storage, read> dOut: array<f32>;
@group(0) @binding(3) var<storage, read_write> dTable: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let i = flatGroup(group, groups) * 64u + thread;
  if (i < p.V * p.C) {
    let v = i32(i / p.C);
    let c = i % p.C;
    var total = 0.0;
    if (p.accumulate != 0u) {
      total = dTable[i];
    }
    for (var n = 0u; n < p.N; n++) {
      if (ids[n] == v) {
        total += dOut[n * p.C + c];
      }
    }
    dTable[i] = total;
  }
}
