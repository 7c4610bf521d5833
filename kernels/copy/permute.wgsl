// out[i,j,k,l] = x[i s0 + j s1 + k s2 + l s3], with out of sizes d0..d3, contiguous. A thread copies one element of
// out, as bits.
//#include "../lib/index.wgsl"

struct Params {
  d0: u32, d1: u32, d2: u32, d3: u32,
  s0: u32, s1: u32, s2: u32, s3: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> out: array<u32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let i = flatGroup(group, groups) * 64u + thread;
  if (i < p.d0 * p.d1 * p.d2 * p.d3) {
    let row = i / p.d3;
    let plane = row / p.d2;
    out[i] = x[plane / p.d1 * p.s0 + plane % p.d1 * p.s1 + row % p.d2 * p.s2 + i % p.d3 * p.s3];
  }
}
