// The hashes that a refactor is held against: the same twice, and other ones when a program changes.

import { expect, test } from 'vitest';
import { fillKernel } from '../kernels/copy/copy.ts';
import { kernels } from '../kernels/index.ts';
import { differences, programsFingerprint } from '../scripts/fingerprint.ts';

test('every program of every kernel has a hash, the same each time', () => {
  const all = programsFingerprint();
  expect(differences(all, programsFingerprint())).toEqual([]);
  for (const { name, wasm, wgsl, variants } of kernels) {
    if (wasm) expect(all).toHaveProperty([`wasm ${name}`]);
    if (wgsl) expect(all).toHaveProperty([`wgsl ${name} portable`]);
    for (const variant of Object.keys(variants ?? {})) expect(all).toHaveProperty([`wgsl ${name} ${variant}`]);
  }
});

test('a shader that changed by a letter, and a part that is emitted twice, are noticed', () => {
  const fill = fillKernel;
  const shader = { ...fill.wgsl!.shader, source: `${fill.wgsl!.shader.source} alias A = f32;` };
  const changed = {
    ...fill,
    wgsl: { ...fill.wgsl!, shader },
    wasm: { ...fill.wasm!, parts: [...fill.wasm!.parts, ...fill.wasm!.parts] },
  };
  const names = differences(programsFingerprint([fill]), programsFingerprint([changed]));
  expect(names).toEqual([`wasm ${fill.name}`, `wasm ${fill.name} relaxed`, `wgsl ${fill.name} portable`]);
});
