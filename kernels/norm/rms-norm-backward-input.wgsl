// dx = rstd (g - n mean(g n)) with g = dOut weight and n = x rstd. A thread makes one row of dx, in two passes over the row.
//#include "../lib/index.wgsl"

struct Params { rows: u32, C: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> rstd: array<f32>;
@group(0) @binding(4) var<storage, read> dOut: array<f32>;
@group(0) @binding(5) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let row = flatGroup(group, groups) * 64u + thread;
  if (row >= p.rows) {
    return;
  }
  let start = row * p.C;
  let scale = rstd[row];
  var dot = 0.0;
  for (var c = 0u; c < p.C; c++) {
    dot += dOut[start + c] * weight[c] * x[start + c];
  }
  let pull = dot * scale * scale / f32(p.C);
  for (var c = 0u; c < p.C; c++) {
    dx[start + c] = scale * (dOut[start + c] * weight[c] - x[start + c] * pull);
  }
}
