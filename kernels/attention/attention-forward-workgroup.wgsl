// out = softmax(q k' / sqrt(D)) v over the keys up to the query's own, and logSumExp of its scores, for GPUs.
// A workgroup makes 64 queries of one head, a thread each; it takes the keys four at a time and rescales its sums when
// a larger score turns up (online softmax). Read before: lib/head-rows.wgsl; attention-forward.wgsl, without workgroup
// memory. Source: arXiv 2307.08691.
//#include "../lib/index.wgsl"
//#include "../lib/math.wgsl"
//#include "../lib/head-rows.wgsl"

struct Params { B: u32, T: u32, H: u32, KV: u32, D: u32, rotary: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> qkv: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> logSumExp: array<f32>;

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let g = flatGroup(group, groups);
  let bh = g / blocks(); // counted through [B,H]
  if (bh >= p.B * p.H) {
    return;
  }
  let t0 = g % blocks() * THREADS;
  let last = p.T - 1u;
  let t = min(t0 + thread, last); // all threads go on, to meet at the barriers
  let h = bh % p.H;
  let first = bh / p.H * p.T; // the sequence's first token
  let queryAt = (first + t) * width() + h * D4;
  let keyAt = first * width() + (p.H + h * p.KV / p.H) * D4;
  let valueAt = keyAt + p.KV * D4;
  let scale = 1.0 / sqrt(f32(p.D));

  var q: Head;
  var y: Head; // sum of exp(score - largest) v
  for (var j = 0u; j < D4; j++) {
    q[j] = scale * rotated(queryAt, t, j);
  }
  var largest = F32_LOWEST;
  var total = 0.0; // sum of exp(score - largest)
  for (var k0 = 0u; k0 < min(t0 + THREADS, p.T); k0 += TILE) {
    workgroupBarrier();
    for (var e = thread; e < TILE * D4; e += THREADS) {
      let key = min(k0 + e / D4, last);
      tileA[e] = rotated(keyAt + key * width(), key, e % D4);
      tileB[e] = qkv[valueAt + key * width() + e % D4];
    }
    workgroupBarrier();
    for (var k = 0u; k < TILE && k0 + k <= t; k += 4u) {
      var score = vec4<f32>();
      for (var j = 0u; j < D4; j++) {
        let x = q[j];
        score += vec4(
          dot(x, tileA[k * D4 + j]),
          dot(x, tileA[(k + 1u) * D4 + j]),
          dot(x, tileA[(k + 2u) * D4 + j]),
          dot(x, tileA[(k + 3u) * D4 + j]),
        );
      }
      let counts = vec4<u32>(k0 + k) + vec4<u32>(0u, 1u, 2u, 3u) <= vec4<u32>(t);
      score = select(vec4<f32>(F32_LOWEST), score, counts);
      let next = max(largest, max(max(score.x, score.y), max(score.z, score.w)));
      let shrink = exp(max(largest - next, -80.0));
      let isFine = (bitcast<vec4<u32>>(score) & vec4<u32>(0x7f800000u)) != vec4<u32>(0x7f800000u);
      let power = select(vec4(noNumber(score.x)), exp(max(score - next, vec4<f32>(-80.0))), isFine);
      let weight = select(vec4<f32>(), power, counts);
      largest = next;
      total = total * shrink + weight.x + weight.y + weight.z + weight.w;
      for (var j = 0u; j < D4; j++) {
        y[j] = y[j] * shrink + weight.x * tileB[k * D4 + j] + weight.y * tileB[(k + 1u) * D4 + j]
          + weight.z * tileB[(k + 2u) * D4 + j] + weight.w * tileB[(k + 3u) * D4 + j];
      }
    }
  }
  if (t0 + thread <= last) {
    for (var j = 0u; j < D4; j++) {
      out[((first + t) * p.H + h) * D4 + j] = y[j] / total;
    }
    logSumExp[bh * p.T + t] = largest + logOf(total);
  }
}
