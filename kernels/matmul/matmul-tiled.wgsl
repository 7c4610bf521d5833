// out[b] = a[b] b[b] (or += with accumulate), for real GPUs: a workgroup of 256 threads makes a tile of 64 x 64, a
// thread 4 x 4 of it. Tiles of a and b, 16 deep, go through workgroup memory as vec4s in [k][row] and [k][column]
// order, so the inner loop reads one vec4 of each for 16 multiply-adds. Thread t loads 4 elements of either tile,
// neighbours along whichever axis lies contiguous in memory. Elements beyond an edge count as 0 and are not stored.
// Read before: matmul-blocked.wgsl (registers, no workgroup memory).
//#include "../lib/tile.wgsl"

struct Params {
  M: u32, N: u32, K: u32, transA: u32, transB: u32, strideA: u32, strideB: u32,
  accumulate: u32, addBias: u32, addResidual: u32,
}

const TILE = 64u;
const DEPTH = 16u;

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

var<workgroup> tileA: array<array<vec4<f32>, 16>, 16>; // [k][row / 4]
var<workgroup> tileB: array<array<vec4<f32>, 16>, 16>; // [k][column / 4]

@compute @workgroup_size(16, 16)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_id) local: vec3<u32>,
  @builtin(local_invocation_index) t: u32,
) {
  let row0 = group.y * TILE;
  let column0 = group.x * TILE;
  let firstA = group.z * p.strideA;
  let firstB = group.z * p.strideB;
  var s0 = vec4<f32>();
  var s1 = vec4<f32>();
  var s2 = vec4<f32>();
  var s3 = vec4<f32>();

  // Along the contiguous axis neighbouring threads take neighbouring elements: k for a plain a and a transposed b, else
  // row or column.
  let kMajorA = p.transA == 0u;
  let kMajorB = p.transB != 0u;
  for (var k0 = 0u; k0 < p.K; k0 += DEPTH) {
    for (var i = 0u; i < 4u; i++) {
      let e = t + i * 256u;
      let rowA = select(e % TILE, e / DEPTH, kMajorA);
      let kA = select(e / TILE, e % DEPTH, kMajorA);
      tileA[kA][rowA / 4u][rowA % 4u] = loadA(firstA, row0 + rowA, k0 + kA);
      let columnB = select(e % TILE, e / DEPTH, kMajorB);
      let kB = select(e / TILE, e % DEPTH, kMajorB);
      tileB[kB][columnB / 4u][columnB % 4u] = loadB(firstB, k0 + kB, column0 + columnB);
    }
    workgroupBarrier();
    for (var k = 0u; k < DEPTH; k++) {
      let x = tileA[k][local.y];
      let y = tileB[k][local.x];
      s0 += x.x * y;
      s1 += x.y * y;
      s2 += x.z * y;
      s3 += x.w * y;
    }
    workgroupBarrier();
  }

  let row = row0 + local.y * 4u;
  let column = column0 + local.x * 4u;
  storeFour(row, column, group.z, s0);
  storeFour(row + 1u, column, group.z, s1);
  storeFour(row + 2u, column, group.z, s2);
  storeFour(row + 3u, column, group.z, s3);
}
