// The sum of exponentials under a softmax, relative to the largest element so that nothing overflows.
// The file that includes this one says where elements are read: fn element(at: u32) -> f32.
//#include "math.wgsl"

/** sum(exp(x)) = exp(highest) * total; 1 <= total <= count. */
struct ExpSum { highest: f32, total: f32 }

const EXP_RUN = 64u;

/** Of `count` elements from `start`. Runs of 64 are summed first and then added, which keeps rounding small. */
fn expSum(start: u32, count: u32) -> ExpSum {
  let end = start + count;
  var highest = F32_LOWEST;
  for (var at = start; at < end; at++) {
    highest = max(highest, element(at));
  }
  var total = 0.0;
  for (var first = start; first < end; first += EXP_RUN) {
    var part = 0.0;
    for (var at = first; at < min(first + EXP_RUN, end); at++) {
      part += exp(element(at) - highest);
    }
    total += part;
  }
  return ExpSum(highest, total);
}
