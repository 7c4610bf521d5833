// The charts are text: what they say, that they are well-formed, and what they refuse.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../../../engine/errors.ts';
import * as plot from '../../../../remit/app/plot/index.ts';
import { niceTicks, scaleOf, short } from '../../../../remit/app/plot/scale.ts';

const { barChart, histogram, lineChart, plotStyle, scatterChart, stackedBarChart, standalone, tokenRow } = plot;

/** Every element is closed in its order, and no number is missing. */
function expectWhole(svg: string): void {
  const open: string[] = [];
  for (const [, closing, name, , empty] of svg.matchAll(/<(\/?)(\w+)((?:\s[\w:-]+="[^"<]*")*)(\/?)>/g)) {
    if (closing === '/') expect(open.pop()).toBe(name);
    else if (empty === '') open.push(name!);
  }
  expect(open).toEqual([]);
  const drawn = svg.replaceAll(/<(title|desc|text)[^]*?<\/\1>/g, '');
  expect(drawn).not.toMatch(/NaN|Infinity|undefined/);
  expect(svg).toMatch(/^<svg [^>]*role="img"><title>.+<\/title><desc>/);
}

const line = (name: string, ys: readonly number[]) => ({ name, points: ys.map((y, x) => ({ x, y })) });

describe('lines', () => {
  test('run through their points: from the left edge to the right, from the bottom tick to the top', () => {
    const svg = lineChart({ title: 'Loss', x: 'step', y: 'nats', lines: [line('a', [0, 4])], width: 400, height: 200 });
    expect(svg).toContain('d="M44 166L380 44"');
    expect(svg).toContain('<desc>nats over step. a: from 0 to 4</desc>');
    expectWhole(svg);
  });

  test('a value that is no number, or not above 0 on a logarithmic axis, leaves a gap', () => {
    const lines = [line('a', [10, NaN, 100, 0, 1000, 10])];
    const svg = lineChart({ title: 'a', x: 'x', y: 'y', lines, yScale: 'log' });
    expect(/class="plot-line" d="([^"]*)"/.exec(svg)![1]!.match(/M/g)).toHaveLength(3);
    expectWhole(svg);
  });

  test('whatever the numbers and names, the picture is whole, and names do not cover each other', () => {
    const values = fc.array(fc.double(), { maxLength: 8 });
    const lines = fc.array(fc.tuple(fc.string({ minLength: 1 }), values), { maxLength: 8 });
    fc.assert(fc.property(lines, fc.constantFrom('linear', 'log'), (all, yScale) => {
      const svg = lineChart({ title: '<&">', x: 'x', y: 'y', yScale, lines: all.map(([name, ys]) => line(name, ys)) });
      expectWhole(svg);
      const places = [...svg.matchAll(/y="([\d.-]+)" class="plot-name"/g)].map(([, y]) => Number(y));
      const sorted = places.sort((a, b) => a - b);
      expect(sorted.every((y, i) => i === 0 || y - sorted[i - 1]! >= 12)).toBe(true);
    }), { numRuns: 60 });
  });
});

test('bars say their values, and reach to both sides of 0', () => {
  const svg = barChart({ title: 'Gain', x: 'points', bars: [{ name: 'up', value: 2 }, { name: 'down', value: -1 }] });
  expect(svg).toContain('<desc>points. up: 2; down: -1</desc>');
  const widths = [...svg.matchAll(/<rect [^>]* width="([\d.]+)"/g)].map(([, width]) => Number(width));
  expect(widths[0]! / widths[1]!).toBeCloseTo(2, 1);
  expectWhole(svg);
});

test('bars of parts lie end to end', () => {
  const bars = [{ name: 'step', values: [1, 3] }];
  const svg = stackedBarChart({ title: 'Time', x: 'ms', parts: ['forward', 'backward'], bars });
  expect(svg).toContain('<title>backward: 3</title>');
  expectWhole(svg);
});

test('a histogram counts every value once, the largest too', () => {
  const svg = histogram({ title: 'Weights', x: 'weight', values: Float32Array.of(0, 0, 1, 2), bins: 2 });
  const heights = [...svg.matchAll(/<rect [^>]* height="([\d.]+)"/g)].map(([, height]) => Number(height));
  expect(heights[0]).toBe(heights[1]);
  expectWhole(svg);
});

test('a roofline has a ridge where slope and peak meet', () => {
  const groups = [{ name: 'matmul', points: [{ x: 8, y: 40 }] }];
  const roofs = [{ name: 'this CPU', slope: 10, peak: 100 }];
  const axes = { x: 'FLOP/byte', y: 'GFLOP/s', xScale: 'log', yScale: 'log' } as const;
  const svg = scatterChart({ title: 'Roof', ...axes, groups, roofs });
  expect(svg).toContain('<title>matmul: 8, 40</title>');
  expectWhole(svg);
});

test('tokens are plain at the middle, blue below and orange above, full at the ends', () => {
  const tokens = [{ text: 'a', value: 0.8 }, { text: ' ', value: 1 }, { text: '<', value: 1.1 }];
  const svg = tokenRow({ title: 'Row', tokens });
  const fills = [...svg.matchAll(/fill="var\(--plot-(\w+)\)" fill-opacity="([\d.]+)"/g)].map(([, ...found]) => found);
  expect(fills).toEqual([['low', '1'], ['high', '0'], ['high', '0.5']]);
  expect(svg).toContain('<desc>a 0.8, ␣ 1, &lt; 1.1</desc>');
  expectWhole(svg);
});

test('standalone() puts the style inside, once', () => {
  const svg = standalone(histogram({ title: 'a', x: 'x', values: [1, 2] }));
  expect(svg.match(/<style>/g)).toHaveLength(1);
  expect(svg).toContain(plotStyle);
  expect(svg.endsWith('</svg>\n')).toBe(true);
});

test('ticks are round and enclose; 12500 is 12.5k', () => {
  expect(niceTicks(0.3, 9.7)).toEqual([0, 2.5, 5, 7.5, 10]);
  expect(niceTicks(3, 3).length).toBeGreaterThan(1);
  expect(scaleOf('log', [3, 700]).ticks).toEqual([3, 10, 30, 100, 300, 1000]);
  expect([12_500, 0.25, 3e9, 2e-5, 0].map(short)).toEqual(['12.5k', '0.25', '3G', '2e-5', '0']);
});

test('what is wrong is said in one line', () => {
  const wrong = [
    [() => lineChart({ title: 'a', x: 'x', y: 'y', lins: [] } as never), 'lineChart: lins: no such option'],
    [() => lineChart({ title: 'a', x: 'x', y: 'y', lines: [{ name: 'a' }] } as never), 'lineChart: lines[0].points'],
    [() => barChart({ title: 'a', x: 'x', bars: [{ name: 'a', value: NaN }] }), 'barChart: bars[0].value = NaN'],
    [() => tokenRow({ title: 'a', tokens: 'text' } as never), 'tokenRow: tokens = "text"'],
    [() => standalone('' as never), 'standalone: svg'],
  ] as const;
  for (const [call, message] of wrong) {
    expect(call).toThrow(ConfigError);
    expect(call).toThrow(message);
  }
});
