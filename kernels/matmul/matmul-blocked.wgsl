// out[b] = a[b] b[b] (or += with accumulate): a thread makes 4 rows x 8 columns of one product in registers, without workgroup memory,
// so there are no barriers: the variant for software adapters and odd shapes.
// Workgroup of 8 x 8 threads: 32 rows x 64 columns. A thread reads 4 elements of a and 8 of b per k; rows and columns beyond the edge
// read the last one again and are not stored.

struct Params { M: u32, N: u32, K: u32, transA: u32, transB: u32, strideA: u32, strideB: u32, accumulate: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

fn store4(at: u32, column: u32, value: vec4<f32>) {
  for (var i = 0u; i < 4u; i++) {
    if (column + i < p.N) {
      out[at + i] = select(0.0, out[at + i], p.accumulate != 0u) + value[i];
    }
  }
}

fn storeRow(row: u32, column: u32, batch: u32, left: vec4<f32>, right: vec4<f32>) {
  if (row < p.M) {
    let at = (batch * p.M + row) * p.N + column;
    store4(at, column, left);
    store4(at + 4u, column + 4u, right);
  }
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let row = id.y * 4u;
  let column = id.x * 8u;
  let batch = id.z;
  if (row >= p.M || column >= p.N) {
    return;
  }
  let aRow = select(p.K, 1u, p.transA != 0u);
  let aStep = select(1u, p.M, p.transA != 0u);
  let bColumn = select(1u, p.K, p.transB != 0u);
  let bStep = select(p.N, 1u, p.transB != 0u);

  let firstA = batch * p.strideA;
  var a0 = firstA + row * aRow;
  var a1 = firstA + min(row + 1u, p.M - 1u) * aRow;
  var a2 = firstA + min(row + 2u, p.M - 1u) * aRow;
  var a3 = firstA + min(row + 3u, p.M - 1u) * aRow;
  var at = batch * p.strideB;
  let columns0 = min(vec4<u32>(column) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(p.N - 1u)) * bColumn;
  let columns1 = min(vec4<u32>(column) + vec4<u32>(4u, 5u, 6u, 7u), vec4<u32>(p.N - 1u)) * bColumn;

  var s00 = vec4<f32>(); var s01 = vec4<f32>();
  var s10 = vec4<f32>(); var s11 = vec4<f32>();
  var s20 = vec4<f32>(); var s21 = vec4<f32>();
  var s30 = vec4<f32>(); var s31 = vec4<f32>();
  for (var k = 0u; k < p.K; k++) {
    let b0 = vec4<f32>(b[at + columns0.x], b[at + columns0.y], b[at + columns0.z], b[at + columns0.w]);
    let b1 = vec4<f32>(b[at + columns1.x], b[at + columns1.y], b[at + columns1.z], b[at + columns1.w]);
    let x0 = a[a0]; let x1 = a[a1]; let x2 = a[a2]; let x3 = a[a3];
    s00 += x0 * b0; s01 += x0 * b1;
    s10 += x1 * b0; s11 += x1 * b1;
    s20 += x2 * b0; s21 += x2 * b1;
    s30 += x3 * b0; s31 += x3 * b1;
    a0 += aStep; a1 += aStep; a2 += aStep; a3 += aStep;
    at += bStep;
  }
  storeRow(row, column, batch, s00, s01);
  storeRow(row + 1u, column, batch, s10, s11);
  storeRow(row + 2u, column, batch, s20, s21);
  storeRow(row + 3u, column, batch, s30, s31);
}
