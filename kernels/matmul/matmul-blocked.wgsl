// out[b] = a[b] b[b] (or += with accumulate): a thread makes 16 rows x 8 columns of one product in registers, without
// workgroup memory, so there are no barriers: the variant for software adapters and odd shapes.
// Workgroup of 8 threads: 16 rows x 64 columns. Per k a thread reads 16 elements of a and 8 of b for 128 multiply-adds,
// which is what counts on a software adapter, where each load costs a branch and a bounds check. The sums are written
// out one by one because SwiftShader keeps an array of them in memory (2.5 times slower). Rows and columns beyond the
// edge read the last one again and are not stored.
//#include "../lib/tile.wgsl"

struct Params {
  M: u32, N: u32, K: u32, transA: u32, transB: u32, strideA: u32, strideB: u32,
  accumulate: u32, addBias: u32, addResidual: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

fn storeRow(row: u32, column: u32, batch: u32, left: vec4<f32>, right: vec4<f32>) {
  storeFour(row, column, batch, left);
  storeFour(row, column + 4u, batch, right);
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let row = group.y * 16u;
  let column = (group.x * 8u + thread) * 8u;
  let batch = group.z;
  if (column >= p.N) {
    return;
  }
  let aRow = select(p.K, 1u, p.transA != 0u);
  let aStep = select(1u, p.M, p.transA != 0u);
  let bColumn = select(1u, p.K, p.transB != 0u);
  let bStep = select(p.N, 1u, p.transB != 0u);
  let last = p.M - 1u;
  let lastColumn = vec4<u32>(p.N - 1u);

  var at = batch * p.strideA;
  let row0 = row * aRow;
  let row1 = min(row + 1u, last) * aRow;
  let row2 = min(row + 2u, last) * aRow;
  let row3 = min(row + 3u, last) * aRow;
  let row4 = min(row + 4u, last) * aRow;
  let row5 = min(row + 5u, last) * aRow;
  let row6 = min(row + 6u, last) * aRow;
  let row7 = min(row + 7u, last) * aRow;
  let row8 = min(row + 8u, last) * aRow;
  let row9 = min(row + 9u, last) * aRow;
  let row10 = min(row + 10u, last) * aRow;
  let row11 = min(row + 11u, last) * aRow;
  let row12 = min(row + 12u, last) * aRow;
  let row13 = min(row + 13u, last) * aRow;
  let row14 = min(row + 14u, last) * aRow;
  let row15 = min(row + 15u, last) * aRow;
  var bt = batch * p.strideB;
  let left = min(vec4<u32>(column) + vec4<u32>(0u, 1u, 2u, 3u), lastColumn) * bColumn;
  let right = min(vec4<u32>(column) + vec4<u32>(4u, 5u, 6u, 7u), lastColumn) * bColumn;

  var s0 = vec4<f32>(); var t0 = vec4<f32>();
  var s1 = vec4<f32>(); var t1 = vec4<f32>();
  var s2 = vec4<f32>(); var t2 = vec4<f32>();
  var s3 = vec4<f32>(); var t3 = vec4<f32>();
  var s4 = vec4<f32>(); var t4 = vec4<f32>();
  var s5 = vec4<f32>(); var t5 = vec4<f32>();
  var s6 = vec4<f32>(); var t6 = vec4<f32>();
  var s7 = vec4<f32>(); var t7 = vec4<f32>();
  var s8 = vec4<f32>(); var t8 = vec4<f32>();
  var s9 = vec4<f32>(); var t9 = vec4<f32>();
  var s10 = vec4<f32>(); var t10 = vec4<f32>();
  var s11 = vec4<f32>(); var t11 = vec4<f32>();
  var s12 = vec4<f32>(); var t12 = vec4<f32>();
  var s13 = vec4<f32>(); var t13 = vec4<f32>();
  var s14 = vec4<f32>(); var t14 = vec4<f32>();
  var s15 = vec4<f32>(); var t15 = vec4<f32>();
  for (var k = 0u; k < p.K; k++) {
    let x = vec4<f32>(b[bt + left.x], b[bt + left.y], b[bt + left.z], b[bt + left.w]);
    let y = vec4<f32>(b[bt + right.x], b[bt + right.y], b[bt + right.z], b[bt + right.w]);
    let a0 = a[at + row0]; s0 += a0 * x; t0 += a0 * y;
    let a1 = a[at + row1]; s1 += a1 * x; t1 += a1 * y;
    let a2 = a[at + row2]; s2 += a2 * x; t2 += a2 * y;
    let a3 = a[at + row3]; s3 += a3 * x; t3 += a3 * y;
    let a4 = a[at + row4]; s4 += a4 * x; t4 += a4 * y;
    let a5 = a[at + row5]; s5 += a5 * x; t5 += a5 * y;
    let a6 = a[at + row6]; s6 += a6 * x; t6 += a6 * y;
    let a7 = a[at + row7]; s7 += a7 * x; t7 += a7 * y;
    let a8 = a[at + row8]; s8 += a8 * x; t8 += a8 * y;
    let a9 = a[at + row9]; s9 += a9 * x; t9 += a9 * y;
    let a10 = a[at + row10]; s10 += a10 * x; t10 += a10 * y;
    let a11 = a[at + row11]; s11 += a11 * x; t11 += a11 * y;
    let a12 = a[at + row12]; s12 += a12 * x; t12 += a12 * y;
    let a13 = a[at + row13]; s13 += a13 * x; t13 += a13 * y;
    let a14 = a[at + row14]; s14 += a14 * x; t14 += a14 * y;
    let a15 = a[at + row15]; s15 += a15 * x; t15 += a15 * y;
    at += aStep;
    bt += bStep;
  }

  storeRow(row, column, batch, s0, t0);
  storeRow(row + 1u, column, batch, s1, t1);
  storeRow(row + 2u, column, batch, s2, t2);
  storeRow(row + 3u, column, batch, s3, t3);
  storeRow(row + 4u, column, batch, s4, t4);
  storeRow(row + 5u, column, batch, s5, t5);
  storeRow(row + 6u, column, batch, s6, t6);
  storeRow(row + 7u, column, batch, s7, t7);
  storeRow(row + 8u, column, batch, s8, t8);
  storeRow(row + 9u, column, batch, s9, t9);
  storeRow(row + 10u, column, batch, s10, t10);
  storeRow(row + 11u, column, batch, s11, t11);
  storeRow(row + 12u, column, batch, s12, t12);
  storeRow(row + 13u, column, batch, s13, t13);
  storeRow(row + 14u, column, batch, s14, t14);
  storeRow(row + 15u, column, batch, s15, t15);
}
