// dx = dy where low <= x <= high, else 0. A thread makes one element.
//#include "../lib/index.wgsl"

struct Params { n: u32, low: f32, high: f32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let i = flatGroup(group, groups) * 64u + thread;
  if (i < p.n) {
    dx[i] = select(0.0, dy[i], x[i] >= p.low && x[i] <= p.high);
  }
}
