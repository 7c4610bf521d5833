// Constants and functions that every driver computes alike. WGSL may assume finite maths: there are no infinities here,
// and what is not a number is known by its bits, since a compiler may take `x != x` for false, and min() and max() may
// drop one operand that is none.

const F32_LOWEST = -3.4028234e38;

/** The bits of a NaN. */
const NOT_A_NUMBER = 0x7fc00000u;

fn isNotANumber(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

/** Whether x is neither NaN nor infinite. */
fn isFinite(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u;
}

/** The smaller of x and a constant; NaN stays. */
fn atMost(x: f32, limit: f32) -> f32 {
  return select(min(x, limit), x, isNotANumber(x));
}

/** The larger of two; NaN if one of them is. */
fn larger(a: f32, b: f32) -> f32 {
  return select(select(max(a, b), b, isNotANumber(b)), a, isNotANumber(a));
}

/** The smaller of two; NaN if one of them is. */
fn smaller(a: f32, b: f32) -> f32 {
  return select(select(min(a, b), b, isNotANumber(b)), a, isNotANumber(a));
}

/** A NaN; of something that is only known when the shader runs, since in a constant WGSL refuses it. */
fn noNumber(some: f32) -> f32 {
  return bitcast<f32>(NOT_A_NUMBER | (bitcast<u32>(some) & 1u));
}

/** exp(x), which is not asked where it overflows, nor of NaN: a driver may return anything. */
fn expOf(x: f32) -> f32 {
  let power = select(exp(min(x, 88.72)), x * -F32_LOWEST, x > 88.72); // the product is infinite
  return select(power, x, isNotANumber(x));
}

/** log(x), which is asked of normal x > 0 alone; what is smaller counts as 0. */
fn logOf(x: f32) -> f32 {
  let bits = bitcast<u32>(x);
  let magnitude = bits & 0x7fffffffu;
  if (magnitude < 0x00800000u) {
    return bitcast<f32>(0xff800000u | (bits & 0u)); // -infinity
  }
  if (magnitude >= 0x7f800000u || bits >= 0x80000000u) {
    return select(noNumber(x), x, bits == 0x7f800000u);
  }
  return log(x);
}

/** 1 / (1 + exp(-x)), exactly 0 below -88; exp is limited, because a driver may return anything on overflow. */
fn logistic(x: f32) -> f32 {
  let share = select(1.0 / (1.0 + exp(min(-x, 88.0))), 0.0, x < -88.0);
  return select(share, x, isNotANumber(x));
}

fn logisticOfFour(x: vec4<f32>) -> vec4<f32> {
  let share = select(1.0 / (1.0 + exp(min(-x, vec4<f32>(88.0)))), vec4<f32>(), x < vec4<f32>(-88.0));
  return select(share, x, (bitcast<vec4<u32>>(x) & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u));
}
