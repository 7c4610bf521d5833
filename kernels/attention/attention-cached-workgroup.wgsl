// Decoding for GPUs, where one thread per query would leave the card idle: a workgroup makes one head of one token. Its
// 64 threads take the keys by turns, each with sums of its own (online softmax), which are joined as a tree, always in
// the same order. The workgroups after those of the queries fill the caches, a vec4 a thread; the step's own keys and
// values are read from qkv, never from the caches, so nobody waits. Read before: attention-cached.wgsl, the same with a
// thread per query; lib/head-vectors.wgsl.
//#include "../lib/index.wgsl"
//#include "../lib/math.wgsl"
//#include "../lib/head-vectors.wgsl"

struct Params { B: u32, N: u32, H: u32, KV: u32, D: u32, context: u32, rotary: u32, position: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> qkv: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> cacheK: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> cacheV: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> out: array<vec4<f32>>;

const THREADS = 64u;

var<workgroup> numbers: array<f32, THREADS>;
var<workgroup> heads: array<vec4<f32>, THREADS / 2u * D4>;

// of this thread's keys
var<private> q: Head;        // rotated, and divided by sqrt(D)
var<private> y: Head;        // sum of exp(score - largest) v
var<private> total: f32;     // sum of exp(score - largest)
var<private> largest: f32;

/**
 * Takes a key in, given its score, and returns what y must be multiplied by and the weight of its value; a score that
 * is not finite makes total NaN.
 */
fn weigh(score: f32) -> vec2<f32> {
  let next = max(largest, score);
  let shrink = exp(max(largest - next, -80.0));
  let weight = select(noNumber(score), exp(max(score - next, -80.0)), isFinite(score));
  total = total * shrink + weight;
  largest = next;
  return vec2(shrink, weight);
}

/** The largest score of all threads. */
fn largestOfAll(thread: u32) -> f32 {
  numbers[thread] = largest;
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (thread < half) {
      numbers[thread] = max(numbers[thread], numbers[thread + half]);
    }
  }
  return workgroupUniformLoad(&numbers[0]);
}

/** Adds the other threads' total and y to thread 0's. */
fn join(thread: u32) {
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (thread >= half && thread < 2u * half) {
      numbers[thread - half] = total;
      for (var j = 0u; j < D4; j++) {
        heads[(thread - half) * D4 + j] = y[j];
      }
    }
    workgroupBarrier();
    if (thread < half) {
      total += numbers[thread];
      for (var j = 0u; j < D4; j++) {
        y[j] += heads[thread * D4 + j];
      }
    }
  }
}

/** Query i, counted through [B,H,N]. */
fn attend(i: u32, thread: u32) {
  let n = i % p.N;
  let h = i / p.N % p.H;
  let b = i / (p.N * p.H);
  let kv = h * p.KV / p.H;
  let queryAt = (b * p.N + n) * width() + h * D4;
  let scale = 1.0 / sqrt(f32(p.D));
  for (var j = 0u; j < D4; j++) {
    q[j] = scale * rotated(queryAt, p.position + n, j);
    y[j] = vec4<f32>();
  }
  total = 0.0;
  largest = F32_LOWEST;

  let cacheAt = (b * p.KV + kv) * p.context * D4;
  let keyAt = b * p.N * width() + (p.H + kv) * D4;
  for (var k = thread; k <= p.position + n; k += THREADS) {
    let isCached = k < p.position;
    let inCache = cacheAt + k * D4;
    let inStep = keyAt + (k - p.position) * width(); // beyond any array when it is cached: not read then
    var score = 0.0;
    for (var j = 0u; j < D4; j++) {
      if (isCached) {
        score += dot(q[j], cacheK[inCache + j]);
      } else {
        score += dot(q[j], rotated(inStep, k, j));
      }
    }
    let factors = weigh(score);
    for (var j = 0u; j < D4; j++) {
      if (isCached) {
        y[j] = factors.x * y[j] + factors.y * cacheV[inCache + j];
      } else {
        y[j] = factors.x * y[j] + factors.y * qkv[inStep + p.KV * D4 + j];
      }
    }
  }

  let shrink = exp(max(largest - largestOfAll(thread), -80.0));
  total *= shrink;
  for (var j = 0u; j < D4; j++) {
    y[j] *= shrink;
  }
  join(thread);
  if (thread == 0u) {
    for (var j = 0u; j < D4; j++) {
      out[((b * p.N + n) * p.H + h) * D4 + j] = y[j] / total;
    }
  }
}

/** vec4 e of the new keys and values, counted through [B,KV,N,D4]. */
fn remember(e: u32) {
  let j = e % D4;
  let n = e / D4 % p.N;
  let kv = e / (D4 * p.N) % p.KV;
  let b = e / (D4 * p.N * p.KV);
  let keyAt = (b * p.N + n) * width() + (p.H + kv) * D4;
  let to = ((b * p.KV + kv) * p.context + p.position + n) * D4 + j;
  cacheK[to] = rotated(keyAt, p.position + n, j);
  cacheV[to] = qkv[keyAt + p.KV * D4 + j];
}

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let g = flatGroup(group, groups);
  let queries = p.B * p.H * p.N;
  if (g < queries) {
    attend(g, thread);
    return;
  }
  let e = (g - queries) * THREADS + thread;
  if (e < p.B * p.KV * p.N * D4) {
    remember(e);
  }
}
