// Several threads to a row, or to whatever one result is summed from. A workgroup of THREADS takes THREADS / SHARE
// rows; number `lane` of a row's threads takes elements lane, lane + SHARE, ... and a tree in workgroup memory, always
// in the same order, joins what they found. As it stands nothing is shared and there is no barrier, which on a software
// adapter would cost up to 20 times the rest of a small kernel; sharedRows() in kernels/wgsl.ts makes the program for
// GPUs.

//#include "math.wgsl"

const THREADS = 64u; //#param THREADS  in a workgroup
const SHARE = 1u; //#param SHARE  to a row: a power of two
const COLUMNS = 64u; //#param COLUMNS  in a workgroup, when it is columns that are summed; the others of THREADS share them

/** The sum of what the row's threads bring. Every thread of the workgroup must call it. */
fn sumOfRow(thread: u32, value: f32) -> f32 { return value; } //#param ROW_SUM

/** The largest of what they bring; NaN if one of it is. */
fn largestOfRow(thread: u32, value: f32) -> f32 { return value; } //#param ROW_LARGEST

/** The sum of what the column's threads bring: thread, thread + COLUMNS, ... */
fn sumOfColumn(thread: u32, value: f32) -> f32 { return value; } //#param COLUMN_SUM

var<workgroup> pool: array<f32, THREADS>;

/** The sum over `members` threads, `step` apart. */
fn treeSum(thread: u32, value: f32, members: u32, step: u32) -> f32 {
  let lane = thread / step % members;
  pool[thread] = value;
  for (var half = members / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) {
      pool[thread] += pool[thread + half * step];
    }
  }
  workgroupBarrier();
  let total = pool[thread - lane * step];
  workgroupBarrier(); // before the pool is used again
  return total;
}

fn treeLargest(thread: u32, value: f32) -> f32 {
  let lane = thread % SHARE;
  pool[thread] = value;
  for (var half = SHARE / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) {
      pool[thread] = larger(pool[thread], pool[thread + half]);
    }
  }
  workgroupBarrier();
  let largest = pool[thread - lane];
  workgroupBarrier();
  return largest;
}
