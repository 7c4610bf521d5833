// out[b] = a[b] b[b] (or += with accumulate), for few rows, as in decoding: every element of b is read once, and that
// is all the time it takes. A workgroup of 256 threads makes 256 / LANES columns of up to 4 rows. LANES threads share a
// column: lane l takes k = l, l + LANES, ... Neighbouring threads read neighbouring elements of b: columns when it lies
// as [K,N], lanes when it lies as [N,K]. The lanes' sums, one vec4 of rows each, are added as a tree in workgroup
// memory, always in the same order. For real GPUs.
//#include "../lib/epilogue.wgsl"

struct Params {
  M: u32, N: u32, K: u32, transA: u32, transB: u32, strideA: u32, strideB: u32,
  accumulate: u32, addBias: u32, addResidual: u32,
}

override LANES: u32 = 8u; // a power of two

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

var<workgroup> sums: array<vec4<f32>, 256>; // [lane][column]

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  let columns = 256u / LANES;
  let byRow = p.transB != 0u;
  let lane = select(t / columns, t % LANES, byRow);
  let local = select(t % columns, t / LANES, byRow);
  let column = group.x * columns + local;
  let row = group.y * 4u;

  var sum = vec4<f32>();
  if (column < p.N) {
    // Rows beyond the last read the last again, and are not stored.
    let rows = min(vec4<u32>(row) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(p.M - 1u));
    let aRows = vec4<u32>(group.z * p.strideA) + rows * select(p.K, 1u, p.transA != 0u);
    let aStep = select(1u, p.M, p.transA != 0u);
    let bColumn = group.z * p.strideB + column * select(1u, p.K, byRow);
    let bStep = select(p.N, 1u, byRow);
    if (p.M == 1u) {
      for (var k = lane; k < p.K; k += LANES) {
        sum.x += a[aRows.x + k * aStep] * b[bColumn + k * bStep];
      }
    } else {
      for (var k = lane; k < p.K; k += LANES) {
        let at = aRows + k * aStep;
        sum += vec4<f32>(a[at.x], a[at.y], a[at.z], a[at.w]) * b[bColumn + k * bStep];
      }
    }
  }

  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    if (lane >= half && lane < 2u * half) {
      sums[lane * columns + local] = sum;
    }
    workgroupBarrier();
    if (lane < half) {
      sum += sums[(lane + half) * columns + local];
    }
  }
  if (lane == 0u && column < p.N) {
    for (var i = 0u; i < 4u && row + i < p.M; i++) {
      let to = (group.z * p.M + row + i) * p.N + column;
      out[to] = select(0.0, out[to], p.accumulate != 0u) + epilogue(sum[i], to, column);
    }
  }
}
