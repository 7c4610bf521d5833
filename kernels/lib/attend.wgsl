// One query's attention in one thread: keys come one at a time, and the sums are rescaled whenever a larger score turns
// up (online softmax), so no row of weights is ever held.
// For shaders that have bindings `qkv` and `table` and parameters D and rotary. Source: arXiv 1805.02867.
//#include "math.wgsl"
//#include "head.wgsl"

var<private> q: Head;      // rotated
var<private> y: Head;      // sum of exp(score - largest) v
var<private> total: f32;   // sum of exp(score - largest)
var<private> largest: f32;

/** Starts with the query at qkv[at]. */
fn begin(at: u32, position: u32) {
  load(&q, at, position);
  for (var d = 0u; d < p.D; d++) {
    y[d] = 0.0;
  }
  total = 0.0;
  largest = F32_LOWEST;
}

/** q.k with the key at qkv[at]. */
fn timesKey(at: u32, position: u32) -> f32 {
  var sum = 0.0;
  if (p.rotary != 0u) {
    let half = p.D / 2u;
    for (var i = 0u; i < half; i++) {
      let pair = turn(vec2(qkv[at + i], qkv[at + half + i]), angleOf(position, i));
      sum += q[i] * pair.x + q[half + i] * pair.y;
    }
  } else {
    for (var d = 0u; d < p.D; d++) {
      sum += q[d] * qkv[at + d];
    }
  }
  return sum;
}

/**
 * Takes a key into total, given q.k; a score that is not finite makes it NaN. Returns what y must be multiplied by, and
 * the weight of the key's value.
 */
fn weigh(product: f32) -> vec2<f32> {
  let score = product / sqrt(f32(p.D));
  let next = max(largest, score);
  let shrink = exp(max(largest - next, -80.0));
  let weight = select(noNumber(score), exp(score - next), isFinite(score));
  total = total * shrink + weight;
  largest = next;
  return vec2(shrink, weight);
}

/** Takes the key and the value at these elements of qkv in. */
fn attendTo(keyAt: u32, valueAt: u32, position: u32) {
  let factors = weigh(timesKey(keyAt, position));
  for (var d = 0u; d < p.D; d++) {
    y[d] = factors.x * y[d] + factors.y * qkv[valueAt + d];
  }
}
