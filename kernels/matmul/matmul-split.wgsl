// out[b] = a[b] b[b] (or += with accumulate), for few tiles and a long K, as in the gradient of a weight: a grid of
// large tiles would leave most of a GPU idle, so a workgroup makes a small tile and divides K among its threads.
// 256 threads are SLICES = 256 / SIDE^2 slices of SIDE x SIDE threads. A tile is 4 SIDE x 4 SIDE; a thread makes 4 x 4
// of it over the k of its slice, which are every SLICES-th block of SIDE. The slices' sums are added as a tree, in the
// order of the slices: the same bits every time. `pool` holds the slices' tiles of a and b while K is gone through,
// [slice][k][row or column / 4], and half of all sums in the tree. Elements beyond an edge count as 0 and are not
// stored. Read before: matmul-tiled.wgsl.
//#include "../lib/tile.wgsl"

struct Params {
  M: u32, N: u32, K: u32, transA: u32, transB: u32, strideA: u32, strideB: u32,
  accumulate: u32, addBias: u32, addResidual: u32,
}

override SIDE: u32 = 4u; // 4 for tiles of 16 x 16, 8 for 32 x 32

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

const TILES_B = 256u; // where those of b begin

var<workgroup> pool: array<vec4<f32>, 512>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let threads = SIDE * SIDE; // of a slice
  let slices = 256u / threads;
  let tile = 4u * SIDE;
  let slice = thread / threads;
  let t = thread % threads;
  let x = t % SIDE;
  let y = t / SIDE;
  let row0 = group.y * tile;
  let column0 = group.x * tile;
  let firstA = group.z * p.strideA;
  let firstB = group.z * p.strideB;
  let mine = slice * threads; // where this slice's tiles begin
  let kMajorA = p.transA == 0u;
  let kMajorB = p.transB != 0u;
  var s0 = vec4<f32>();
  var s1 = vec4<f32>();
  var s2 = vec4<f32>();
  var s3 = vec4<f32>();

  for (var start = 0u; start < p.K; start += slices * SIDE) {
    let k0 = start + slice * SIDE;
    for (var i = 0u; i < 4u; i++) {
      let e = t + i * threads;
      let rowA = select(e % tile, e / SIDE, kMajorA);
      let kA = select(e / tile, e % SIDE, kMajorA);
      pool[mine + kA * SIDE + rowA / 4u][rowA % 4u] = loadA(firstA, row0 + rowA, k0 + kA);
      let columnB = select(e % tile, e / SIDE, kMajorB);
      let kB = select(e / tile, e % SIDE, kMajorB);
      pool[TILES_B + mine + kB * SIDE + columnB / 4u][columnB % 4u] = loadB(firstB, k0 + kB, column0 + columnB);
    }
    workgroupBarrier();
    for (var k = 0u; k < SIDE; k++) {
      let u = pool[mine + k * SIDE + y];
      let v = pool[TILES_B + mine + k * SIDE + x];
      s0 += u.x * v;
      s1 += u.y * v;
      s2 += u.z * v;
      s3 += u.w * v;
    }
    workgroupBarrier();
  }

  for (var half = slices / 2u; half > 0u; half /= 2u) {
    if (slice >= half && slice < 2u * half) {
      let at = ((slice - half) * threads + t) * 4u;
      pool[at] = s0;
      pool[at + 1u] = s1;
      pool[at + 2u] = s2;
      pool[at + 3u] = s3;
    }
    workgroupBarrier();
    if (slice < half) {
      let at = (slice * threads + t) * 4u;
      s0 += pool[at];
      s1 += pool[at + 1u];
      s2 += pool[at + 2u];
      s3 += pool[at + 3u];
    }
    workgroupBarrier();
  }
  if (slice == 0u) {
    let row = row0 + y * 4u;
    let column = column0 + x * 4u;
    storeFour(row, column, group.z, s0);
    storeFour(row + 1u, column, group.z, s1);
    storeFour(row + 2u, column, group.z, s2);
    storeFour(row + 3u, column, group.z, s3);
  }
}
