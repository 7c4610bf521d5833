// A page that needs nothing: one HTML file with its style and pictures inside, without a script, to be mailed, printed
// and read in light or dark. Words are put in by text(); pictures are SVG of remit/app/plot. Read next: run.ts.

import { plotStyle } from '../plot/style.ts';
import { escape } from '../plot/svg.ts';

/** HTML, as opposed to text that somebody typed. */
export interface Html { readonly html: string }

export const text = (words: string): Html => ({ html: escape(words) });
export const svg = (picture: string): Html => ({ html: `<figure>${picture}</figure>` });
export const paragraph = (...parts: readonly Html[]): Html => ({ html: `<p>${join(parts)}</p>` });
export const block = (words: string): Html => ({ html: `<pre>${escape(words)}</pre>` });

export function section(title: string, ...parts: readonly Html[]): Html {
  return { html: `<section>\n<h2>${escape(title)}</h2>\n${parts.map(({ html }) => html).join('\n')}\n</section>` };
}

/** Pictures side by side, as many as fit. */
export function gallery(pictures: readonly string[]): Html {
  return { html: `<div class="gallery">${pictures.map((picture) => svg(picture).html).join('')}</div>` };
}

/** What stands in a table: words, or what is HTML already, such as a link. */
export type Cell = string | Html;

/** The first column names the row; the others are numbers, unless they are not. */
export function table(head: readonly string[], rows: readonly (readonly Cell[])[]): Html {
  const cell = (content: Cell, scope: 'col' | 'row' | undefined): string => {
    const html = typeof content === 'string' ? escape(content) : content.html;
    return scope === undefined ? `<td>${html}</td>` : `<th scope="${scope}">${html}</th>`;
  };
  const titles = head.map((words) => cell(words, 'col')).join('');
  const body = rows.map((row) => `<tr>${row.map((words, i) => cell(words, i === 0 ? 'row' : undefined)).join('')}</tr>`);
  return { html: `<div class="wide"><table>\n<tr>${titles}</tr>\n${body.join('\n')}\n</table></div>` };
}

const STYLE = `
:root{color-scheme:light dark}
body{margin:0 auto;max-width:72rem;padding:1.5rem;font:16px/1.5 system-ui,sans-serif;color:var(--plot-ink);
background:var(--plot-ground)}
h1{font-size:1.6rem;margin:0 0 .25rem}
h2{font-size:1.1rem;margin:2.5rem 0 .5rem}
h3{font-size:1rem;margin:1.5rem 0 .5rem}
p{max-width:42rem}
.faint,figcaption{color:var(--plot-faint)}
.gallery{margin-top:1rem;display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,20rem),1fr));gap:1.5rem 2rem}
figure{margin:0}
figure svg{width:100%;height:auto}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.2rem .8rem .2rem 0;text-align:right;font-weight:400;border-bottom:1px solid var(--plot-grid);white-space:nowrap}
th:first-child,td:first-child{text-align:left}
tr:first-child th{color:var(--plot-faint)}
label{display:block;margin:.5rem 0}
input,select,button{font:inherit;max-width:100%;box-sizing:border-box}
code,pre{font:14px ui-monospace,monospace}
pre{overflow-x:auto}
@media print{body{padding:0;font-size:12px}section{break-inside:avoid-page}}
`;

/** The whole file. */
export function page(title: string, ...parts: readonly Html[]): string {
  return [
    '<!doctype html>',
    '<html lang="en">',
    '<head>',
    '<meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    `<title>${escape(title)}</title>`,
    `<style>${STYLE}${plotStyle}</style>`,
    '</head>',
    '<body>',
    '<main>',
    `<h1>${escape(title)}</h1>`,
    ...parts.map(({ html }) => html),
    '</main>',
    '</body>',
    '</html>',
    '',
  ].join('\n');
}

function join(parts: readonly Html[]): string {
  return parts.map(({ html }) => html).join('');
}
