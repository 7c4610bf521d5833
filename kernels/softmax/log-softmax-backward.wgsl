// dx = dy - exp(y) sum(dy) per row of [rows, V]. A thread makes one row.
//#include "../lib/index.wgsl"

struct Params { rows: u32, V: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let row = flatGroup(group, groups) * 64u + thread;
  if (row < p.rows) {
    let start = row * p.V;
    var total = 0.0;
    for (var at = start; at < start + p.V; at++) {
      total += dy[at];
    }
    for (var at = start; at < start + p.V; at++) {
      dx[at] = dy[at] - exp(y[at]) * total;
    }
  }
}
