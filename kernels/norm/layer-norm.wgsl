// rstd = 1 / sqrt(variance + epsilon), out = (x - mean) rstd weight + bias.
// SHARE threads make a row of out, its mean and its rstd, in three passes: mean, variance around it, result.
//#include "../lib/index.wgsl"
//#include "../lib/share.wgsl"

struct Params { rows: u32, C: u32, epsilon: f32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
@group(0) @binding(5) var<storage, read_write> mean: array<f32>;
@group(0) @binding(6) var<storage, read_write> rstd: array<f32>;

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let place = flatGroup(group, groups) * (THREADS / SHARE) + thread / SHARE;
  // all threads go on, to meet at the barriers; those beyond the last row store nothing
  let row = min(place, p.rows - 1u);
  let begin = row * p.C + thread % SHARE;
  let end = select(row * p.C, (row + 1u) * p.C, place < p.rows);
  var total = 0.0;
  for (var at = begin; at < end; at += SHARE) {
    total += x[at];
  }
  let centre = sumOfRow(thread, total) / f32(p.C);
  var square = 0.0;
  for (var at = begin; at < end; at += SHARE) {
    let away = x[at] - centre;
    square += away * away;
  }
  let scale = 1.0 / sqrt(sumOfRow(thread, square) / f32(p.C) + p.epsilon);
  for (var at = begin; at < end; at += SHARE) {
    let c = at - row * p.C;
    out[at] = (x[at] - centre) * scale * weight[c] + bias[c];
  }
  if (place < p.rows && thread % SHARE == 0u) {
    mean[row] = centre;
    rstd[row] = scale;
  }
}
