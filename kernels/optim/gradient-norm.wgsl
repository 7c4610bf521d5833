// norm = [ ||x||, min(1, limit / ||x||) ]; limit 0 means no limit but LARGEST; when ||x|| is not finite, norm[1] is 0.
// One workgroup of 256 threads: thread t adds the squares of elements t, t + 256, ... in order, 64 of them at a time to
// keep rounding small; then a tree adds the threads' sums. The partition is a constant, so the result does not change
// with the size of the machine. So few threads would wait for memory at each element: they ask for 32 before they use
// the first. Where the sum is out of range it is made again, of the numbers times 2^80 or 2^-80.
//#include "../lib/math.wgsl"

struct Params { n: u32, limit: f32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> norm: array<f32>;

const THREADS = 256u;
const RUN = 64u * THREADS;
const AT_ONCE = 32u; // elements that a thread asks for
const LEAST = 1e-20; // of a sum of squares: below, squares of some importance may have vanished
const LARGEST = 1e18; // whose square can be held
const SHRINK = 8.271806125530277e-25; // 2^-80

var<workgroup> sums: array<f32, THREADS>;

/** The sum of the squares of x times a power of two, for all threads. */
fn squares(thread: u32, by: f32) -> f32 {
  var total = 0.0;
  for (var start = thread; start < p.n; start += RUN) {
    let end = min(start + RUN, p.n);
    var part = 0.0;
    for (var first = start; first < end; first += AT_ONCE * THREADS) {
      var some: array<f32, AT_ONCE>;
      for (var k = 0u; k < AT_ONCE; k++) {
        let i = first + k * THREADS;
        some[k] = select(0.0, x[min(i, p.n - 1u)] * by, i < p.n);
      }
      for (var k = 0u; k < AT_ONCE; k++) {
        part += some[k] * some[k];
      }
    }
    total += part;
  }
  sums[thread] = total;
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (thread < half) {
      sums[thread] += sums[thread + half];
    }
  }
  return workgroupUniformLoad(&sums[0]);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) thread: u32) {
  let total = squares(thread, 1.0);
  var length = sqrt(total);
  if (!isFinite(total) || total < LEAST) {
    let by = select(SHRINK, 1.0 / SHRINK, total < LEAST);
    length = sqrt(squares(thread, by)) / by;
  }
  if (thread == 0u) {
    let limit = min(select(LARGEST, p.limit, p.limit > 0.0), LARGEST);
    norm[0] = length;
    norm[1] = select(1.0, limit / length, length > limit);
    if (!isFinite(length)) {
      norm[1] = 0.0;
    }
  }
}
