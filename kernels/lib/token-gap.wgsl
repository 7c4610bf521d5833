// The gap between two models' log-probabilities of a token, and the weight that it makes before clipping.
// For shaders that have bindings reference, model, targets and parameters T, scale, centre.
//#include "math.wgsl"

fn gap(at: u32) -> f32 {
  return reference[at] - model[at];
}

/**
 * Over the counted tokens of the row that begins at `start`; 0 when there are none, or when rows are not to be centred.
 */
fn meanGap(start: u32) -> f32 {
  var total = 0.0;
  var count = 0u;
  for (var at = start; at < start + p.T; at++) {
    if (targets[at] >= 0) {
      total += gap(at);
      count++;
    }
  }
  return select(0.0, total / f32(max(count, 1u)), p.centre != 0u);
}

fn unclipped(at: u32, mean: f32) -> f32 {
  return 2.0 * logistic(p.scale * (gap(at) - mean));
}
