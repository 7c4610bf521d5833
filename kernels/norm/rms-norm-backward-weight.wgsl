// dWeight = sum over rows of dOut x rstd, added to what is there with accumulate. A thread sums one column, from the first row to the last.
//#include "../lib/index.wgsl"

struct Params { rows: u32, C: u32, accumulate: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> rstd: array<f32>;
@group(0) @binding(3) var<storage, read> dOut: array<f32>;
@group(0) @binding(4) var<storage, read_write> dWeight: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let column = flatGroup(group, groups) * 64u + thread;
  if (column >= p.C) {
    return;
  }
  var sum = 0.0;
  for (var row = 0u; row < p.rows; row++) {
    let at = row * p.C + column;
    sum += dOut[at] * x[at] * rstd[row];
  }
  if (p.accumulate != 0u) {
    sum += dWeight[column];
  }
  dWeight[column] = sum;
}
