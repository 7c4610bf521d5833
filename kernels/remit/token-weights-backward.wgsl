// The gradient through ReMiT's token weights, see token-weights.ts. A thread makes one row.
//#include "../lib/index.wgsl"
//#include "../lib/token-gap.wgsl"

struct Params { rows: u32, T: u32, scale: f32, epsilon: f32, centre: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> reference: array<f32>;
@group(0) @binding(2) var<storage, read> model: array<f32>;
@group(0) @binding(3) var<storage, read> targets: array<i32>;
@group(0) @binding(4) var<storage, read> dWeights: array<f32>;
@group(0) @binding(5) var<storage, read_write> dModel: array<f32>;

/** Gradient of the gap alone, before that of the row's mean; 0 for a clipped weight. */
fn dGap(at: u32, mean: f32) -> f32 {
  let w = unclipped(at, mean);
  return select(0.0, dWeights[at] * p.scale * w * (1.0 - 0.5 * w), w > 1.0 - p.epsilon && w < 1.0 + p.epsilon);
}

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
    var total = 0.0;
    var count = 0u;
    for (var at = start; at < start + p.T; at++) {
      if (targets[at] >= 0) {
        total += dGap(at, mean);
        count++;
      }
    }
    let meanOfGradients = select(0.0, total / f32(max(count, 1u)), p.centre != 0u);
    for (var at = start; at < start + p.T; at++) {
      dModel[at] = select(0.0, meanOfGradients - dGap(at, mean), targets[at] >= 0);
    }
  }
}
