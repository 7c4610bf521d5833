// correction = [1 - beta1^t, 1 - beta2^t] with t = updates - skipped[0], which then counts this update if it is to be
// skipped: norm[1] is 0. A thread makes it. The powers are exponentials of t log(beta), and near 0 the difference is a
// series, which does not cancel; as long as nothing was skipped, the host's numbers are taken.
//#include "../lib/math.wgsl"

struct Params { updates: f32, correction1: f32, correction2: f32, decay1: f32, decay2: f32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> norm: array<f32>;
@group(0) @binding(2) var<storage, read_write> skipped: array<f32>;
@group(0) @binding(3) var<storage, read_write> correction: array<f32>;

/** 1 - exp(-x) for x >= 0. */
fn oneMinusPower(x: f32) -> f32 {
  let series = x * (1.0 - x / 2.0 * (1.0 - x / 3.0 * (1.0 - x / 4.0 * (1.0 - x / 5.0 * (1.0 - x / 6.0)))));
  return select(1.0 - exp(-min(x, 80.0)), series, x < 0.35);
}

@compute @workgroup_size(1)
fn main() {
  let before = skipped[0];
  let t = larger(1.0, p.updates - before);
  correction[0] = select(oneMinusPower(t * p.decay1), p.correction1, before == 0.0);
  correction[1] = select(oneMinusPower(t * p.decay2), p.correction2, before == 0.0);
  skipped[0] = before + select(1.0, 0.0, norm[1] > 0.0);
}
