// dx = y (dy - sum(dy y)) per row of [rows, V]. SHARE threads make a row.
//#include "../lib/index.wgsl"
//#include "../lib/share.wgsl"

struct Params { rows: u32, V: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let place = flatGroup(group, groups) * (THREADS / SHARE) + thread / SHARE;
  // all threads go on, to meet at the barriers; those beyond the last row store nothing
  let row = min(place, p.rows - 1u);
  let begin = row * p.V + thread % SHARE;
  let end = select(row * p.V, (row + 1u) * p.V, place < p.rows);
  var dot = 0.0;
  for (var at = begin; at < end; at += SHARE) {
    dot += dy[at] * y[at];
  }
  dot = sumOfRow(thread, dot);
  for (var at = begin; at < end; at += SHARE) {
    dx[at] = y[at] * (dy[at] - dot);
  }
}
