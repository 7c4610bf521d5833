// The nonlinearities of the feed-forward layer: SwiGLU, and GELU in the form that GPT-2 uses.
// Both are written with the logistic function s(x) = 1 / (1 + exp(-x)), which neither overflows nor cancels at either
// end. Sources: SwiGLU, arXiv 2002.05202; GELU, arXiv 1606.08415, section 2. Read next: activation.wasm.ts, the same
// fast.

import { defineKernel } from '../kernel.ts';
import { geluBackwardWgsl, geluWgsl, swigluBackwardWgsl, swigluWgsl } from '../generated.ts';
import { ceilDiv, flatGrid } from '../wgsl.ts';
import { geluBackwardWasm, geluWasm, swigluBackwardWasm, swigluWasm } from './activation.wasm.ts';

/** gateUp [rows,2F], the gate first, then up -> out [rows,F] = gate s(gate) up. */
export const swigluKernel = defineKernel({
  name: 'swiglu',
  bindings: { gateUp: 'read', out: 'write' },
  params: ['rows', 'F'],
  reference({ gateUp, out }, { rows, F }) {
    for (let r = 0, o = 0; r < rows; r++) {
      for (let f = 0, p = r * 2 * F; f < F; f++, p++, o++) {
        const gate = gateUp[p]!;
        out[o] = gate / (1 + Math.exp(-gate)) * gateUp[p + F]!;
      }
    }
  },
  wasm: swigluWasm,
  wgsl: { shader: swigluWgsl, grid: ({ rows, F }) => flatGrid(ceilDiv(rows * F, 64)) },
});

/** dGate = dOut up s (1 + gate (1 - s)), dUp = dOut gate s, with s = s(gate). */
export const swigluBackwardKernel = defineKernel({
  name: 'swigluBackward',
  bindings: { gateUp: 'read', dOut: 'read', dGateUp: 'write' },
  params: ['rows', 'F'],
  reference({ gateUp, dOut, dGateUp }, { rows, F }) {
    for (let r = 0, o = 0; r < rows; r++) {
      for (let f = 0, p = r * 2 * F; f < F; f++, p++, o++) {
        const gate = gateUp[p]!;
        const s = 1 / (1 + Math.exp(-gate));
        const d = dOut[o]!;
        dGateUp[p] = d * gateUp[p + F]! * s * (1 + gate * (1 - s));
        dGateUp[p + F] = d * gate * s;
      }
    }
  },
  wasm: swigluBackwardWasm,
  wgsl: { shader: swigluBackwardWgsl, grid: ({ rows, F }) => flatGrid(ceilDiv(rows * F, 64)) },
});

// GELU: x (1 + tanh(u)) / 2 with u = sqrt(2/pi) (x + 0.044715 x³). Since (1 + tanh(u)) / 2 = s(2u), the tanh need not
// be taken.
const TWICE_ROOT = 2 * Math.sqrt(2 / Math.PI);
const CUBE = 0.044715;

/** out = x s(2u). */
export const geluKernel = defineKernel({
  name: 'gelu',
  bindings: { x: 'read', out: 'write' },
  params: ['n'],
  reference({ x, out }, { n }) {
    for (let i = 0; i < n; i++) {
      const v = x[i]!;
      out[i] = v / (1 + Math.exp(-TWICE_ROOT * v * (1 + CUBE * v * v)));
    }
  },
  wasm: geluWasm(TWICE_ROOT, CUBE),
  wgsl: { shader: geluWgsl, grid: ({ n }) => flatGrid(ceilDiv(n, 256)) },
});

/** dx = dOut (s + x s (1 - s) d(2u)/dx), with s = s(2u). */
export const geluBackwardKernel = defineKernel({
  name: 'geluBackward',
  bindings: { x: 'read', dOut: 'read', dx: 'write' },
  params: ['n'],
  reference({ x, dOut, dx }, { n }) {
    for (let i = 0; i < n; i++) {
      const v = x[i]!;
      const s = 1 / (1 + Math.exp(-TWICE_ROOT * v * (1 + CUBE * v * v)));
      dx[i] = dOut[i]! * (s + v * s * (1 - s) * TWICE_ROOT * (1 + 3 * CUBE * v * v));
    }
  },
  wasm: geluBackwardWasm(TWICE_ROOT, CUBE),
  wgsl: { shader: geluBackwardWgsl, grid: ({ n }) => flatGrid(ceilDiv(n, 256)) },
});
