// Constants and functions that every driver computes alike. WGSL may assume finite maths: there are no infinities here, and what is not a
// number is known by its bits, since a compiler may take `x != x` for false, and min() and max() may drop one operand that is none.

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

/** 1 / (1 + exp(-x)); exp is limited, because a driver may return anything on overflow. */
fn logistic(x: f32) -> f32 {
  return 1.0 / (1.0 + exp(atMost(-x, 80.0)));
}

fn logisticOfFour(x: vec4<f32>) -> vec4<f32> {
  let isNone = (bitcast<vec4<u32>>(x) & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u);
  return 1.0 / (1.0 + exp(select(min(-x, vec4<f32>(80.0)), x, isNone)));
}
