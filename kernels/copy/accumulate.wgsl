// out += x. A thread makes four elements.
//#include "../lib/index.wgsl"

struct Params { n: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let i = flatGroup(group, groups) * 64u + thread;
  if (4u * i >= p.n) {
    return;
  }
  let value = out[i] + x[i];
  let left = p.n - 4u * i;
  if (left >= 4u) {
    out[i] = value;
  } else {
    for (var c = 0u; c < left; c++) {
      out[i][c] = value[c];
    }
  }
}
