// All gradients of LayerNorm: dx = rstd (g - mean(g) - n mean(g n)) with g = dOut weight and n = (x - mean) rstd;
// dWeight = sum over rows of dOut n and dBias = sum over rows of dOut, each added to what is there with its accumulate
// flag. The first workgroups make rows of dx, SHARE threads each; those after them sum COLUMNS columns each, from the
// first row to the last, THREADS / COLUMNS threads to a column.
//#include "../lib/index.wgsl"
//#include "../lib/share.wgsl"

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

fn rowGradient(place: u32, thread: u32) {
  // all threads go on, to meet at the barriers; those beyond the last row store nothing
  let row = min(place, p.rows - 1u);
  let start = row * p.C;
  let end = select(0u, p.C, place < p.rows);
  let centre = mean[row];
  let scale = rstd[row];
  var total = 0.0;
  var dot = 0.0;
  for (var c = thread % SHARE; c < end; c += SHARE) {
    let g = dOut[start + c] * weight[c];
    total += g;
    dot += g * (x[start + c] - centre);
  }
  let shift = sumOfRow(thread, total) / f32(p.C);
  let pull = sumOfRow(thread, dot) * scale * scale / f32(p.C);
  for (var c = thread % SHARE; c < end; c += SHARE) {
    dx[start + c] = scale * (dOut[start + c] * weight[c] - shift - (x[start + c] - centre) * pull);
  }
}

fn columnGradient(column: u32, thread: u32) {
  var forWeight = 0.0;
  var forBias = 0.0;
  for (var row = thread / COLUMNS; row < select(0u, p.rows, column < p.C); row += THREADS / COLUMNS) {
    let at = row * p.C + column;
    forWeight += dOut[at] * (x[at] - mean[row]) * rstd[row];
    forBias += dOut[at];
  }
  forWeight = sumOfColumn(thread, forWeight);
  forBias = sumOfColumn(thread, forBias);
  if (thread < COLUMNS && column < p.C) {
    dWeight[column] = select(0.0, dWeight[column], p.accumulateWeight != 0u) + forWeight;
    dBias[column] = select(0.0, dBias[column], p.accumulateBias != 0u) + forBias;
  }
}

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let g = flatGroup(group, groups);
  let rowGroups = (p.rows * SHARE + THREADS - 1u) / THREADS;
  if (g < rowGroups) {
    rowGradient(g * (THREADS / SHARE) + thread / SHARE, thread);
  } else {
    columnGradient((g - rowGroups) * COLUMNS + thread % COLUMNS, thread);
  }
}
