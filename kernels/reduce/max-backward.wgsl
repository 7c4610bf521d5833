// dx[o,k,i] = dy[o,i] at the first k where x[o,k,i] is the maximum y[o,i], else 0. A thread goes through one column (o,
// i) in order and writes it whole.
//#include "../lib/index.wgsl"

struct Params { outer: u32, length: u32, inner: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> y: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let i = flatGroup(group, groups) * 64u + thread;
  if (i < p.outer * p.inner) {
    var at = i / p.inner * p.length * p.inner + i % p.inner;
    var found = false;
    for (var k = 0u; k < p.length; k++) {
      let here = !found && x[at] == y[i];
      dx[at] = select(0.0, dy[i], here);
      found = found || here;
      at += p.inner;
    }
  }
}
