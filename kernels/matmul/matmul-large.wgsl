// out[b] = a[b] b[b] (or += with accumulate), for real GPUs: tiles in workgroup memory, and much of each in a thread's
// registers, since it is reading workgroup memory that the smaller tiles of matmul-tiled.wgsl wait for.
// A workgroup makes TILE_M x TILE_N, a thread 4 HIGH rows x 4 WIDE columns of it, as HIGH x WIDE blocks of 4 x 4 that
// lie TILE_M / HIGH rows and TILE_N / WIDE columns apart, so that neighbouring threads read neighbouring vec4s. 32
// threads, which real GPUs run in step, are 8 along the columns by 4 along the rows: together they read few vec4s for
// many products. Tiles of a and b, DEPTH deep, lie as [k][row / 4] and [k][column / 4]. The next ones are fetched into
// registers while these are used. All reads and writes of memory are vec4s, so the sizes along which the matrices lie
// contiguous are multiples of 4. Elements beyond an edge count as 0 and are not stored. Read before: matmul-tiled.wgsl.

struct Params {
  M: u32, N: u32, K: u32, transA: u32, transB: u32, strideA: u32, strideB: u32,
  accumulate: u32, addBias: u32, addResidual: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> residual: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> out: array<vec4<f32>>;

const TILE_M = 128u; //#param TILE_M
const TILE_N = 128u; //#param TILE_N
const DEPTH = 8u; //#param DEPTH
const HIGH = 2u; //#param HIGH  blocks of 4 rows that a thread makes
const WIDE = 2u; //#param WIDE  blocks of 4 columns

const THREADS = TILE_M * TILE_N / (16u * HIGH * WIDE);
const DEPTH4 = DEPTH / 4u;
const TILE_M4 = TILE_M / 4u;
const TILE_N4 = TILE_N / 4u;
const PITCH_A = TILE_M4 + 1u; // one more than it needs, so that a column's neighbours are in other banks
const PITCH_B = TILE_N4 + 1u;
const LOADS_A = TILE_M4 * DEPTH / THREADS; // vec4s that a thread fetches
const LOADS_B = TILE_N4 * DEPTH / THREADS;
const ACROSS = TILE_N4 / WIDE; // threads along the columns: a multiple of 8

var<workgroup> tileA: array<vec4<f32>, DEPTH * PITCH_A>;
var<workgroup> tileB: array<vec4<f32>, DEPTH * PITCH_B>;

/**
 * Four neighbours of a matrix of `rows` x K, at vec4 number e of the tile whose first are (row0, k0); 0 beyond the
 * edge.
 */
fn fetchA(e: u32, first: u32, row0: u32, k0: u32) -> vec4<f32> {
  if (p.transA != 0u) {
    let row = row0 + 4u * (e % TILE_M4);
    let k = k0 + e / TILE_M4;
    return select(vec4<f32>(), a[(first + k * p.M + row) / 4u], row < p.M && k < p.K);
  }
  let row = row0 + e / DEPTH4;
  let k = k0 + 4u * (e % DEPTH4);
  return select(vec4<f32>(), a[(first + row * p.K + k) / 4u], row < p.M && k < p.K);
}

fn fetchB(e: u32, first: u32, column0: u32, k0: u32) -> vec4<f32> {
  if (p.transB == 0u) {
    let column = column0 + 4u * (e % TILE_N4);
    let k = k0 + e / TILE_N4;
    return select(vec4<f32>(), b[(first + k * p.N + column) / 4u], column < p.N && k < p.K);
  }
  let column = column0 + e / DEPTH4;
  let k = k0 + 4u * (e % DEPTH4);
  return select(vec4<f32>(), b[(first + column * p.K + k) / 4u], column < p.N && k < p.K);
}

/** Puts what fetchA() gave where it belongs; neighbours along k are turned into a column. */
fn placeA(e: u32, value: vec4<f32>) {
  if (p.transA != 0u) {
    tileA[e / TILE_M4 * PITCH_A + e % TILE_M4] = value;
    return;
  }
  let row = e / DEPTH4;
  let at = 4u * (e % DEPTH4) * PITCH_A + row / 4u;
  tileA[at][row % 4u] = value.x;
  tileA[at + PITCH_A][row % 4u] = value.y;
  tileA[at + 2u * PITCH_A][row % 4u] = value.z;
  tileA[at + 3u * PITCH_A][row % 4u] = value.w;
}

fn placeB(e: u32, value: vec4<f32>) {
  if (p.transB == 0u) {
    tileB[e / TILE_N4 * PITCH_B + e % TILE_N4] = value;
    return;
  }
  let column = e / DEPTH4;
  let at = 4u * (e % DEPTH4) * PITCH_B + column / 4u;
  tileB[at][column % 4u] = value.x;
  tileB[at + PITCH_B][column % 4u] = value.y;
  tileB[at + 2u * PITCH_B][column % 4u] = value.z;
  tileB[at + 3u * PITCH_B][column % 4u] = value.w;
}

/**
 * Writes, or adds with accumulate, four neighbours of a row of the batch's product, after the epilogue; none beyond the
 * edge.
 */
fn store(row: u32, column: u32, batch: u32, sum: vec4<f32>) {
  if (row >= p.M || column >= p.N) {
    return;
  }
  let at = ((batch * p.M + row) * p.N + column) / 4u;
  var value = sum;
  if (p.addBias != 0u) {
    value += bias[column / 4u];
  }
  if (p.addResidual != 0u) {
    value += residual[at];
  }
  if (p.accumulate != 0u) {
    value += out[at];
  }
  out[at] = value;
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let row0 = group.y * TILE_M;
  let column0 = group.x * TILE_N;
  let firstA = group.z * p.strideA;
  let firstB = group.z * p.strideB;
  let bundle = thread / 32u;
  let x = thread % 8u + 8u * (bundle % (ACROSS / 8u));
  let y = thread / 8u % 4u + 4u * (bundle / (ACROSS / 8u));
  var nextA: array<vec4<f32>, LOADS_A>;
  var nextB: array<vec4<f32>, LOADS_B>;
  var sums: array<vec4<f32>, 4u * HIGH * WIDE>;

  for (var i = 0u; i < LOADS_A; i++) {
    nextA[i] = fetchA(thread + i * THREADS, firstA, row0, 0u);
  }
  for (var i = 0u; i < LOADS_B; i++) {
    nextB[i] = fetchB(thread + i * THREADS, firstB, column0, 0u);
  }
  for (var k0 = 0u; k0 < p.K; k0 += DEPTH) {
    workgroupBarrier();
    for (var i = 0u; i < LOADS_A; i++) {
      placeA(thread + i * THREADS, nextA[i]);
    }
    for (var i = 0u; i < LOADS_B; i++) {
      placeB(thread + i * THREADS, nextB[i]);
    }
    workgroupBarrier();
    for (var i = 0u; i < LOADS_A; i++) {
      nextA[i] = fetchA(thread + i * THREADS, firstA, row0, k0 + DEPTH);
    }
    for (var i = 0u; i < LOADS_B; i++) {
      nextB[i] = fetchB(thread + i * THREADS, firstB, column0, k0 + DEPTH);
    }
    for (var k = 0u; k < DEPTH; k++) {
      var v: array<vec4<f32>, WIDE>;
      for (var w = 0u; w < WIDE; w++) {
        v[w] = tileB[k * PITCH_B + x + w * (TILE_N4 / WIDE)];
      }
      for (var h = 0u; h < HIGH; h++) {
        let u = tileA[k * PITCH_A + y + h * (TILE_M4 / HIGH)];
        for (var w = 0u; w < WIDE; w++) {
          let at = 4u * (h * WIDE + w);
          sums[at] += u.x * v[w];
          sums[at + 1u] += u.y * v[w];
          sums[at + 2u] += u.z * v[w];
          sums[at + 3u] += u.w * v[w];
        }
      }
    }
  }

  for (var h = 0u; h < HIGH; h++) {
    for (var w = 0u; w < WIDE; w++) {
      let row = row0 + 4u * y + h * (TILE_M / HIGH);
      let column = column0 + 4u * x + w * (TILE_N / WIDE);
      let at = 4u * (h * WIDE + w);
      store(row, column, group.z, sums[at]);
      store(row + 1u, column, group.z, sums[at + 1u]);
      store(row + 2u, column, group.z, sums[at + 2u]);
      store(row + 3u, column, group.z, sums[at + 3u]);
    }
  }
}
