// dTable[v,c] = sum of dOut[n,c] over the tokens n whose id is v, in token order; accumulate = 1 adds to what dTable
// holds. For GPUs. A workgroup of 64 threads makes 64 neighbouring columns of one row, a thread each. The search is
// shared: of 2048 ids at a time a thread looks through 32 and marks its finds in a word of bits; then all go through
// the words in order, and so add up the same tokens in the same order. Read before: embedding-backward.wgsl.
//#include "../lib/index.wgsl"

struct Params { N: u32, V: u32, C: u32, accumulate: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> ids: array<i32>;
@group(0) @binding(2) var<storage, read> dOut: array<f32>;
@group(0) @binding(3) var<storage, read_write> dTable: array<f32>;

const THREADS = 64u;
const EACH = 32u; // ids that a thread looks through: the bits of a word

var<workgroup> finds: array<u32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let g = flatGroup(group, groups);
  let blocks = (p.C + THREADS - 1u) / THREADS;
  let v = g / blocks;
  let column = g % blocks * THREADS + thread;
  var sum = 0.0;
  for (var n0 = 0u; n0 < p.N; n0 += THREADS * EACH) {
    let first = n0 + thread * EACH;
    var found = 0u;
    for (var i = 0u; i < EACH && first + i < p.N; i++) {
      found |= select(0u, 1u << i, ids[first + i] == i32(v));
    }
    finds[thread] = found;
    workgroupBarrier();
    for (var t = 0u; t < THREADS; t++) {
      for (var left = finds[t]; left != 0u; left &= left - 1u) {
        let n = n0 + t * EACH + firstTrailingBit(left);
        sum += dOut[n * p.C + min(column, p.C - 1u)];
      }
    }
    workgroupBarrier();
  }
  if (v < p.V && column < p.C) {
    let at = v * p.C + column;
    dTable[at] = select(0.0, dTable[at], p.accumulate != 0u) + sum;
  }
}
