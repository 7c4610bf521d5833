// out[b] = a[b] b[b] (or += with accumulate) on the units for small matrices that recent GPUs have, which multiply 16 x
// 16 by 16 x 16 elements in half precision and add in single: a and b are rounded to 11 bits on the way, the sums are
// not. Experimental in WGSL, and only used when asked for. A workgroup is 4 subgroups of 32 and makes a tile of 64 x
// 64, a subgroup 32 x 32 of it, in 2 x 2 matrices. Tiles of a and b, 32 deep, lie in workgroup memory as [row][k] and
// [k][column]; a row is 8 elements longer than it needs, so that its neighbours are in other banks. M and N are
// multiples of 64; beyond K there are zeros. Read before: matmul-tiled.wgsl.
enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;
diagnostic(off, chromium.subgroup_matrix_uniformity);
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

const TILE = 64u;
const DEPTH = 32u;
const THREADS = 128u;
const PITCH_A = DEPTH + 8u;
const PITCH_B = TILE + 8u;

alias Left = subgroup_matrix_left<f16, 16, 16>;
alias Right = subgroup_matrix_right<f16, 16, 16>;
alias Sum = subgroup_matrix_result<f32, 16, 16>;

var<workgroup> tileA: array<f16, TILE * PITCH_A>;
var<workgroup> tileB: array<f16, DEPTH * PITCH_B>;

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
  @builtin(subgroup_id) subgroup: u32,
) {
  let row0 = group.y * TILE;
  let column0 = group.x * TILE;
  let firstA = group.z * p.strideA;
  let firstB = group.z * p.strideB;
  let row = subgroup / 2u * 32u; // of the subgroup's part of the tile
  let column = subgroup % 2u * 32u;
  let to = (group.z * p.M + row0 + row) * p.N + column0 + column;
  let kMajorA = p.transA == 0u; // which way neighbouring threads read neighbouring elements
  let kMajorB = p.transB != 0u;

  var s00: Sum;
  var s01: Sum;
  var s10: Sum;
  var s11: Sum;
  if (p.accumulate != 0u) {
    s00 = subgroupMatrixLoad<Sum, row_major>(&out, to, p.N);
    s01 = subgroupMatrixLoad<Sum, row_major>(&out, to + 16u, p.N);
    s10 = subgroupMatrixLoad<Sum, row_major>(&out, to + 16u * p.N, p.N);
    s11 = subgroupMatrixLoad<Sum, row_major>(&out, to + 16u * p.N + 16u, p.N);
  }
  for (var k0 = 0u; k0 < p.K; k0 += DEPTH) {
    for (var e = thread; e < TILE * DEPTH; e += THREADS) {
      let rowA = select(e % TILE, e / DEPTH, kMajorA);
      let kA = select(e / TILE, e % DEPTH, kMajorA);
      tileA[rowA * PITCH_A + kA] = f16(loadA(firstA, row0 + rowA, k0 + kA));
      let columnB = select(e % TILE, e / DEPTH, kMajorB);
      let kB = select(e / TILE, e % DEPTH, kMajorB);
      tileB[kB * PITCH_B + columnB] = f16(loadB(firstB, k0 + kB, column0 + columnB));
    }
    workgroupBarrier();
    for (var k = 0u; k < DEPTH; k += 16u) {
      let a0 = subgroupMatrixLoad<Left, row_major>(&tileA, row * PITCH_A + k, PITCH_A);
      let a1 = subgroupMatrixLoad<Left, row_major>(&tileA, (row + 16u) * PITCH_A + k, PITCH_A);
      let b0 = subgroupMatrixLoad<Right, row_major>(&tileB, k * PITCH_B + column, PITCH_B);
      let b1 = subgroupMatrixLoad<Right, row_major>(&tileB, k * PITCH_B + column + 16u, PITCH_B);
      s00 = subgroupMatrixMultiplyAccumulate(a0, b0, s00);
      s01 = subgroupMatrixMultiplyAccumulate(a0, b1, s01);
      s10 = subgroupMatrixMultiplyAccumulate(a1, b0, s10);
      s11 = subgroupMatrixMultiplyAccumulate(a1, b1, s11);
    }
    workgroupBarrier();
  }
  subgroupMatrixStore<row_major>(&out, to, s00, p.N);
  subgroupMatrixStore<row_major>(&out, to + 16u, s01, p.N);
  subgroupMatrixStore<row_major>(&out, to + 16u * p.N, s10, p.N);
  subgroupMatrixStore<row_major>(&out, to + 16u * p.N + 16u, s11, p.N);
  if (p.addBias != 0u || p.addResidual != 0u) {
    storageBarrier();
    for (var e = thread; e < TILE * TILE; e += THREADS) {
      let c = column0 + e % TILE;
      let at = (group.z * p.M + row0 + e / TILE) * p.N + c;
      out[at] = epilogue(out[at], at, c);
    }
  }
}
