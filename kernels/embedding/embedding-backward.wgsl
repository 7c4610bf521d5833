// dTable[v,c] = sum of dOut[n,c] over the tokens n whose id is v, in token order; accumulate = 1 adds to what dTable
// holds. A thread makes 8 neighbouring columns of one row: it looks through all N ids for its own, so that nothing is
// added by two threads and the order never changes. Eight columns share one search; the threads of a workgroup read the
// same ids at the same time.
//#include "../lib/index.wgsl"

struct Params { N: u32, V: u32, C: u32, accumulate: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> ids: array<i32>;
@group(0) @binding(2) var<storage, read> dOut: array<f32>;
@group(0) @binding(3) var<storage, read_write> dTable: array<f32>;

/** Columns column..column+3 of dOut's row; those beyond the edge read the last again. */
fn load4(row: u32, column: u32) -> vec4<f32> {
  let at = vec4<u32>(row * p.C) + min(vec4<u32>(column) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(p.C - 1u));
  return vec4<f32>(dOut[at.x], dOut[at.y], dOut[at.z], dOut[at.w]);
}

fn store4(row: u32, column: u32, value: vec4<f32>) {
  for (var i = 0u; i < 4u; i++) {
    if (column + i < p.C) {
      let at = row * p.C + column + i;
      dTable[at] = select(0.0, dTable[at], p.accumulate != 0u) + value[i];
    }
  }
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let i = flatGroup(group, groups) * 64u + thread;
  let blocks = (p.C + 7u) / 8u;
  let v = i / blocks;
  let column = i % blocks * 8u;
  if (v >= p.V) {
    return;
  }
  var left = vec4<f32>();
  var right = vec4<f32>();
  for (var n = 0u; n < p.N; n++) {
    if (ids[n] == i32(v)) {
      left += load4(n, column);
      right += load4(n, column + 4u);
    }
  }
  store4(v, column, left);
  store4(v, column + 4u, right);
}
