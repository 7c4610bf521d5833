// What the classes of the charts look like, in light and dark. Eight colours after Okabe and Ito ("Color universal
// design", 2008), darkened or lightened until text in them has a contrast of 4.5 to 1; lines are dashed in their own
// way besides. A page that has colours of its own sets the variables. Read after: svg.ts.

import { checkArguments, text } from '../../../engine/options.ts';

const LIGHT = ['#0068a8', '#b34700', '#007355', '#a03c78', '#7d5a00', '#5b4a9c', '#2c6e7f', '#59636e'];
const DARK = ['#62b6f2', '#f79a63', '#45cca2', '#e696c2', '#dfb450', '#b9a5ef', '#7fc4d4', '#aab4be'];
const DASHES = ['', '6 3', '2 2', '8 3 2 3', '1 3', '10 4', '4 2', '12 2'];

const variables = (colours: readonly string[], others: string): string =>
  `${colours.map((colour, i) => `--plot-${i + 1}:${colour};`).join('')}${others}`;

const light = variables(
  LIGHT,
  '--plot-ink:#1d2329;--plot-faint:#59636e;--plot-grid:#e3e7eb;--plot-ground:#fff;' +
  '--plot-low:#9cc9ee;--plot-high:#f3b08c',
);
const dark = variables(
  DARK,
  '--plot-ink:#e6eaee;--plot-faint:#a2adb8;--plot-grid:#303942;--plot-ground:#14191e;' +
  '--plot-low:#1f5f94;--plot-high:#97471c',
);

/** The style sheet of all charts: put it into the page once. Dark where the reader's system is. */
export const plotStyle = [
  `:root{${light}}`,
  `@media (prefers-color-scheme:dark){:root{${dark}}}`,
  `@media print{:root{${light}}}`,
  `.plot{font:12px system-ui,sans-serif;fill:var(--plot-ink);overflow:visible;max-width:100%;height:auto}`,
  '.plot-title{font-size:13px;font-weight:600}',
  '.plot-faint{fill:var(--plot-faint);font-size:11px}',
  '.plot-grid{stroke:var(--plot-grid);fill:none}',
  '.plot-mark{stroke:var(--plot-faint);stroke-dasharray:3 3;fill:none}',
  '.plot-line{fill:none;stroke:currentColor;stroke-width:1.8;stroke-linejoin:round}',
  '.plot-raw{fill:none;stroke:currentColor;stroke-width:1;opacity:.3}',
  '.plot-band{fill:currentColor;opacity:.15}',
  '.plot-fill{fill:currentColor}',
  '.plot-name{fill:currentColor}',
  '.plot-whisker{stroke:var(--plot-ink);fill:none}',
  '.plot-token{font:13px ui-monospace,monospace}',
  ...LIGHT.map((_, i) => `.plot-${i + 1}{color:var(--plot-${i + 1})}`),
  ...DASHES.flatMap((dash, i) => (dash === '' ? [] : [`.plot-${i + 1} .plot-line{stroke-dasharray:${dash}}`])),
].join('\n');

/** A chart that carries its own style, as a file: `writeFileSync('loss.svg', standalone(lineChart(...)))`. */
export function standalone(svg: string): string {
  checkArguments('standalone', arguments, { svg: text });
  const rules = `${plotStyle}\n.plot{background:var(--plot-ground)}`;
  return `${svg.replace('</desc>', `</desc><style>${rules}</style>`)}\n`;
}
