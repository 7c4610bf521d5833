// Floats as integers of the same order, so that a bound can be found bit by bit.

const SIGN = 0x80000000u;
const MINUS_INFINITY = 0xff800000u; // as bits

fn orderOf(x: f32) -> u32 {
  let bits = bitcast<u32>(x);
  return select(bits | SIGN, ~bits, bits >= SIGN);
}

fn floatOf(order: u32) -> f32 {
  return bitcast<f32>(select(~order, order ^ SIGN, order >= SIGN));
}
