// dGate = dOut up s (1 + gate (1 - s)), dUp = dOut gate s, with s = logistic(gate). A thread makes one element of each.
//#include "../lib/index.wgsl"
//#include "../lib/math.wgsl"

struct Params { rows: u32, F: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> gateUp: array<f32>;
@group(0) @binding(2) var<storage, read> dOut: array<f32>;
@group(0) @binding(3) var<storage, read_write> dGateUp: array<f32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let i = flatGroup(group, groups) * 64u + thread;
  if (i < p.rows * p.F) {
    let at = i + i / p.F * p.F; // row (2F) + column
    let gate = gateUp[at];
    let s = logistic(gate);
    dGateUp[at] = dOut[i] * gateUp[at + p.F] * s * (1.0 + gate * (1.0 - s));
    dGateUp[at + p.F] = dOut[i] * gate * s;
  }
}
