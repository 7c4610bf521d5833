// One step of AdamW over n values; the first nDecay also shrink by rate * weightDecay. g = gradients * norm[1], the clip coefficient;
// m and v are the running means of g and g². A thread updates one value.
//#include "../lib/index.wgsl"

struct Params {
  n: u32, nDecay: u32,
  rate: f32, beta1: f32, beta2: f32, epsilon: f32, weightDecay: f32,
  correction1: f32, correction2: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> values: array<f32>;
@group(0) @binding(2) var<storage, read_write> m: array<f32>;
@group(0) @binding(3) var<storage, read_write> v: array<f32>;
@group(0) @binding(4) var<storage, read> gradients: array<f32>;
@group(0) @binding(5) var<storage, read> norm: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let i = flatGroup(group, groups) * 64u + thread;
  if (i < p.n && norm[1] > 0.0) {
    let g = gradients[i] * norm[1];
    let mean = p.beta1 * m[i] + (1.0 - p.beta1) * g;
    let square = p.beta2 * v[i] + (1.0 - p.beta2) * g * g;
    m[i] = mean;
    v[i] = square;
    let old = values[i];
    let decay = select(0.0, p.rate * p.weightDecay * old, i < p.nDecay);
    values[i] = old - decay - p.rate / p.correction1 * mean / (sqrt(square / p.correction2) + p.epsilon);
  }
}
