// Attention for GPUs: a thread holds one row (a query's head, or a key's) in registers, and the workgroup's 64 threads
// go together through tiles of TILE of the others, which they load into workgroup memory once. Heads are D4 vec4s: D is
// a multiple of 8, and a constant, so that the loops over a head unroll and its arrays are registers.
// For shaders that have bindings `qkv` and `table` as arrays of vec4 and parameters B, T, H, KV, D and rotary.

const D4 = 4u; //#param D4  vec4s in a head: D / 4
const TILE = 32u; //#param TILE  tokens in a tile: a multiple of 4
const HALF = D4 / 2u;
const THREADS = 64u;

alias Head = array<vec4<f32>, D4>;

var<workgroup> tileA: array<vec4<f32>, TILE * D4>; // keys, or queries
var<workgroup> tileB: array<vec4<f32>, TILE * D4>; // values, or dOut

/** vec4s of a token's row in qkv. */
fn width() -> u32 {
  return (p.H + 2u * p.KV) * D4;
}

/** Workgroups along the tokens of a sequence. */
fn blocks() -> u32 {
  return (p.T + THREADS - 1u) / THREADS;
}

/** vec4 j of the query or key at qkv[at], rotated if asked. */
fn rotated(at: u32, position: u32, j: u32) -> vec4<f32> {
  let x = qkv[at + j];
  if (p.rotary == 0u) {
    return x;
  }
  let other = qkv[at + (j + HALF) % D4];
  let cosine = table[position * D4 + j % HALF];
  let sine = table[position * D4 + HALF + j % HALF];
  return x * cosine + select(other, -other, j < HALF) * sine;
}
