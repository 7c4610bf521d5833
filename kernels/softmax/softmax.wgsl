// out = exp(x) / sum(exp(x)) per row of [rows, V]. A thread makes one row: maximum, sum, quotients.
//#include "../lib/index.wgsl"
//#include "../lib/exp-sum.wgsl"

struct Params { rows: u32, V: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

fn element(at: u32) -> f32 {
  return x[at];
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let row = flatGroup(group, groups) * 64u + thread;
  if (row < p.rows) {
    let start = row * p.V;
    let sum = expSum(start, p.V);
    for (var at = start; at < start + p.V; at++) {
      out[at] = exp(x[at] - sum.highest) / sum.total;
    }
  }
}
