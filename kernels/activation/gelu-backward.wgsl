// dx = dOut (s + x s (1 - s) d(2u)/dx) with s = logistic(2u), 2u = 2 sqrt(2/pi) (x + 0.044715 x³). A thread makes four
// elements.
//#include "../lib/index.wgsl"
//#include "../lib/math.wgsl"

const TWICE_ROOT = 1.5957691216057308; // 2 sqrt(2/pi)
const CUBE = 0.044715;

struct Params { n: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> dOut: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> dx: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let i = flatGroup(group, groups) * 64u + thread;
  if (4u * i >= p.n) {
    return;
  }
  let v = x[i];
  let s = logisticOfFour(TWICE_ROOT * v * (1.0 + CUBE * v * v));
  let value = dOut[i] * (s + v * s * (1.0 - s) * TWICE_ROOT * (1.0 + 3.0 * CUBE * v * v));
  let left = p.n - 4u * i;
  if (left >= 4u) {
    dx[i] = value;
  } else {
    for (var c = 0u; c < left; c++) {
      dx[i][c] = value[c];
    }
  }
}
