// All gradients of LayerNorm: dx = rstd (g - mean(g) - n mean(g n)) with g = dOut weight and n = (x - mean) rstd; dWeight = sum over rows
// of dOut n and dBias = sum over rows of dOut, each added to what is there with its accumulate flag. The first `rows` threads make a row of
// dx each; the C threads after them sum a column of dWeight and dBias each, from the first row to the last.
//#include "../lib/index.wgsl"

struct Params { rows: u32, C: u32, accumulateWeight: u32, accumulateBias: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> mean: array<f32>;
@group(0) @binding(4) var<storage, read> rstd: array<f32>;
@group(0) @binding(5) var<storage, read> dOut: array<f32>;
@group(0) @binding(6) var<storage, read_write> dx: array<f32>;
@group(0) @binding(7) var<storage, read_write> dWeight: array<f32>;
@group(0) @binding(8) var<storage, read_write> dBias: array<f32>;

fn rowGradient(row: u32) {
  let start = row * p.C;
  let centre = mean[row];
  let scale = rstd[row];
  var total = 0.0;
  var dot = 0.0;
  for (var c = 0u; c < p.C; c++) {
    let g = dOut[start + c] * weight[c];
    total += g;
    dot += g * (x[start + c] - centre);
  }
  let shift = total / f32(p.C);
  let pull = dot * scale * scale / f32(p.C);
  for (var c = 0u; c < p.C; c++) {
    dx[start + c] = scale * (dOut[start + c] * weight[c] - shift - (x[start + c] - centre) * pull);
  }
}

fn columnGradient(column: u32) {
  var forWeight = 0.0;
  var forBias = 0.0;
  for (var row = 0u; row < p.rows; row++) {
    let at = row * p.C + column;
    forWeight += dOut[at] * (x[at] - mean[row]) * rstd[row];
    forBias += dOut[at];
  }
  dWeight[column] = select(0.0, dWeight[column], p.accumulateWeight != 0u) + forWeight;
  dBias[column] = select(0.0, dBias[column], p.accumulateBias != 0u) + forBias;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let i = flatGroup(group, groups) * 64u + thread;
  if (i < p.rows) {
    rowGradient(i);
  } else if (i - p.rows < p.C) {
    columnGradient(i - p.rows);
  }
}
