// An op of your own, outside of the library: x -> log(1 + exp(s x)) / s, a smooth max(x, 0). Its reference is what it
// means; the programs in WebAssembly and WGSL must agree with it. Explained step by step in docs/adding-an-op.md. Run
// own-op.ts to see it, and spiral.ts to train with it.

import { defineOp, normal, ops, rules } from 'remit-mini/engine';
import type { Op, Tensor } from 'remit-mini/engine';
import { ceilDiv, defineKernel, elementwise, flatGrid, wgsl } from 'remit-mini/kernels';

export const softplusKernel = defineKernel({
  name: 'softplus',
  bindings: { x: 'read', out: 'write' },
  params: ['n', 'sharpness'],
  reference({ x, out }, { n, sharpness: s }) {
    for (let i = 0; i < n; i++) out[i] = Math.max(x[i]!, 0) + Math.log1p(Math.exp(-s * Math.abs(x[i]!))) / s;
  },
  wasm: elementwise({
    name: 'softplus',
    buffers: ['x', 'out'],
    floats: ['sharpness'],
    cost: 12,
    body(f, lanes, at, { sharpness: s }) {
      const x = lanes.keep(lanes.load(at.x));
      const turned = lanes.sub(lanes.zero, x);
      const least = lanes.mul(s, lanes.min(x, turned)); // -s |x|
      const smooth = lanes.log(lanes.add(lanes.of(1), lanes.exp(least)));
      f.store(at.out, lanes.add(lanes.max(x, lanes.zero), lanes.div(smooth, s)));
    },
  }),
  wgsl: {
    shader: wgsl(`
struct Params { n: u32, sharpness: f32, }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= p.n) { return; }
  let v = x[id.x];
  out[id.x] = max(v, 0.0) + log(1.0 + exp(-p.sharpness * abs(v))) / p.sharpness;
}`, 'softplus'),
    grid: ({ n }) => flatGrid(ceilDiv(n, 64)),
  },
});

/** Softplus of a tensor; the larger `sharpness`, the nearer to max(x, 0). */
export const softplus: Op<readonly [x: Tensor], { readonly sharpness: number }> = defineOp({
  name: 'softplus',
  takes: { x: 'f32' },
  attrs: { sharpness: rules.real({ above: 0 }) },
  infer: ([{ shape }]) => [{ shape, dtype: 'f32' }],
  forward(run, [x], [out], { sharpness }) {
    run(softplusKernel, { x: x.storage, out: out.storage }, { n: x.size, sharpness });
  },
  backward: (grad, { inputs: [x], attrs: { sharpness } }, need) => [
    need(0, () => ops.mul(grad, ops.sigmoid(ops.affine(x, { factor: sharpness })))),
  ],
  cases: {
    dims: { M: [1, 3], N: [1, 5] },
    attrs: [() => ({ sharpness: 1 }), () => ({ sharpness: 3 })],
    inputs: ({ M, N }) => [normal(M!, N!)],
  },
});
