// dx = dy f'(x), where f' may also use y = f(x); from the table in elementwise.ts. A thread makes one element.
//#include "../lib/index.wgsl"

struct Params { n: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> y: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;

fn df(x: f32, y: f32) -> f32 { return y; } //#param DF

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let i = flatGroup(group, groups) * 64u + thread;
  if (i < p.n) {
    dx[i] = dy[i] * df(x[i], y[i]);
  }
}
