// out[n,:] = table[ids[n],:], with rows of C elements; NaN where the table [V,C] has no such row. A thread copies one
// element, as bits.
//#include "../lib/index.wgsl"
//#include "../lib/math.wgsl"

struct Params { N: u32, V: u32, C: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> table: array<u32>;
@group(0) @binding(2) var<storage, read> ids: array<i32>;
@group(0) @binding(3) var<storage, read_write> out: array<u32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let i = flatGroup(group, groups) * 64u + thread;
  if (i < p.N * p.C) {
    let id = u32(ids[i / p.C]); // of a negative one a large number
    out[i] = NOT_A_NUMBER;
    if (id < p.V) {
      out[i] = table[id * p.C + i % p.C];
    }
  }
}
