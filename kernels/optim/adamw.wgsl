// One step of AdamW over n values; the first nDecay also shrink by rate * weightDecay. g = gradients * norm[1], the
// clip coefficient; m and v are the running means of g and g². A thread updates four values.
//#include "../lib/index.wgsl"

struct Params {
  n: u32, nDecay: u32,
  rate: f32, epsilon: f32, weightDecay: f32,
  beta1: f32, beta2: f32, rest1: f32, rest2: f32, // rest = 1 - beta: taken here, it would lose the last digits of beta
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> values: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> m: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> v: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> gradients: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> norm: array<f32>;
@group(0) @binding(6) var<storage, read> correction: array<f32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let i = flatGroup(group, groups) * 64u + thread;
  if (4u * i >= p.n || !(norm[1] > 0.0)) {
    return;
  }
  let g = gradients[i] * norm[1];
  let mean = p.beta1 * m[i] + p.rest1 * g;
  let square = p.beta2 * v[i] + p.rest2 * g * g;
  let old = values[i];
  let decays = vec4<u32>(4u * i) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(p.nDecay);
  let decay = select(vec4<f32>(), p.rate * p.weightDecay * old, decays);
  let value = old - decay - p.rate / correction[0] * mean / (sqrt(square / correction[1]) + p.epsilon);
  let left = p.n - 4u * i;
  if (left >= 4u) {
    values[i] = value;
    m[i] = mean;
    v[i] = square;
  } else {
    for (var c = 0u; c < left; c++) {
      values[i][c] = value[c];
      m[i][c] = mean[c];
      v[i][c] = square[c];
    }
  }
}
