// out = x - log(sum(exp(x))) per row of [rows, V], in nats. SHARE threads make a row.
//#include "../lib/index.wgsl"
//#include "../lib/exp-sum.wgsl"

struct Params { rows: u32, V: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

fn element(at: u32) -> f32 {
  return x[at];
}

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
  let sum = expSum(row * p.V, p.V, thread);
  let logTotal = logOfTotal(sum);
  for (var at = begin; at < end; at += SHARE) {
    out[at] = x[at] - sum.highest - logTotal;
  }
}
