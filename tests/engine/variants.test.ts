// Which program runs where: the table by kind of adapter and size, what was measured before it, and that no choice is
// made twice.

import { describe, expect, test } from 'vitest';
import {
  abilitiesOf, adapterKey, adapterKind, chooseVariant, shapeKey, Variants,
} from '../../engine/webgpu/variants.ts';
import { attentionForwardKernel } from '../../kernels/attention/attention.ts';
import { affineKernel, binaryKernels } from '../../kernels/elementwise/elementwise.ts';
import type { Ability } from '../../kernels/wgsl.ts';
import { ladder, matmulKernel } from '../../kernels/matmul/matmul.ts';

const sizes = (
  M: number,
  N: number,
  K: number,
  more: { readonly batch?: number; readonly transA?: number; readonly transB?: number } = {},
) => ({
  batch: 1,
  transA: 0,
  transB: 0,
  strideA: M * K,
  strideB: K * N,
  accumulate: 0,
  addBias: 0,
  addResidual: 0,
  M,
  N,
  K,
  ...more,
});

const large = sizes(4096, 4096, 4096);
const row = sizes(1, 512, 512, { transB: 1 });
const gradient = sizes(192, 64, 736, { transA: 1 });

describe('the table', () => {
  test.each([
    ['software', [large, gradient, row, sizes(4, 70, 64)], 'portable'],
    ['integrated', [large, sizes(5, 70, 64), sizes(736, 192, 64)], 'tiled'],
    ['discrete', [sizes(5, 70, 64), sizes(737, 191, 64)], 'tiled'], // no whole number of vec4s
    ['discrete', [sizes(5, 72, 64), sizes(736, 192, 64), sizes(64, 64, 736, { batch: 96 })], 'medium'],
    ['discrete', [sizes(1024, 1024, 1024)], 'medium'],
    ['discrete', [large, sizes(2048, 2048, 2048), sizes(512, 512, 512, { batch: 12 })], 'large'],
    ['integrated', [row, sizes(4, 70, 64)], 'gemv'],
    ['discrete', [row, sizes(4, 70, 64)], 'gemv'],
    ['discrete', [gradient, sizes(64, 64, 736)], 'split16'],
    ['discrete', [sizes(512, 256, 736)], 'split32'],
    ['integrated', [sizes(64, 64, 736)], 'split16'],
    ['integrated', [gradient, sizes(256, 64, 736)], 'split'],
  ] as const)('%s: sizes %j run %s', (kind, shapes, name) => {
    for (const params of shapes) {
      expect(chooseVariant(matmulKernel, params, kind)).toMatch(
        new RegExp(`^${name}${name === 'split' ? '(16|32)' : ''}$`),
      );
    }
  });

  test('takes what needs more than WebGPU promises only where that is', () => {
    const choose = (...has: readonly Ability[]): string =>
      chooseVariant(matmulKernel, large, 'software', {}, new Set(has));
    expect([choose(), choose('subgroups'), choose('subgroup4'), choose('subgroup8')]).toEqual([
      'portable',
      'portable',
      'subgroup4',
      'subgroup8',
    ]);
    expect(chooseVariant(matmulKernel, large, 'discrete', { [shapeKey(matmulKernel, large)]: 'subgroup8' })).toBe(
      'large',
    );
    expect(matmulKernel.wgsl).not.toHaveProperty('needs');
    const halves = (params: typeof large): string =>
      chooseVariant(
        matmulKernel,
        params,
        'discrete',
        { [shapeKey(matmulKernel, large)]: 'tiled' },
        new Set(['subgroup-matrix']),
      );
    expect([halves(large), halves(sizes(4096, 100, 64))]).toEqual(['matrices', 'medium']);
  });

  test('takes what fits some sizes only where it does, each time anew', () => {
    const sizes = (D: number) => ({ B: 1, T: 8, H: 1, KV: 1, D, rotary: 0 });
    const { variants, wgsl } = attentionForwardKernel;
    const chosen = new Variants('discrete');
    const programs = [16, 6, 72, 64].map((D) => chosen.programOf(attentionForwardKernel as never, sizes(D)));
    expect(programs.map((program) => [variants!.workgroup, wgsl].indexOf(program as never))).toEqual([0, 1, 1, 0]);
    const steps = { d0: 1, d1: 1, a0: 0, a1: 0, b0: 0, b1: 0 };
    const choose = (d2: number, d3: number, [a2, a3]: number[], [b2, b3]: number[]) =>
      chooseVariant(binaryKernels.add, { ...steps, d2, d3, a2: a2!, a3: a3!, b2: b2!, b3: b3! }, 'software');
    expect(choose(3, 5, [5, 1], [5, 1])).toBe('flat');
    expect(choose(3, 8, [8, 1], [0, 1])).toBe('flat');     // rows of 8, one of them repeated
    expect(choose(3, 5, [5, 1], [0, 1])).toBe('portable'); // a row that is no whole number of vec4s
    expect(choose(3, 8, [0, 0], [8, 1])).toBe('flat');     // one number
    expect(choose(3, 8, [1, 0], [8, 1])).toBe('portable'); // a column
    expect(choose(8, 3, [3, 1], [1, 8])).toBe('portable'); // transposed
  });

  test('names programs that there are, whatever the sizes', () => {
    const names = new Set<string>();
    for (const kind of ['software', 'integrated', 'discrete'] as const) {
      for (const M of [1, 4, 5, 64, 500]) {
        for (const N of [1, 64, 3000]) {
          for (const K of [1, 128, 5000]) names.add(chooseVariant(matmulKernel, sizes(M, N, K), kind));
        }
      }
    }
    expect([...names].filter((name) => name !== 'portable' && !(name in matmulKernel.variants!))).toEqual([]);
    expect(names.size).toBeGreaterThan(4);
  });

  test('is not asked about kernels with one program', () => {
    expect(chooseVariant(affineKernel, { n: 1, factor: 1, offset: 0 }, 'discrete')).toBe('portable');
    expect(new Variants('discrete').programOf(affineKernel as never, { n: 1 })).toBe(affineKernel.wgsl);
  });
});

