// ReMiT's token weights, see token-weights.ts. A thread makes one row.
//#include "../lib/index.wgsl"
//#include "../lib/token-gap.wgsl"

struct Params { rows: u32, T: u32, scale: f32, epsilon: f32, centre: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> reference: array<f32>;
@group(0) @binding(2) var<storage, read> model: array<f32>;
@group(0) @binding(3) var<storage, read> targets: array<i32>;
@group(0) @binding(4) var<storage, read_write> weights: array<f32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let row = flatGroup(group, groups) * 64u + thread;
  if (row < p.rows) {
    let start = row * p.T;
    let mean = meanGap(start);
    for (var at = start; at < start + p.T; at++) {
      let w = smaller(1.0 + p.epsilon, larger(1.0 - p.epsilon, unclipped(at, mean)));
      weights[at] = select(0.0, w, targets[at] >= 0);
    }
  }
}
