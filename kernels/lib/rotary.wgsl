// Rotary embedding: channels i and i + D/2 of a head are a pair, turned by an angle whose cosine and sine the table
// [context,D] holds. For shaders that have a binding `table` and a parameter D.

/** Cosine and sine of the angle of pair i at a position. */
fn angleOf(position: u32, i: u32) -> vec2<f32> {
  let at = position * p.D + i;
  return vec2(table[at], table[at + p.D / 2u]);
}

fn turn(pair: vec2<f32>, angle: vec2<f32>) -> vec2<f32> {
  return vec2(pair.x * angle.x - pair.y * angle.y, pair.y * angle.x + pair.x * angle.y);
}

fn turnBack(pair: vec2<f32>, angle: vec2<f32>) -> vec2<f32> {
  return turn(pair, vec2(angle.x, -angle.y));
}
