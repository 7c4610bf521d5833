// A head as D4 vec4s in a thread's registers: D is a multiple of 8, and a constant, so that the loops over a head unroll.
// For shaders that have bindings `qkv` and `table` as arrays of vec4 and parameters H, KV and rotary.

const D4 = 4u; //#param D4  vec4s in a head: D / 4
const HALF = D4 / 2u;

alias Head = array<vec4<f32>, D4>;

/** vec4s of a token's row in qkv. */
fn width() -> u32 {
  return (p.H + 2u * p.KV) * D4;
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
