// y <- keep y + share scale x, unless the scale, which the device knows, is 0 or no number. A thread makes four elements.
//#include "../lib/index.wgsl"

struct Params { n: u32, keep: f32, share: f32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> scale: array<f32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let i = flatGroup(group, groups) * 64u + thread;
  if (4u * i >= p.n || !(scale[0] > 0.0)) {
    return;
  }
  let value = p.keep * y[i] + p.share * scale[0] * x[i];
  let left = p.n - 4u * i;
  if (left >= 4u) {
    y[i] = value;
  } else {
    for (var c = 0u; c < left; c++) {
      y[i][c] = value[c];
    }
  }
}
