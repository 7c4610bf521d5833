// out = f(a, b) where neither operand has gaps: each is read from its first element to its last, again and again if it
// is shorter than out (a bias [C], one number). Four elements at a time, so what repeats has 1 element or a multiple of
// 4. A thread makes four elements. With f and Params as in binary.wgsl.
//#include "../lib/index.wgsl"

struct Params {
  d0: u32, d1: u32, d2: u32, d3: u32,
  a0: u32, a1: u32, a2: u32, a3: u32,
  b0: u32, b1: u32, b2: u32, b3: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;

const ZERO = vec4<f32>();
const ONE = vec4<f32>(1.0);

fn isNone(x: vec4<f32>) -> vec4<bool> {
  return (bitcast<vec4<u32>>(x) & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u);
}

fn f(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> { return a + b; } //#param F

/** Elements of an operand that takes these steps. */
fn period(steps: vec4<u32>) -> u32 {
  let reach = vec4<u32>(p.d0, p.d1, p.d2, p.d3) * steps;
  return max(max(reach.x, reach.y), max(reach.z, max(reach.w, 1u)));
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let i = flatGroup(group, groups) * 64u + thread;
  let n = p.d0 * p.d1 * p.d2 * p.d3;
  if (4u * i >= n) {
    return;
  }
  let ofA = period(vec4<u32>(p.a0, p.a1, p.a2, p.a3));
  let ofB = period(vec4<u32>(p.b0, p.b1, p.b2, p.b3));
  var x = vec4<f32>(a[0].x);
  if (ofA == n) {
    x = a[i];
  } else if (ofA > 1u) {
    x = a[i % (ofA / 4u)];
  }
  var y = vec4<f32>(b[0].x);
  if (ofB == n) {
    y = b[i];
  } else if (ofB > 1u) {
    y = b[i % (ofB / 4u)];
  }
  let value = f(x, y);
  let left = n - 4u * i;
  if (left >= 4u) {
    out[i] = value;
  } else {
    for (var c = 0u; c < left; c++) {
      out[i][c] = value[c];
    }
  }
}
