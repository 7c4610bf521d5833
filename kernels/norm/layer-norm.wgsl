// rstd = 1 / sqrt(variance + epsilon), out = (x - mean) rstd weight + bias.
// A thread makes one row of out, its mean and its rstd, in three passes over the row: mean, variance around it, result.
//#include "../lib/index.wgsl"

struct Params { rows: u32, C: u32, epsilon: f32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
@group(0) @binding(5) var<storage, read_write> mean: array<f32>;
@group(0) @binding(6) var<storage, read_write> rstd: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let row = flatGroup(group, groups) * 64u + thread;
  if (row >= p.rows) {
    return;
  }
  let start = row * p.C;
  var total = 0.0;
  for (var c = 0u; c < p.C; c++) {
    total += x[start + c];
  }
  let centre = total / f32(p.C);
  var square = 0.0;
  for (var c = 0u; c < p.C; c++) {
    let away = x[start + c] - centre;
    square += away * away;
  }
  let scale = 1.0 / sqrt(square / f32(p.C) + p.epsilon);
  for (var c = 0u; c < p.C; c++) {
    out[start + c] = (x[start + c] - centre) * scale * weight[c] + bias[c];
  }
  mean[row] = centre;
  rstd[row] = scale;
}
