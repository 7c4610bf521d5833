// rstd = 1 / sqrt(mean(x²) + epsilon), out = x rstd weight. SHARE threads make a row of out and its rstd, in two
// passes.
//#include "../lib/index.wgsl"
//#include "../lib/share.wgsl"

struct Params { rows: u32, C: u32, epsilon: f32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<storage, read_write> rstd: array<f32>;

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
  var square = 0.0;
  for (var at = begin; at < end; at += SHARE) {
    square += x[at] * x[at];
  }
  let scale = 1.0 / sqrt(sumOfRow(thread, square) / f32(p.C) + p.epsilon);
  for (var at = begin; at < end; at += SHARE) {
    out[at] = x[at] * scale * weight[at - row * p.C];
  }
  if (place < p.rows && thread % SHARE == 0u) {
    rstd[row] = scale;
  }
}
