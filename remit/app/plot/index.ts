// Charts as SVG text, without a DOM and without a library: the entrance remit-mini/plot. The reports draw with it, and
// so can you:
//   import { lineChart, standalone } from 'remit-mini/plot';
// Read next: lines.ts.

export { barChart, histogram, stackedBarChart } from './bars.ts';
export type { Bar, BarChart, Histogram, StackedBarChart } from './bars.ts';
export { lineChart, type Line, type LineChart, type LinePoint } from './lines.ts';
export type { ScaleKind } from './scale.ts';
export { scatterChart, type ScatterChart, type ScatterPoint } from './scatter.ts';
export { stackedCharts } from './stack.ts';
export { plotStyle, standalone } from './style.ts';
export { tokenRow, type Token, type TokenRow } from './tokens.ts';
