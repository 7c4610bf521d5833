// One token per row of logits [B, V], appended to tokens [B, T] at column `position` and put into next [B]: the largest
// of logit / temperature + Gumbel noise among the topK largest logits (temperature 0: the largest logit), the first of
// equals. A token that stands there already (>= 0) is kept. `force` and `stop` as in random.ts; -1 of logits that are no
// distribution. A thread makes one row.
//#include "../lib/index.wgsl"
//#include "../lib/math.wgsl"
//#include "../lib/order.wgsl"
//#include "../lib/threefry.wgsl"

struct Params {
  B: u32, V: u32, T: u32, position: u32, first: u32,
  temperature: f32, topK: u32, force: i32, stop: i32,
  key0: u32, key1: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read_write> tokens: array<i32>;
@group(0) @binding(3) var<storage, read_write> next: array<i32>;

/**
 * A bound that leaves the k largest of a row, and what equals the last of them: found bit by bit, from the highest
 * down.
 */
fn floorOf(start: u32, k: u32) -> f32 {
  var bound = 0u;
  for (var bit = SIGN; bit > 0u; bit >>= 1u) {
    let higher = bound | bit;
    var count = 0u;
    for (var at = start; at < start + p.V; at++) {
      count += select(0u, 1u, orderOf(logits[at]) >= higher);
    }
    if (count >= k) {
      bound = higher;
    }
    if (count == k) {
      break;
    }
  }
  return floatOf(bound);
}

/** -log(1 - q) for q in (0, 0.5], where a driver's log is poor: 2 atanh(s) as a series in s = q / (2 - q) <= 1/3. */
fn minusLogOneMinus(q: f32) -> f32 {
  let s = q / (2.0 - q);
  let t = s * s;
  let tail = t * (1.0 / 9.0 + t * (1.0 / 11.0 + t * (1.0 / 13.0 + t / 15.0)));
  return 2.0 * s * (1.0 + t * (1.0 / 3.0 + t * (1.0 / 5.0 + t * (1.0 / 7.0 + tail))));
}

/**
 * Standard Gumbel noise, -log(-log(u)), with u = (n + 0.5) / 2^24 from the upper 24 bits; 1 - u is exact where u is
 * not.
 */
fn gumbel(bits: u32) -> f32 {
  let n = bits >> 8u;
  if (n < 0x800000u) {
    return -log(-log((f32(n) + 0.5) / 16777216.0));
  }
  return -log(minusLogOneMinus((f32(0xffffffu - n) + 0.5) / 16777216.0));
}

fn draw(row: u32) -> i32 {
  let start = row * p.V;
  var lowest = F32_LOWEST;
  if (p.topK > 0u && p.topK < p.V) {
    lowest = floorOf(start, p.topK);
  }
  var best = F32_LOWEST;
  var token = -1;
  var isDistribution = true;
  for (var v = 0u; v < p.V; v++) {
    let logit = logits[start + v];
    let bits = bitcast<u32>(logit);
    isDistribution = isDistribution && ((bits & 0x7fffffffu) < 0x7f800000u || bits == MINUS_INFINITY);
    if (logit >= lowest && bits != MINUS_INFINITY) {
      var score = logit;
      if (p.temperature > 0.0) {
        score = logit / p.temperature + gumbel(threefry2x32(vec2<u32>(p.key0, p.key1), vec2<u32>(start + v, p.position)).x);
      }
      if (token < 0 || score > best) {
        best = score;
        token = i32(v);
      }
    }
  }
  return select(-1, token, isDistribution);
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let row = flatGroup(group, groups) * 64u + thread;
  if (row < p.B) {
    var token = p.force;
    if (p.stop >= 0 && p.position > p.first && tokens[row * p.T + p.position - 1u] == p.stop) {
      token = p.stop;
    }
    let given = tokens[row * p.T + p.position];
    if (given >= 0) {
      token = given;
    }
    if (token < 0) {
      token = draw(row);
    }
    tokens[row * p.T + p.position] = token;
    next[row] = token;
  }
}
