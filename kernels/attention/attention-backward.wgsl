// dQkv of causal attention. The weights are made again, p = exp(score - logSumExp); the gradient of a score is p
// dOut.(v - out). The first B H T threads make the gradient of one query each, over the keys up to it; the B KV T
// threads after them make those of one key and its value, over the group's queries from it on. Every thread writes its
// own channels of dQkv and sums in a fixed order, at the price of making each weight twice.
//#include "../lib/index.wgsl"
//#include "../lib/head.wgsl"

struct Params { B: u32, T: u32, H: u32, KV: u32, D: u32, rotary: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> qkv: array<f32>;
@group(0) @binding(2) var<storage, read> table: array<f32>;
@group(0) @binding(3) var<storage, read> out: array<f32>;
@group(0) @binding(4) var<storage, read> logSumExp: array<f32>;
@group(0) @binding(5) var<storage, read> dOut: array<f32>;
@group(0) @binding(6) var<storage, read_write> dQkv: array<f32>;

var<private> own: Head;     // the thread's query, or key, rotated
var<private> other: Head;   // the key, or query, that it is being paired with
var<private> dOwn: Head;    // gradient of own
var<private> pulled: Head;  // in a query's thread its dOut; in a key's thread its value
var<private> dValue: Head;  // in a key's thread, gradient of the value

/** Writes dOwn, turned back if own was rotated. */
fn store(at: u32, position: u32) {
  if (p.rotary != 0u) {
    let half = p.D / 2u;
    for (var i = 0u; i < half; i++) {
      let pair = turnBack(vec2(dOwn[i], dOwn[half + i]), angleOf(position, i));
      dQkv[at + i] = pair.x;
      dQkv[at + half + i] = pair.y;
    }
  } else {
    for (var d = 0u; d < p.D; d++) {
      dQkv[at + d] = dOwn[d];
    }
  }
}

/** exp(scaled own.other - logTotal). */
fn weightOf(logTotal: f32) -> f32 {
  var score = 0.0;
  for (var d = 0u; d < p.D; d++) {
    score += own[d] * other[d];
  }
  return exp(score / sqrt(f32(p.D)) - logTotal);
}

/** Query i, counted through [B,H,T]. */
fn queryGradient(i: u32) {
  let t = i % p.T;
  let h = i / p.T % p.H;
  let first = i / (p.T * p.H) * p.T; // row of the sequence's first token
  let width = (p.H + 2u * p.KV) * p.D;
  let queryAt = (first + t) * width + h * p.D;
  let outAt = ((first + t) * p.H + h) * p.D;
  let logTotal = logSumExp[i];

  load(&own, queryAt, t);
  var delta = 0.0; // dOut.out
  for (var d = 0u; d < p.D; d++) {
    dOwn[d] = 0.0;
    pulled[d] = dOut[outAt + d];
    delta += pulled[d] * out[outAt + d];
  }
  var keyAt = first * width + (p.H + h * p.KV / p.H) * p.D;
  for (var j = 0u; j <= t; j++) {
    load(&other, keyAt, j);
    var pull = -delta;
    for (var d = 0u; d < p.D; d++) {
      pull += pulled[d] * qkv[keyAt + p.KV * p.D + d];
    }
    let dScore = weightOf(logTotal) * pull / sqrt(f32(p.D));
    for (var d = 0u; d < p.D; d++) {
      dOwn[d] += dScore * other[d];
    }
    keyAt += width;
  }
  store(queryAt, t);
}

/** Key and value i, counted through [B,KV,T]. */
fn keyGradient(i: u32) {
  let j = i % p.T;
  let kv = i / p.T % p.KV;
  let b = i / (p.T * p.KV);
  let width = (p.H + 2u * p.KV) * p.D;
  let keyAt = (b * p.T + j) * width + (p.H + kv) * p.D;
  let valueAt = keyAt + p.KV * p.D;
  let heads = p.H / p.KV;

  load(&own, keyAt, j);
  for (var d = 0u; d < p.D; d++) {
    dOwn[d] = 0.0;
    dValue[d] = 0.0;
    pulled[d] = qkv[valueAt + d];
  }
  for (var h = kv * heads; h < (kv + 1u) * heads; h++) {
    for (var t = j; t < p.T; t++) {
      let outAt = ((b * p.T + t) * p.H + h) * p.D;
      load(&other, (b * p.T + t) * width + h * p.D, t);
      let weight = weightOf(logSumExp[(b * p.H + h) * p.T + t]);
      var pull = 0.0; // dOut.(v - out)
      for (var d = 0u; d < p.D; d++) {
        let g = dOut[outAt + d];
        pull += g * (pulled[d] - out[outAt + d]);
        dValue[d] += weight * g;
      }
      let dScore = weight * pull / sqrt(f32(p.D));
      for (var d = 0u; d < p.D; d++) {
        dOwn[d] += dScore * other[d];
      }
    }
  }
  store(keyAt, j);
  for (var d = 0u; d < p.D; d++) {
    dQkv[valueAt + d] = dValue[d];
  }
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let i = flatGroup(group, groups) * 64u + thread;
  let queries = p.B * p.H * p.T;
  if (i < queries) {
    queryGradient(i);
  } else if (i - queries < p.B * p.KV * p.T) {
    keyGradient(i - queries);
  }
}
