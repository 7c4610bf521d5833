// Several charts as one picture, one below the other: for a file that holds them all. Read after: svg.ts.

import { checkArguments, list, text } from '../../../engine/options.ts';
import { element } from './svg.ts';

const GAP = 24;

/** charts: as lineChart() and the others give them. Throws ConfigError. */
export function stackedCharts(charts: readonly string[]): string {
  checkArguments('stackedCharts', arguments, { charts: list('a list of charts', text) });
  let y = 0;
  const placed = charts.map((chart) => {
    const [width, height] = sizeOf(chart);
    const at = chart.replace('<svg ', `<svg y="${y}" width="${width}" height="${height}" `);
    y += height + GAP;
    return { width, at };
  });
  const width = placed.reduce((most, one) => Math.max(most, one.width), 0);
  const viewBox = `0 0 ${width} ${Math.max(0, y - GAP)}`;
  return element(
    'svg',
    { xmlns: 'http://www.w3.org/2000/svg', class: 'plot', viewBox },
    element('desc', {}, `${charts.length} charts`),
    ...placed.map(({ at }) => at),
  );
}

function sizeOf(chart: string): [width: number, height: number] {
  const [, width, height] = /viewBox="0 0 ([\d.]+) ([\d.]+)"/.exec(chart) ?? [];
  return [Number(width ?? 0), Number(height ?? 0)];
}
