// dQkv of causal attention, for software adapters. The weights are made again, p = exp(score - logSumExp); the gradient
// of a score is p (dOut.v - delta) with delta = dOut.out.
// A workgroup is one subgroup. The first B H tiles() parts() of them make the gradients of LANES queries of one head
// each, over the keys up to them; the B KV tiles() parts() after them those of LANES keys and their values, over the
// group's queries from them on. Read before: lib/head-tile.wgsl, attention-forward-subgroup.wgsl.
enable subgroups;
//#include "../lib/index.wgsl"
//#include "../lib/head-tile.wgsl"

struct Params { B: u32, T: u32, H: u32, KV: u32, D: u32, rotary: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> qkv: array<f32>;
@group(0) @binding(2) var<storage, read> table: array<f32>;
@group(0) @binding(3) var<storage, read> out: array<f32>;
@group(0) @binding(4) var<storage, read> logSumExp: array<f32>;
@group(0) @binding(5) var<storage, read> dOut: array<f32>;
@group(0) @binding(6) var<storage, read_write> dQkv: array<f32>;

/** Pair i of dOut[at], and of out[at]. */
fn pairOfDOut(at: u32, i: u32) -> vec2<f32> {
  let other = halfHead() + i;
  return vec2(dOut[at + i], select(0.0, dOut[at + other], other < p.D));
}

fn pairOfOut(at: u32, i: u32) -> vec2<f32> {
  let other = halfHead() + i;
  return vec2(out[at + i], select(0.0, out[at + other], other < p.D));
}

/** Pairs i and i + 1 of dOut[at]. */
fn pairsOfDOut(at: u32, i: u32) -> vec4<f32> {
  let last = halfHead() - 1u;
  let a = pairOfDOut(at, min(i, last));
  let b = pairOfDOut(at, min(i + 1u, last));
  return vec4(a.x, b.x, a.y, b.y);
}

/** Writes pairs i and i + 1 to dQkv[at], of those that there are. */
fn store(at: u32, i: u32, value: vec4<f32>) {
  for (var n = 0u; n < 2u; n++) {
    if (i + n < halfHead()) {
      dQkv[at + i + n] = value[n];
      if (halfHead() + i + n < p.D) {
        dQkv[at + halfHead() + i + n] = value[2u + n];
      }
    }
  }
}

/** The same, turned back if what they are the gradient of was rotated. */
fn storeTurnedBack(at: u32, position: u32, i: u32, value: vec4<f32>) {
  if (p.rotary == 0u) {
    store(at, i, value);
    return;
  }
  let last = halfHead() - 1u;
  let a = turnBack(value.xz, angleOf(position, min(i, last)));
  let b = turnBack(value.yw, angleOf(position, min(i + 1u, last)));
  store(at, i, vec4(a.x, b.x, a.y, b.y));
}

/** Queries t0 .. of head bh, counted through [B,H]; rows are queries, columns keys. */
fn queryGradients(bh: u32, t0: u32, first: u32, lane: u32) {
  let last = p.T - 1u;
  let h = bh % p.H;
  let token = bh / p.H * p.T; // the sequence's first
  let queryAt = token * width() + h * p.D;
  let keyAt = token * width() + (p.H + h * p.KV / p.H) * p.D;
  let valueAt = keyAt + p.KV * p.D;
  let own = min(t0 + lane, last);
  let outAt = ((token + own) * p.H + h) * p.D;
  let scale = 1.0 / sqrt(f32(p.D));
  let logTotal = logSumExp[bh * p.T + own];
  var delta = 0.0;
  for (var i = 0u; i < halfHead(); i++) {
    delta += dot(pairOfDOut(outAt, i), pairOfOut(outAt, i));
  }

  var dQ: Rows;
  for (var k0 = 0u; k0 <= t0; k0 += LANES) {
    let key = min(k0 + lane, last);
    var scores = Column();
    var pulls = Column(); // dOut.v
    for (var i = 0u; i < halfHead(); i++) {
      let q = pair(queryAt + own * width(), own, i);
      let g = pairOfDOut(outAt, i);
      let k = pair(keyAt + key * width(), key, i);
      let v = plainPair(valueAt + key * width(), i);
      for (var r = 0u; r < LANES; r++) {
        scores[r] += subgroupShuffle(q.x, r) * k.x + subgroupShuffle(q.y, r) * k.y;
        pulls[r] += subgroupShuffle(g.x, r) * v.x + subgroupShuffle(g.y, r) * v.y;
      }
    }
    for (var r = 0u; r < LANES; r++) {
      let weight = select(0.0, exp(scale * scores[r] - subgroupShuffle(logTotal, r)), k0 + lane <= t0 + r);
      scores[r] = scale * weight * (pulls[r] - subgroupShuffle(delta, r)); // now the score's gradient
    }
    for (var c = 0u; c < LANES; c++) {
      let column = min(k0 + c, last);
      let k = pairs(keyAt + column * width(), column, first);
      for (var r = 0u; r < LANES; r++) {
        dQ[r] += subgroupShuffle(scores[r], c) * k;
      }
    }
  }
  for (var r = 0u; r < LANES && t0 + r <= last; r++) {
    storeTurnedBack(queryAt + (t0 + r) * width(), t0 + r, first, dQ[r]);
  }
}

/** Keys and values t0 .. of head bkv, counted through [B,KV]; rows are keys, columns queries. */
fn keyGradients(bkv: u32, t0: u32, first: u32, lane: u32) {
  let last = p.T - 1u;
  let b = bkv / p.KV;
  let kv = bkv % p.KV;
  let token = b * p.T;
  let keyAt = token * width() + (p.H + kv) * p.D;
  let valueAt = keyAt + p.KV * p.D;
  let own = min(t0 + lane, last);
  let scale = 1.0 / sqrt(f32(p.D));
  let heads = p.H / p.KV;

  var dK: Rows;
  var dV: Rows;
  for (var h = kv * heads; h < (kv + 1u) * heads; h++) {
    let queryAt = token * width() + h * p.D;
    for (var q0 = t0; q0 <= last; q0 += LANES) {
      let query = min(q0 + lane, last);
      let outAt = ((token + query) * p.H + h) * p.D;
      let logTotal = logSumExp[(b * p.H + h) * p.T + query];
      var weights = Column();
      var pulls = Column();
      var delta = 0.0;
      for (var i = 0u; i < halfHead(); i++) {
        let k = pair(keyAt + own * width(), own, i);
        let v = plainPair(valueAt + own * width(), i);
        let q = pair(queryAt + query * width(), query, i);
        let g = pairOfDOut(outAt, i);
        delta += dot(g, pairOfOut(outAt, i));
        for (var r = 0u; r < LANES; r++) {
          weights[r] += subgroupShuffle(k.x, r) * q.x + subgroupShuffle(k.y, r) * q.y;
          pulls[r] += subgroupShuffle(v.x, r) * g.x + subgroupShuffle(v.y, r) * g.y;
        }
      }
      for (var r = 0u; r < LANES; r++) {
        let counts = q0 + lane >= t0 + r && q0 + lane <= last;
        weights[r] = select(0.0, exp(scale * weights[r] - logTotal), counts);
        pulls[r] = scale * weights[r] * (pulls[r] - delta); // now the score's gradient
      }
      for (var c = 0u; c < LANES; c++) {
        let row = min(q0 + c, last);
        let q = pairs(queryAt + row * width(), row, first);
        let g = pairsOfDOut(((token + row) * p.H + h) * p.D, first);
        for (var r = 0u; r < LANES; r++) {
          dK[r] += subgroupShuffle(pulls[r], c) * q;
          dV[r] += subgroupShuffle(weights[r], c) * g;
        }
      }
    }
  }
  for (var r = 0u; r < LANES && t0 + r <= last; r++) {
    let at = (t0 + r) * width();
    storeTurnedBack(keyAt + at, t0 + r, first, dK[r]);
    store(valueAt + at, first, dV[r]);
  }
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let g = flatGroup(group, groups);
  let first = (g % parts() * LANES + lane) * 2u;
  let t0 = g / parts() % tiles() * LANES;
  let head = g / (parts() * tiles());
  let queries = p.B * p.H;
  if (head < queries) {
    queryGradients(head, t0, first, lane);
  } else if (head - queries < p.B * p.KV) {
    keyGradients(head - queries, t0, first, lane);
  }
}
