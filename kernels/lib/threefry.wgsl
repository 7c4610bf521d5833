// Threefry-2x32 with 20 rounds, bit for bit as in kernels/random/threefry.ts.
// Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).

const ROTATIONS_ODD = vec4<u32>(13u, 15u, 26u, 6u);
const ROTATIONS_EVEN = vec4<u32>(17u, 29u, 16u, 24u);

/** key and counter -> two random words. */
fn threefry2x32(key: vec2<u32>, counter: vec2<u32>) -> vec2<u32> {
  let k0 = key.x;
  let k1 = key.y;
  let k2 = k0 ^ k1 ^ 0x1bd11bdau;
  var s = counter + key;
  s = fourRounds(s, ROTATIONS_ODD) + vec2<u32>(k1, k2 + 1u);
  s = fourRounds(s, ROTATIONS_EVEN) + vec2<u32>(k2, k0 + 2u);
  s = fourRounds(s, ROTATIONS_ODD) + vec2<u32>(k0, k1 + 3u);
  s = fourRounds(s, ROTATIONS_EVEN) + vec2<u32>(k1, k2 + 4u);
  return fourRounds(s, ROTATIONS_ODD) + vec2<u32>(k2, k0 + 5u);
}

fn fourRounds(state: vec2<u32>, by: vec4<u32>) -> vec2<u32> {
  return mixRound(mixRound(mixRound(mixRound(state, by.x), by.y), by.z), by.w);
}

fn mixRound(state: vec2<u32>, by: u32) -> vec2<u32> {
  let x = state.x + state.y;
  return vec2<u32>(x, ((state.y << by) | (state.y >> (32u - by))) ^ x);
}
