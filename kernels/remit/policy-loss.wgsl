// The clipped policy loss with its k3 penalty, its gradient and diagnostics, see policy-loss.ts. A thread makes one
// token.
//#include "../lib/index.wgsl"
//#include "../lib/math.wgsl"

struct Params { rows: u32, T: u32, clip: f32, clipHigh: f32, klWeight: f32, factor: f32, weighted: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> logProb: array<f32>;
@group(0) @binding(2) var<storage, read> old: array<f32>;
@group(0) @binding(3) var<storage, read> reference: array<f32>;
@group(0) @binding(4) var<storage, read> advantage: array<f32>;
@group(0) @binding(5) var<storage, read> targets: array<i32>;
@group(0) @binding(6) var<storage, read_write> losses: array<f32>;
@group(0) @binding(7) var<storage, read_write> dLogProb: array<f32>;
@group(0) @binding(8) var<storage, read_write> diagnostics: array<f32>;

/** exp(x) - 1 - x without loss of digits near 0, where a KL estimate lives. */
fn expLessLine(x: f32) -> f32 {
  let series = x * x * (1.0 / 2.0 + x * (1.0 / 6.0 + x * (1.0 / 24.0 + x * (1.0 / 120.0 + x / 720.0))));
  return select(expOf(atMost(x, 80.0)) - 1.0 - x, series, abs(x) < 0.25);
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let i = flatGroup(group, groups) * 64u + thread;
  let n = p.rows * p.T;
  if (i < n) {
    let at = i / p.T * (1u + p.weighted);
    let gain = advantage[at];
    let factor = p.factor * select(1.0, advantage[at + p.weighted], p.weighted > 0u);
    let ratio = expOf(atMost(logProb[i] - old[i], 80.0));
    let limited = clamp(ratio, 1.0 - p.clip, 1.0 + p.clipHigh);
    let cut = limited * gain < ratio * gain;
    let d = reference[i] - logProb[i];
    let k3 = expLessLine(d);
    let counted = targets[i] >= 0;
    losses[i] = select(0.0, factor * (p.klWeight * k3 - select(ratio, limited, cut) * gain), counted);
    dLogProb[i] = select(0.0, factor * (-p.klWeight * (k3 + d) - select(ratio * gain, 0.0, cut)), counted);
    diagnostics[i] = select(0.0, k3, counted);
    diagnostics[n + i] = select(0.0, 1.0, counted && cut);
  }
}