describe('what was measured', () => {
  const key = shapeKey(matmulKernel, gradient);

  test('is known by sizes and layout, not by strides or by what is added to', () => {
    expect(key).toBe('matmul 192x64x736 TN');
    expect(shapeKey(matmulKernel, { ...gradient, accumulate: 1, strideA: 0 })).toBe(key);
    expect(shapeKey(matmulKernel, { ...row, batch: 3 })).toBe('matmul 3 x 1x512x512 NT');
    expect(shapeKey(matmulKernel, sizes(192, 64, 736))).not.toBe(key);
  });

  test('comes before the table, at its shape', () => {
    expect(chooseVariant(matmulKernel, gradient, 'discrete', { [key]: 'tiled' })).toBe('tiled');
    expect(chooseVariant(matmulKernel, gradient, 'discrete', { [key]: 'portable' })).toBe('portable');
    expect(chooseVariant(matmulKernel, row, 'discrete', { [key]: 'tiled' })).toBe('gemv');
  });

  test('is passed over when it names what there is not', () => {
    for (const name of ['fastest', '', 'toString', 'naive']) {
      expect(chooseVariant(matmulKernel, gradient, 'discrete', { [key]: name })).toBe('split16');
    }
  });

  test('is looked up once for each shape of a run', () => {
    const tuned: Record<string, string> = { [key]: 'tiled' };
    const variants = new Variants('discrete', tuned);
    const kernel = matmulKernel as never;
    expect(variants.programOf(kernel, gradient)).toBe(ladder.tiled);
    tuned[key] = 'gemv';
    expect(variants.programOf(kernel, { ...gradient, accumulate: 1 })).toBe(ladder.tiled);
    expect(variants.programOf(kernel, large)).toBe(ladder.large);
    expect(variants.programOf(kernel, row)).toBe(ladder.gemv);
  });
});

test('abilities are those of the features that the device was opened with', () => {
  const of = (features: readonly string[], subgroupMinSize: number, subgroupMaxSize: number) => [
    ...abilitiesOf({ features: new Set(features), adapterInfo: { subgroupMinSize, subgroupMaxSize } } as never),
  ];
  expect(of([], 8, 8)).toEqual([]);
  expect(of(['shader-f16', 'timestamp-query'], 32, 32)).toEqual(['shader-f16']);
  expect(of(['subgroups'], 4, 4)).toEqual(['subgroups', 'subgroup4']);
  expect(of(['subgroups'], 8, 32)).toEqual(['subgroups']);
  expect(of(['subgroups'], 32, 32)).toEqual(['subgroups']);
  const configs = [{ M: 16, N: 16, K: 16, componentType: 'f16', resultComponentType: 'f32' }];
  const experimental = 'chromium-experimental-subgroup-matrix';
  const withMatrices = (features: readonly string[], subgroupMatrixConfigs: readonly object[], lanes = 32) =>
    abilitiesOf({
      features: new Set(features),
      adapterInfo: { subgroupMinSize: 32, subgroupMaxSize: lanes, subgroupMatrixConfigs },
    } as never).has('subgroup-matrix');
  expect(withMatrices([experimental], configs)).toBe(true);
  expect(withMatrices([], configs)).toBe(false);
  expect(withMatrices([experimental], configs, 64)).toBe(false);
  expect(withMatrices([experimental], [{ ...configs[0], resultComponentType: 'f16' }])).toBe(false);
});

test('adapters are sorted by what they say of themselves', () => {
  const info = (vendor: string, description = '', device = '') => ({ vendor, architecture: '', device, description });
  expect(adapterKind(info('nvidia', 'NVIDIA: 580.82.07', 'NVIDIA H200'), false)).toBe('discrete');
  expect(adapterKind(info('amd', '', 'AMD Radeon RX 7900 XTX'), false)).toBe('discrete');
  expect(adapterKind(info('amd', '', 'AMD Radeon 780M'), false)).toBe('integrated');
  expect(adapterKind(info('intel', '', 'Intel(R) Arc(TM) A770 Graphics'), false)).toBe('discrete');
  expect(adapterKind(info('intel', '', 'Intel(R) UHD Graphics 620'), false)).toBe('integrated');
  expect(adapterKind(info('nvidia', '', 'NVIDIA Tegra Orin'), false)).toBe('integrated');
  expect(adapterKind(info('apple', 'Apple M2'), false)).toBe('integrated');
  expect(adapterKind(info(''), false)).toBe('integrated');
  expect(adapterKind(info('google', 'SwiftShader driver 5.0.0'), true)).toBe('software');
  expect(adapterKey(info('nvidia', 'driver 1'))).not.toBe(adapterKey(info('nvidia', 'driver 2')));
});
