// Leaves of each row of logits [B, V] what is likely enough, see keep-likely.ts. Exponentials go into `out` first; the
// floor of top-p is then found bit by bit, as the largest number that those above it together outweigh topP. A thread
// makes one row. Read after: sample.wgsl.
//#include "../lib/index.wgsl"
//#include "../lib/math.wgsl"
//#include "../lib/order.wgsl"

struct Params { B: u32, V: u32, temperature: f32, topP: f32, gap: f32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

/** The largest number such that the weights of all logits that reach it add up to `mass`. */
fn heaviest(start: u32, mass: f32) -> f32 {
  var bound = 0u;
  for (var bit = SIGN; bit > 0u; bit >>= 1u) {
    let higher = bound | bit;
    var sum = 0.0;
    for (var at = start; at < start + p.V; at++) {
      sum += select(0.0, out[at], orderOf(logits[at]) >= higher);
    }
    if (sum >= mass) {
      bound = higher;
    }
  }
  return floatOf(bound);
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let row = flatGroup(group, groups) * 64u + thread;
  if (row >= p.B) {
    return;
  }
  let start = row * p.V;
  let end = start + p.V;
  var most = F32_LOWEST;
  var isDistribution = true;
  for (var at = start; at < end; at++) {
    let bits = bitcast<u32>(logits[at]);
    isDistribution = isDistribution && ((bits & 0x7fffffffu) < 0x7f800000u || bits == MINUS_INFINITY);
    if (bits != MINUS_INFINITY) {
      most = max(most, logits[at]);
    }
  }
  var floor = most - p.gap;
  if (p.topP < 1.0) {
    var total = 0.0;
    for (var at = start; at < end; at++) {
      let isThere = bitcast<u32>(logits[at]) != MINUS_INFINITY;
      out[at] = expOf(max(select(-80.0, (logits[at] - most) / p.temperature, isThere), -80.0));
      total += out[at];
    }
    floor = max(floor, heaviest(start, p.topP * total));
  }
  var nothing = MINUS_INFINITY; // a variable: the language has no such number
  for (var at = start; at < end; at++) {
    let leaves = isDistribution && logits[at] < floor;
    out[at] = bitcast<f32>(select(bitcast<u32>(logits[at]), nothing, leaves));
  }
}
