// out = x limited to [low, high]. A thread makes one element.
//#include "../lib/index.wgsl"
//#include "../lib/math.wgsl"

struct Params { n: u32, low: f32, high: f32 }

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
  if (i < p.n) {
    out[i] = smaller(p.high, larger(p.low, x[i]));
  }
}
