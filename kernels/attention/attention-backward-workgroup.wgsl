// dQkv of causal attention, for GPUs. The weights are made again, p = exp(score - logSumExp); the gradient of a score
// is p (dOut.v - delta) with delta = dOut.out.
// The first B H blocks() workgroups make the gradients of 64 queries of one head each, over the keys up to them; the B
// KV blocks() after them those of 64 keys and their values, over the group's queries from them on. Read before:
// lib/head-rows.wgsl, attention-forward-workgroup.wgsl.
//#include "../lib/index.wgsl"
//#include "../lib/head-rows.wgsl"

struct Params { B: u32, T: u32, H: u32, KV: u32, D: u32, rotary: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> qkv: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> out: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> logSumExp: array<f32>;
@group(0) @binding(5) var<storage, read> dOut: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> dQkv: array<vec4<f32>>;

var<workgroup> tileOf: array<vec2<f32>, TILE>; // of each query in the tile: logSumExp, delta

/** dOut.out of the head at dOut[at]. */
fn deltaOf(at: u32) -> f32 {
  var sum = 0.0;
  for (var j = 0u; j < D4; j++) {
    sum += dot(dOut[at + j], out[at + j]);
  }
  return sum;
}

/** Writes the gradient of a query or key, turned back if that was rotated. */
fn store(at: u32, position: u32, d: Head) {
  for (var j = 0u; j < HALF; j++) {
    var a = d[j];
    var b = d[j + HALF];
    if (p.rotary != 0u) {
      let cosine = table[position * D4 + j];
      let sine = table[position * D4 + HALF + j];
      a = d[j] * cosine + d[j + HALF] * sine;
      b = d[j + HALF] * cosine - d[j] * sine;
    }
    dQkv[at + j] = a;
    dQkv[at + j + HALF] = b;
  }
}

/** Queries t0 .. of head bh, counted through [B,H]. */
fn queryGradients(bh: u32, t0: u32, thread: u32) {
  let last = p.T - 1u;
  let t = min(t0 + thread, last); // all threads go on, to meet at the barriers
  let h = bh % p.H;
  let first = bh / p.H * p.T;
  let queryAt = (first + t) * width() + h * D4;
  let outAt = ((first + t) * p.H + h) * D4;
  let keyAt = first * width() + (p.H + h * p.KV / p.H) * D4;
  let valueAt = keyAt + p.KV * D4;
  let scale = 1.0 / sqrt(f32(p.D));
  let logTotal = logSumExp[bh * p.T + t];
  let delta = deltaOf(outAt);

  var q: Head;
  var pulled: Head; // dOut
  var dQ: Head;
  for (var j = 0u; j < D4; j++) {
    q[j] = scale * rotated(queryAt, t, j);
    pulled[j] = dOut[outAt + j];
  }
  for (var k0 = 0u; k0 < min(t0 + THREADS, p.T); k0 += TILE) {
    workgroupBarrier();
    for (var e = thread; e < TILE * D4; e += THREADS) {
      let key = min(k0 + e / D4, last);
      tileA[e] = rotated(keyAt + key * width(), key, e % D4);
      tileB[e] = qkv[valueAt + key * width() + e % D4];
    }
    workgroupBarrier();
    for (var k = 0u; k < TILE && k0 + k <= t; k++) {
      var score = 0.0;
      var pull = -delta;
      for (var j = 0u; j < D4; j++) {
        score += dot(q[j], tileA[k * D4 + j]);
        pull += dot(pulled[j], tileB[k * D4 + j]);
      }
      let dScore = scale * exp(score - logTotal) * pull;
      for (var j = 0u; j < D4; j++) {
        dQ[j] += dScore * tileA[k * D4 + j];
      }
    }
  }
  if (t0 + thread <= last) {
    store(queryAt, t, dQ);
  }
}

/** Keys and values t0 .. of head bkv, counted through [B,KV]. */
fn keyGradients(bkv: u32, t0: u32, thread: u32) {
  let last = p.T - 1u;
  let t = min(t0 + thread, last); // all threads go on, to meet at the barriers
  let b = bkv / p.KV;
  let kv = bkv % p.KV;
  let keyAt = (b * p.T + t) * width() + (p.H + kv) * D4;
  let valueAt = keyAt + p.KV * D4;
  let scale = 1.0 / sqrt(f32(p.D));
  let heads = p.H / p.KV;

  var k: Head;
  var v: Head;
  var dK: Head;
  var dV: Head;
  for (var j = 0u; j < D4; j++) {
    k[j] = scale * rotated(keyAt, t, j);
    v[j] = qkv[valueAt + j];
  }
  for (var h = kv * heads; h < (kv + 1u) * heads; h++) {
    for (var q0 = t0; q0 < p.T; q0 += TILE) {
      workgroupBarrier();
      for (var e = thread; e < TILE * D4; e += THREADS) {
        let query = min(q0 + e / D4, last);
        tileA[e] = rotated((b * p.T + query) * width() + h * D4, query, e % D4);
        tileB[e] = dOut[((b * p.T + query) * p.H + h) * D4 + e % D4];
      }
      if (thread < TILE) {
        let query = min(q0 + thread, last);
        tileOf[thread] = vec2(logSumExp[(b * p.H + h) * p.T + query], deltaOf(((b * p.T + query) * p.H + h) * D4));
      }
      workgroupBarrier();
      for (var i = 0u; i < TILE && q0 + i <= last; i++) {
        if (q0 + i < t) {
          continue;
        }
        var score = 0.0;
        var pull = -tileOf[i].y;
        for (var j = 0u; j < D4; j++) {
          score += dot(k[j], tileA[i * D4 + j]);
          pull += dot(v[j], tileB[i * D4 + j]);
        }
        let weight = exp(score - tileOf[i].x);
        let dScore = scale * weight * pull;
        for (var j = 0u; j < D4; j++) {
          dK[j] += dScore * tileA[i * D4 + j];
          dV[j] += weight * tileB[i * D4 + j];
        }
      }
    }
  }
  if (t0 + thread <= last) {
    store(keyAt, t, dK);
    for (var j = 0u; j < D4; j++) {
      dQkv[valueAt + j] = dV[j];
    }
  }
}

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let g = flatGroup(group, groups);
  let t0 = g % blocks() * THREADS;
  let head = g / blocks();
  let queries = p.B * p.H;
  if (head < queries) {
    queryGradients(head, t0, thread);
  } else if (head - queries < p.B * p.KV) {
    keyGradients(head - queries, t0, thread);
  }
}
