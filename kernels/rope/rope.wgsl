// Turns each pair of channels of each head by the angle of its row's position, row mod T; inverse turns back. A thread
// makes one pair.
//#include "../lib/index.wgsl"
//#include "../lib/rotary.wgsl"

struct Params { rows: u32, T: u32, H: u32, D: u32, inverse: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> table: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let half = p.D / 2u;
  let i = flatGroup(group, groups) * 64u + thread;
  if (i >= p.rows * p.H * half) {
    return;
  }
  let head = i / half; // counted through all rows
  let at = head * p.D + i % half;
  let pair = vec2(x[at], x[at + half]);
  let angle = angleOf(head / p.H % p.T, i % half);
  let turned = select(turn(pair, angle), turnBack(pair, angle), p.inverse != 0u);
  out[at] = turned.x;
  out[at + half] = turned.y;
}
