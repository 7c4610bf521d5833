// Per row of logits [rows, V]: logTotal = log(sum(exp(logits))), logProb = logits[target] - logTotal, 0 where the
// target is below 0, NaN where it is V or more. SHARE threads make a row; `pick` is its target.
//#include "../lib/index.wgsl"
//#include "../lib/exp-sum.wgsl"

struct Params { rows: u32, V: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> targets: array<i32>;
@group(0) @binding(3) var<storage, read_write> logProb: array<f32>;
@group(0) @binding(4) var<storage, read_write> logTotal: array<f32>;

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
  let sum = expSum(row * p.V, p.V, thread);
  if (place < p.rows && thread % SHARE == 0u) {
    let pick = targets[row];
    let logOfSum = logOfTotal(sum);
    logTotal[row] = sum.highest + logOfSum;
    logProb[row] = 0.0;
    if (pick >= i32(p.V)) {
      logProb[row] = noNumber(logOfSum);
    } else if (pick >= 0) {
      logProb[row] = logits[row * p.V + u32(pick)] - sum.highest - logOfSum;
    }
  }
}
