// norm = [ ||x||, min(1, limit / ||x||) ]; limit 0 means no limit; when ||x|| is not finite, norm[1] is 0. One workgroup of 256 threads: thread t adds the squares of elements
// t, t + 256, ... in order, 64 of them at a time to keep rounding small; then a tree adds the threads' sums. The partition is a constant,
// so the result does not change with the size of the machine.

struct Params { n: u32, limit: f32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> norm: array<f32>;

const THREADS = 256u;
const RUN = 64u * THREADS;

var<workgroup> sums: array<f32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) thread: u32) {
  var total = 0.0;
  for (var start = thread; start < p.n; start += RUN) {
    let end = min(start + RUN, p.n);
    var part = 0.0;
    for (var i = start; i < end; i += THREADS) {
      part += x[i] * x[i];
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
  if (thread == 0u) {
    let length = sqrt(sums[0]);
    norm[0] = length;
    norm[1] = 1.0;
    if (p.limit > 0.0 && length > p.limit) {
      norm[1] = p.limit / length;
    }
    if ((bitcast<u32>(length) & 0x7f800000u) == 0x7f800000u) { // infinite, or no number: compilers may drop any other test
      norm[1] = 0.0;
    }
  }
}
