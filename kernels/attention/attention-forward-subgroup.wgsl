// out = softmax(q k' / sqrt(D)) v over the keys up to the query's own, and logSumExp of its scores, for software
// adapters. A workgroup is one subgroup and makes LANES queries of one head; it goes through the keys LANES at a time,
// up to the diagonal, and rescales its sums whenever a larger score turns up (online softmax). Read before:
// lib/head-tile.wgsl; attention-forward.wgsl, a query per thread.
enable subgroups;
//#include "../lib/index.wgsl"
//#include "../lib/math.wgsl"
//#include "../lib/head-tile.wgsl"

struct Params { B: u32, T: u32, H: u32, KV: u32, D: u32, rotary: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> qkv: array<f32>;
@group(0) @binding(2) var<storage, read> table: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<storage, read_write> logSumExp: array<f32>;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let g = flatGroup(group, groups);
  let part = g % parts();
  let t0 = g / parts() % tiles() * LANES; // the tile's first query
  let bh = g / (parts() * tiles());       // counted through [B,H]
  if (bh >= p.B * p.H) {
    return;
  }
  let h = bh % p.H;
  let first = (part * LANES + lane) * 2u;
  let last = p.T - 1u;
  let start = bh / p.H * p.T * width(); // the sequence's first token in qkv
  let queryAt = start + h * p.D;
  let keyAt = start + (p.H + h * p.KV / p.H) * p.D;
  let valueAt = keyAt + p.KV * p.D;
  let own = min(t0 + lane, last);
  let scale = 1.0 / sqrt(f32(p.D));

  var y: Rows;
  var largest: Column; // of a row's scores
  var total: Column;   // of exp(score - largest), over this lane's columns
  for (var r = 0u; r < LANES; r++) {
    largest[r] = F32_LOWEST;
  }
  for (var k0 = 0u; k0 <= t0; k0 += LANES) {
    let key = min(k0 + lane, last);
    var weights = Column();
    for (var i = 0u; i < halfHead(); i++) {
      let q = pair(queryAt + own * width(), own, i);
      let k = pair(keyAt + key * width(), key, i);
      for (var r = 0u; r < LANES; r++) {
        weights[r] += subgroupShuffle(q.x, r) * k.x + subgroupShuffle(q.y, r) * k.y;
      }
    }
    for (var r = 0u; r < LANES; r++) {
      let counts = k0 + lane <= t0 + r;
      let score = select(F32_LOWEST, scale * weights[r], counts);
      let next = max(largest[r], subgroupMax(score));
      let shrink = exp(max(largest[r] - next, -80.0));
      let power = select(noNumber(score), exp(max(score - next, -80.0)), isFinite(score));
      let weight = select(0.0, power, counts);
      largest[r] = next;
      total[r] = shrink * total[r] + weight;
      y[r] *= shrink;
      weights[r] = weight;
    }
    for (var c = 0u; c < LANES; c++) {
      let v = plainPairs(valueAt + min(k0 + c, last) * width(), first);
      for (var r = 0u; r < LANES; r++) {
        y[r] += subgroupShuffle(weights[r], c) * v;
      }
    }
  }

  for (var r = 0u; r < LANES; r++) {
    let sum = subgroupAdd(total[r]);
    let t = t0 + r;
    if (t <= last) {
      let outAt = ((bh / p.H * p.T + t) * p.H + h) * p.D;
      for (var i = 0u; i < 2u; i++) {
        if (first + i < halfHead()) {
          out[outAt + first + i] = y[r][i] / sum;
          if (halfHead() + first + i < p.D) {
            out[outAt + halfHead() + first + i] = y[r][2u + i] / sum;
          }
        }
      }
      if (part == 0u && lane == 0u) {
        logSumExp[bh * p.T + t] = largest[r] + logOf(sum);
      }
    }
  }
}
