// out[b] = a[b] b[b] (or += with accumulate), for software adapters, whose subgroups have a fixed size: a workgroup is
// one subgroup and makes 16 rows x 4 LANES columns, a lane 16 rows of every LANES-th column in registers. Each k is
// read once per subgroup: a lane reads 16 / LANES elements of a, which the others get from it by subgroupBroadcast(),
// and 4 of b. A load costs a branch per lane there, a broadcast one instruction. Rows and columns beyond the edge read
// the last one again and are not stored. Read before: matmul-blocked.wgsl, the same without subgroups.
enable subgroups;
//#include "../lib/epilogue.wgsl"

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

const LANES = 8u; //#param LANES  in a subgroup: 4 or 8

/** Writes, or adds with accumulate, a lane's elements of a row of the batch's product; none beyond the edge. */
fn store(row: u32, column: u32, batch: u32, value: vec4<f32>) {
  if (row >= p.M) {
    return;
  }
  let at = (batch * p.M + row) * p.N + column;
  for (var i = 0u; i < 4u; i++) {
    if (column + i * LANES < p.N) {
      let to = at + i * LANES;
      let sum = epilogue(value[i], to, column + i * LANES);
      if (p.accumulate != 0u) {
        out[to] += sum;
      } else {
        out[to] = sum;
      }
    }
  }
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
  let row = group.y * 16u;
  let column = group.x * 4u * LANES + lane;
  let steps = LANES * vec4<u32>(0u, 1u, 2u, 3u);
  let aStep = select(1u, p.M, p.transA != 0u);
  let bStep = select(p.N, 1u, p.transB != 0u);
  var at = group.z * p.strideA + min(vec4<u32>(row + lane) + steps, vec4<u32>(p.M - 1u)) * select(p.K, 1u, p.transA != 0u);
  var bt = group.z * p.strideB + min(vec4<u32>(column) + steps, vec4<u32>(p.N - 1u)) * select(1u, p.K, p.transB != 0u);

  var s0 = vec4<f32>(); var s1 = vec4<f32>(); var s2 = vec4<f32>(); var s3 = vec4<f32>();
  var s4 = vec4<f32>(); var s5 = vec4<f32>(); var s6 = vec4<f32>(); var s7 = vec4<f32>();
  var s8 = vec4<f32>(); var s9 = vec4<f32>(); var s10 = vec4<f32>(); var s11 = vec4<f32>();
  var s12 = vec4<f32>(); var s13 = vec4<f32>(); var s14 = vec4<f32>(); var s15 = vec4<f32>();
  for (var k = 0u; k < p.K; k++) {
    let x = vec4<f32>(a[at.x], a[at.y], a[at.z], a[at.w]); // rows lane, lane + LANES, ...; of which LANES = 8 needs two
    let y = vec4<f32>(b[bt.x], b[bt.y], b[bt.z], b[bt.w]);
    s0 += subgroupBroadcast(x[0u / LANES], 0u % LANES) * y;
    s1 += subgroupBroadcast(x[1u / LANES], 1u % LANES) * y;
    s2 += subgroupBroadcast(x[2u / LANES], 2u % LANES) * y;
    s3 += subgroupBroadcast(x[3u / LANES], 3u % LANES) * y;
    s4 += subgroupBroadcast(x[4u / LANES], 4u % LANES) * y;
    s5 += subgroupBroadcast(x[5u / LANES], 5u % LANES) * y;
    s6 += subgroupBroadcast(x[6u / LANES], 6u % LANES) * y;
    s7 += subgroupBroadcast(x[7u / LANES], 7u % LANES) * y;
    s8 += subgroupBroadcast(x[8u / LANES], 8u % LANES) * y;
    s9 += subgroupBroadcast(x[9u / LANES], 9u % LANES) * y;
    s10 += subgroupBroadcast(x[10u / LANES], 10u % LANES) * y;
    s11 += subgroupBroadcast(x[11u / LANES], 11u % LANES) * y;
    s12 += subgroupBroadcast(x[12u / LANES], 12u % LANES) * y;
    s13 += subgroupBroadcast(x[13u / LANES], 13u % LANES) * y;
    s14 += subgroupBroadcast(x[14u / LANES], 14u % LANES) * y;
    s15 += subgroupBroadcast(x[15u / LANES], 15u % LANES) * y;
    at += aStep;
    bt += bStep;
  }

  store(row, column, group.z, s0);
  store(row + 1u, column, group.z, s1);
  store(row + 2u, column, group.z, s2);
  store(row + 3u, column, group.z, s3);
  store(row + 4u, column, group.z, s4);
  store(row + 5u, column, group.z, s5);
  store(row + 6u, column, group.z, s6);
  store(row + 7u, column, group.z, s7);
  store(row + 8u, column, group.z, s8);
  store(row + 9u, column, group.z, s9);
  store(row + 10u, column, group.z, s10);
  store(row + 11u, column, group.z, s11);
  store(row + 12u, column, group.z, s12);
  store(row + 13u, column, group.z, s13);
  store(row + 14u, column, group.z, s14);
  store(row + 15u, column, group.z, s15);
}
