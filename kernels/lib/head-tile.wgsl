// Attention in tiles, for software adapters: a subgroup pairs LANES rows with LANES columns (queries with keys, or keys
// with queries), and lane c holds column c of the tile of scores in registers. What a lane reads it shares with the
// others by subgroupShuffle(): it reads its own row and its own column once, instead of every row.
// The channels of a head are taken as pairs, i and half + i, since rotary turns those. A lane makes two pairs of the
// results' rows: `first` is its first. A head of more than 4 LANES channels takes several subgroups, each of which
// makes the scores again. For shaders that have bindings `qkv` and `table` and parameters B, T, H, KV, D and rotary.
// Where there is no channel half + i, it counts as 0.
//#include "rotary.wgsl"

const LANES = 8u; //#param LANES  in a subgroup: 4 or 8

alias Column = array<f32, LANES>;     // of a tile: a number for each row
// of each row two pairs: channels first, first + 1, half + first, half + first + 1
alias Rows = array<vec4<f32>, LANES>;

fn halfHead() -> u32 {
  return (p.D + 1u) / 2u;
}

/** Subgroups that share the channels of a head. */
fn parts() -> u32 {
  return (halfHead() + 2u * LANES - 1u) / (2u * LANES);
}

/** Subgroups along the tokens of a sequence. */
fn tiles() -> u32 {
  return (p.T + LANES - 1u) / LANES;
}

/** Elements of a token's row in qkv. */
fn width() -> u32 {
  return (p.H + 2u * p.KV) * p.D;
}

/** Pair i of the value at qkv[at]. */
fn plainPair(at: u32, i: u32) -> vec2<f32> {
  let other = halfHead() + i;
  return vec2(qkv[at + i], select(0.0, qkv[at + other], other < p.D));
}

/** Pair i of the query or key at qkv[at], rotated if asked. */
fn pair(at: u32, position: u32, i: u32) -> vec2<f32> {
  let plain = plainPair(at, i);
  if (p.rotary == 0u) {
    return plain;
  }
  return turn(plain, angleOf(position, i));
}

/** Pairs i and i + 1 of a value; beyond the last pair, that one again. */
fn plainPairs(at: u32, i: u32) -> vec4<f32> {
  let last = halfHead() - 1u;
  let a = plainPair(at, min(i, last));
  let b = plainPair(at, min(i + 1u, last));
  return vec4(a.x, b.x, a.y, b.y);
}

/** Pairs i and i + 1 of a query or key, rotated if asked. */
fn pairs(at: u32, position: u32, i: u32) -> vec4<f32> {
  let last = halfHead() - 1u;
  let a = pair(at, position, min(i, last));
  let b = pair(at, position, min(i + 1u, last));
  return vec4(a.x, b.x, a.y, b.y);
}
