// out = f(x), with f from the table in elementwise.ts. A thread makes one element.
//#include "../lib/index.wgsl"
//#include "../lib/math.wgsl"

struct Params { n: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

fn tanhOf(x: f32) -> f32 {
  return select(tanh(clamp(x, -10.0, 10.0)), x, isNotANumber(x));
}

fn f(x: f32) -> f32 { return exp(x); } //#param F

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let i = flatGroup(group, groups) * 64u + thread;
  if (i < p.n) {
    out[i] = f(x[i]);
  }
}
