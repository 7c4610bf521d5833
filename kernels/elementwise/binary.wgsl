// out = f(a, b) over axes d0..d3 of out, with f from the table in elementwise.ts. a0..a3 and b0..b3 are the operands'
// steps along each axis, 0 where one is broadcast. A thread makes one element.
//#include "../lib/index.wgsl"

struct Params {
  d0: u32, d1: u32, d2: u32, d3: u32,
  a0: u32, a1: u32, a2: u32, a3: u32,
  b0: u32, b1: u32, b2: u32, b3: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

const ZERO = 0.0;
const ONE = 1.0;

fn isNone(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

fn f(a: f32, b: f32) -> f32 { return a + b; } //#param F

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let i = flatGroup(group, groups) * 64u + thread;
  if (i < p.d0 * p.d1 * p.d2 * p.d3) {
    let row = i / p.d3;
    let plane = row / p.d2;
    let at = vec4<u32>(plane / p.d1, plane % p.d1, row % p.d2, i % p.d3);
    let fromA = dot(at, vec4<u32>(p.a0, p.a1, p.a2, p.a3));
    let fromB = dot(at, vec4<u32>(p.b0, p.b1, p.b2, p.b3));
    out[i] = f(a[fromA], b[fromB]);
  }
}
