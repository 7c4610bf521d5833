// out[i] = 1 if x[i] is among the `keep` largest of the counted x (of equals, the first), else 0: a thread per token
// counts how many come before it. n² comparisons, no barrier, the same on every adapter; a batch has some thousand
// tokens.
//#include "../lib/index.wgsl"

struct Params { n: u32, keep: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> targets: array<i32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

/** Floats as integers of the same order, -0 as 0; what is not a number comes with -infinity. */
fn rank(x: f32) -> i32 {
  let bits = bitcast<u32>(x);
  let magnitude = i32(bits & 0x7fffffffu);
  if (magnitude > 0x7f800000) {
    return -0x7f800000;
  }
  return select(magnitude, -magnitude, bits >= 0x80000000u);
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let i = flatGroup(group, groups) * 64u + thread;
  if (i < p.n) {
    let mine = rank(x[i]);
    var before = 0u;
    for (var j = 0u; j < p.n; j++) {
      let other = rank(x[j]);
      if (targets[j] >= 0 && (other > mine || (other == mine && j < i))) {
        before++;
      }
    }
    out[i] = select(0.0, 1.0, targets[i] >= 0 && before < p.keep);
  }
}
