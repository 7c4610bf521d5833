// Decoding: the keys (rotated) and values of N new tokens go into the caches, and each token attends to the caches up
// to itself. The first B H N threads make one head of one token each. Its own step's keys and values they read from
// qkv, never from the caches, so they need not wait for the B KV N threads after them, which fill the caches.
//#include "../lib/index.wgsl"
//#include "../lib/attend.wgsl"

struct Params { B: u32, N: u32, H: u32, KV: u32, D: u32, context: u32, rotary: u32, position: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> qkv: array<f32>;
@group(0) @binding(2) var<storage, read> table: array<f32>;
@group(0) @binding(3) var<storage, read_write> cacheK: array<f32>;
@group(0) @binding(4) var<storage, read_write> cacheV: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

/** Query i, counted through [B,H,N]. */
fn attend(i: u32) {
  let n = i % p.N;
  let h = i / p.N % p.H;
  let b = i / (p.N * p.H);
  let kv = h * p.KV / p.H;
  let width = (p.H + 2u * p.KV) * p.D;
  begin((b * p.N + n) * width + h * p.D, p.position + n);

  var at = (b * p.KV + kv) * p.context * p.D;
  for (var j = 0u; j < p.position; j++) {
    var product = 0.0;
    for (var d = 0u; d < p.D; d++) {
      product += q[d] * cacheK[at + d];
    }
    let factors = weigh(product);
    for (var d = 0u; d < p.D; d++) {
      y[d] = factors.x * y[d] + factors.y * cacheV[at + d];
    }
    at += p.D;
  }
  var keyAt = b * p.N * width + (p.H + kv) * p.D;
  for (var j = 0u; j <= n; j++) {
    attendTo(keyAt, keyAt + p.KV * p.D, p.position + j);
    keyAt += width;
  }

  let outAt = ((b * p.N + n) * p.H + h) * p.D;
  for (var d = 0u; d < p.D; d++) {
    out[outAt + d] = y[d] / total;
  }
}

/** Key and value i, counted through [B,KV,N]. */
fn remember(i: u32) {
  let n = i % p.N;
  let kv = i / p.N % p.KV;
  let b = i / (p.N * p.KV);
  let half = p.D / 2u;
  let position = p.position + n;
  let keyAt = (b * p.N + n) * (p.H + 2u * p.KV) * p.D + (p.H + kv) * p.D;
  let valueAt = keyAt + p.KV * p.D;
  let to = ((b * p.KV + kv) * p.context + position) * p.D;
  for (var d = 0u; d < p.D; d++) {
    cacheV[to + d] = qkv[valueAt + d];
    if (p.rotary == 0u) {
      cacheK[to + d] = qkv[keyAt + d];
    } else if (d < half) {
      let pair = turn(vec2(qkv[keyAt + d], qkv[keyAt + half + d]), angleOf(position, d));
      cacheK[to + d] = pair.x;
      cacheK[to + half + d] = pair.y;
    }
  }
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let i = flatGroup(group, groups) * 64u + thread;
  let queries = p.B * p.H * p.N;
  if (i < queries) {
    attend(i);
  } else if (i - queries < p.B * p.KV * p.N) {
    remember(i - queries);
  }
}
