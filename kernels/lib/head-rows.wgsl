// Attention for GPUs: a thread holds one row (a query's head, or a key's) in registers, and the workgroup's 64 threads
// go together through tiles of TILE of the others, which they load into workgroup memory once.
// For shaders that have bindings `qkv` and `table` as arrays of vec4 and parameters B, T, H, KV, D and rotary.
//#include "head-vectors.wgsl"

const TILE = 32u; //#param TILE  tokens in a tile: a multiple of 4
const THREADS = 64u;

var<workgroup> tileA: array<vec4<f32>, TILE * D4>; // keys, or queries
var<workgroup> tileB: array<vec4<f32>, TILE * D4>; // values, or dOut

/** Workgroups along the tokens of a sequence. */
fn blocks() -> u32 {
  return (p.T + THREADS - 1u) / THREADS;
}
