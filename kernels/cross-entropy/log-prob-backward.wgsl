// dLogits = dLogProb (onehot - softmax) per row of [rows, V], with softmax = exp(logits - logTotal); 0 in rows whose
// target is below 0, NaN where it is V or more. A thread makes one element.
//#include "../lib/index.wgsl"
//#include "../lib/math.wgsl"

struct Params { rows: u32, V: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> targets: array<i32>;
@group(0) @binding(3) var<storage, read> logTotal: array<f32>;
@group(0) @binding(4) var<storage, read> dLogProb: array<f32>;
@group(0) @binding(5) var<storage, read_write> dLogits: array<f32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let i = flatGroup(group, groups) * 64u + thread;
  if (i < p.rows * p.V) {
    let row = i / p.V;
    let pick = targets[row];
    var d = 0.0;
    if (pick >= 0) {
      let onehot = select(0.0, 1.0, i % p.V == u32(pick));
      d = dLogProb[row] * (onehot - expOf(logits[i] - logTotal[row]));
    }
    dLogits[i] = select(d, noNumber(d), pick >= i32(p.V));
  }
}
