// out[i] = first word of threefry2x32(key, (first + i, 0)). A thread makes one word.
//#include "../lib/index.wgsl"
//#include "../lib/threefry.wgsl"

struct Params { n: u32, key0: u32, key1: u32, first: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> out: array<u32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let i = flatGroup(group, groups) * 64u + thread;
  if (i < p.n) {
    out[i] = threefry2x32(vec2<u32>(p.key0, p.key1), vec2<u32>(p.first + i, 0u)).x;
  }
}
