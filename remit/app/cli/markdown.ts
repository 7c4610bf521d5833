// A report in Markdown, as a terminal of so many columns shows it: paragraphs filled, tables with their columns under
// each other, and those that are too wide in several parts, each with the first column. Used by: study.ts. Read next:
// layout.ts, remit/app/study/report.ts.

import { highest } from '../../../engine/extremes.ts';
import { hanging, layout, wrap } from './layout.ts';

const GAP = '  ';
const READABLE = 10; // columns that a cell of words keeps

type Row = readonly string[];

export function fitMarkdown(markdown: string, width: number): string {
  return markdown.split('\n\n').map((block) => {
    if (block.startsWith('| ')) return fitTable(block, width);
    if (block.startsWith('- ')) {
      return block
        .split('\n')
        .map((item) => hanging('- ', plain(item.slice(2)), width))
        .join('\n');
    }
    if (block.startsWith('![')) return block.split('\n').map((line) => /\((.*)\)/.exec(line)?.[1] ?? line).join('\n');
    return layout(plain(block), width);
  }).join('\n\n');
}

/** Without the marks of emphasis. */
function plain(text: string): string {
  return text.replaceAll('**', '');
}

function fitTable(block: string, width: number): string {
  const [head = [], , ...body] = block.split('\n').map((line): Row => line.slice(2, -2).split(' | ').map(plain));
  return parts([head, ...body], width).map(([titles = [], ...rows]) => {
    const widths = squeezed([titles, ...rows], width);
    const line = widths.map((each) => '-'.repeat(each)).join(GAP);
    return [...cells(titles, widths), line, ...rows.flatMap((row) => cells(row, widths))].join('\n');
  }).join('\n\n');
}

/** A table cut into such that fit when their words are wrapped; each begins with the first column. */
function parts(rows: readonly Row[], width: number): Row[][] {
  const least = rows[0]!.map((_, i) => leastWidth(rows, i));
  const found: number[][] = [];
  let used = Infinity;
  for (const columns of together(rows[0]!)) {
    const more = columns.reduce((sum, i) => sum + GAP.length + least[i]!, 0);
    if (used + more > width) {
      found.push([]);
      used = least[0]!;
    }
    for (const column of columns) found.at(-1)!.push(column);
    used += more;
  }
  return found.length === 0
    ? [[...rows]]
    : found.map((columns) => rows.map((row) => [0, ...columns].map((i) => row[i] ?? '')));
}

/**
 * The columns after the first, in groups that are not parted: a title that occurs again and again (less vanilla)
 * belongs to the one before.
 */
function together(titles: Row): number[][] {
  const groups: number[][] = [];
  titles.forEach((title, i) => {
    if (i === 0) return;
    if (titles.indexOf(title) !== titles.lastIndexOf(title) && groups.length > 0) groups.at(-1)!.push(i);
    else groups.push([i]);
  });
  return groups;
}

/** The width below which a column cannot be read: an interval or a name stays on one line. */
function leastWidth(rows: readonly Row[], i: number): number {
  return highest(rows.map((row) => (isWords(row[i] ?? '') ? READABLE : (row[i] ?? '').length)));
}

/** Cells of words can be wrapped, numbers with their intervals cannot. */
function isWords(cell: string): boolean {
  return cell.length > READABLE && cell.includes(' ') && !/^[-+]?\d/.test(cell);
}

/** The widths of columns: as wide as they want to be, or the widest of words less until all fit. */
function squeezed(rows: readonly Row[], width: number): number[] {
  const widths = rows[0]!.map((_, i) => highest(rows.map((row) => (row[i] ?? '').length)));
  const least = widths.map((_, i) => leastWidth(rows, i));
  const total = (): number => widths.reduce((sum, each) => sum + each, GAP.length * (widths.length - 1));
  while (total() > width) {
    const slack = widths.map((each, i) => each - least[i]!);
    const widest = slack.indexOf(highest(slack));
    if (slack[widest]! <= 0) break;
    widths[widest]!--;
  }
  return widths;
}

/** The lines of a row; a cell that begins with a number stands at the right. */
function cells(row: Row, widths: readonly number[]): string[] {
  const wrapped = row.map((cell, i) => (cell.length <= widths[i]! ? [cell] : wrap(cell, widths[i]!)));
  const height = highest(wrapped.map(({ length }) => length));
  return Array.from({ length: height }, (_, line) => wrapped.map((lines, i) => {
    const text = lines[line] ?? '';
    return /^[-+]?\d/.test(text) ? text.padStart(widths[i]!) : text.padEnd(widths[i]!);
  }).join(GAP).trimEnd());
}
