// out[o, outStart + row, :] = x[o, xStart + row, :] for each o below outer and each row below count; x is [outer,
// xRows, inner], out [outer, outRows, inner]. A thread copies one element, as bits; the other rows of out are not
// touched.
//#include "../lib/index.wgsl"

struct Params {
  outer: u32, inner: u32, count: u32,
  xRows: u32, xStart: u32,
  outRows: u32, outStart: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> out: array<u32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let i = flatGroup(group, groups) * 64u + thread;
  let block = p.count * p.inner;
  if (i < p.outer * block) {
    let o = i / block;
    let j = i % block;
    out[(o * p.outRows + p.outStart) * p.inner + j] = x[(o * p.xRows + p.xStart) * p.inner + j];
  }
}
