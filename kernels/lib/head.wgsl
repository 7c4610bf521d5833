// One head of one token, held by a thread. For shaders that have bindings `qkv` and `table` and parameters D and
// rotary.
//#include "rotary.wgsl"

const ROOM = 128u; //#param ROOM  channels that a thread has room for: the size of a head, by attention.ts
alias Head = array<f32, ROOM>;

/** Reads the query or key at qkv[at], rotated if asked. */
fn load(to: ptr<private, Head>, at: u32, position: u32) {
  if (p.rotary != 0u) {
    let half = p.D / 2u;
    for (var i = 0u; i < half; i++) {
      let pair = turn(vec2(qkv[at + i], qkv[at + half + i]), angleOf(position, i));
      (*to)[i] = pair.x;
      (*to)[half + i] = pair.y;
    }
  } else {
    for (var d = 0u; d < p.D; d++) {
      (*to)[d] = qkv[at + d];
    }
  }
}
