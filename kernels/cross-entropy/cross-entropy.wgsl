// Per row of logits [rows, V]: logProb = log softmax at the row's target, losses = -scale w logProb,
// dLogits = scale w (softmax - onehot). A target below 0 gives zeros, one of V or more NaN. SHARE threads make a row;
// `pick` is its target.
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

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let place = flatGroup(group, groups) * (THREADS / SHARE) + thread / SHARE;
  // all threads go on, to meet at the barriers; those beyond the last row store nothing
  let row = min(place, p.rows - 1u);
  let begin = row * p.V + thread % SHARE;
  let end = select(row * p.V, (row + 1u) * p.V, place < p.rows);
  let sum = expSum(row * p.V, p.V, thread);
  let pick = targets[row];
  let isToken = pick >= 0 && pick < i32(p.V);
  let chosen = row * p.V + select(0u, u32(pick), isToken);
  let weight = select(0.0, p.scale * weights[row], pick >= 0);
  var value = logits[chosen] - sum.highest - logOfTotal(sum);
  if (pick >= i32(p.V)) {
    value = noNumber(value);
  }
  for (var at = begin; at < end; at += SHARE) {
    let share = select(exp(logits[at] - sum.highest) / sum.total, expOf(value) - 1.0, at == chosen);
    dLogits[at] = select(0.0, weight * select(share, value, isNotANumber(value)), pick >= 0);
  }
  if (place < p.rows && thread % SHARE == 0u) {
    logProb[row] = select(0.0, value, pick >= 0);
    losses[row] = select(0.0, -weight * value, pick >= 0);
  }
}
