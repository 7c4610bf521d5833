// Per row of logits [rows, V]: logProb = log softmax at the row's target, losses = -scale w logProb,
// dLogits = scale w (softmax - onehot). A target below 0 gives zeros. A thread makes one row; `pick` is its target.
//#include "../lib/index.wgsl"
//#include "../lib/exp-sum.wgsl"

struct Params { rows: u32, V: u32, scale: f32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> targets: array<i32>;
@group(0) @binding(3) var<storage, read> weights: array<f32>;
@group(0) @binding(4) var<storage, read_write> logProb: array<f32>;
@group(0) @binding(5) var<storage, read_write> losses: array<f32>;
@group(0) @binding(6) var<storage, read_write> dLogits: array<f32>;

fn element(at: u32) -> f32 {
  return logits[at];
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let row = flatGroup(group, groups) * 64u + thread;
  if (row < p.rows) {
    let pick = targets[row];
    let start = row * p.V;
    if (pick < 0) {
      logProb[row] = 0.0;
      losses[row] = 0.0;
      for (var at = start; at < start + p.V; at++) {
        dLogits[at] = 0.0;
      }
    } else {
      let sum = expSum(start, p.V);
      let weight = p.scale * weights[row];
      let chosen = start + u32(pick);
      let value = logits[chosen] - sum.highest - log(sum.total);
      for (var at = start; at < start + p.V; at++) {
        dLogits[at] = weight * exp(logits[at] - sum.highest) / sum.total;
      }
      dLogits[chosen] = weight * (exp(value) - 1.0);
      logProb[row] = value;
      losses[row] = -weight * value;
    }
  }
}
