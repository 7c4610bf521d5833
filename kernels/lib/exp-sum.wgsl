// The sum of exponentials under a softmax, relative to the largest element so that nothing overflows.
// The file that includes this one says where elements are read: fn element(at: u32) -> f32.
//#include "math.wgsl"
//#include "share.wgsl"

/**
 * sum(exp(x)) = exp(highest) * total; 1 <= total <= count, or NaN: of an x that is NaN or infinite, or when all are
 * -infinity.
 */
struct ExpSum { highest: f32, total: f32 }

const EXP_RUN = 64u;

/**
 * Of `count` elements from `start`, by the row's threads. A thread sums runs of 64 first and then adds them, which
 * keeps rounding small.
 */
fn expSum(start: u32, count: u32, thread: u32) -> ExpSum {
  let end = start + count;
  let begin = start + thread % SHARE;
  var highest = F32_LOWEST;
  for (var at = begin; at < end; at += SHARE) {
    highest = larger(highest, element(at));
  }
  highest = largestOfRow(thread, highest);
  var total = 0.0;
  for (var first = begin; first < end; first += EXP_RUN * SHARE) {
    var part = 0.0;
    for (var at = first; at < min(first + EXP_RUN * SHARE, end); at += SHARE) {
      part += exp(element(at) - highest);
    }
    total += part;
  }
  total = sumOfRow(thread, total);
  return ExpSum(highest, select(noNumber(highest), total, isFinite(highest) && total > 0.0));
}

/** log(total). */
fn logOfTotal(sum: ExpSum) -> f32 {
  return select(log(sum.total), sum.total, isNotANumber(sum.total));
}
