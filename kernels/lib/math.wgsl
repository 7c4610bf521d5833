// Constants and functions that every driver computes alike. WGSL may assume finite maths, so there are no infinities here.

const F32_LOWEST = -3.4028234e38;

/** 1 / (1 + exp(-x)); exp is limited, because a driver may return anything on overflow. */
fn logistic(x: f32) -> f32 {
  return 1.0 / (1.0 + exp(min(-x, 80.0)));
}

fn logisticOfFour(x: vec4<f32>) -> vec4<f32> {
  return 1.0 / (1.0 + exp(min(-x, vec4<f32>(80.0))));
}
