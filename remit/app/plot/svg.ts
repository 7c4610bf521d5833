// SVG as text: an element, a number, what every chart has round it. No DOM: the same in Node, a worker and a page.
// Colours are classes; style.ts says what they are. Read next: scale.ts, lines.ts.

import { optional, real, string, text, type Rules } from '../../../engine/options.ts';

/** What every chart is told. */
export interface Frame {
  readonly title: string;
  /** For who cannot see the picture: what it shows, in a sentence. By default made from the data. */
  readonly description?: string | undefined;
  /** Of the view box, in units of which text is 12 high. */
  readonly width?: number | undefined;
  readonly height?: number | undefined;
}

export const frameRules: Rules<Frame> = {
  title: text,
  description: optional(string),
  width: optional(real({ from: 200, to: 10_000 })),
  height: optional(real({ from: 60, to: 10_000 })),
};

export const WIDTH = 420;
export const HEIGHT = 260;
export const TEXT = 12;
const LETTER = 6.6; // at that height, about
const SERIES = 8; // colours, in style.ts

type Attributes = Readonly<Record<string, string | number | undefined>>;

/** `<name attributes>children</name>`; an attribute that is undefined is left out. Children are SVG already. */
export function element(name: string, attributes: Attributes, ...children: readonly string[]): string {
  const words = Object.entries(attributes).flatMap(([key, value]) =>
    value === undefined ? [] : [`${key}="${typeof value === 'number' ? round(value) : escape(value)}"`],
  );
  const head = [name, ...words].join(' ');
  return children.length === 0 ? `<${head}/>` : `<${head}>${children.join('')}</${name}>`;
}

/** Text at a place, its baseline at y. */
export function label(x: number, y: number, words: string, attributes: Attributes = {}): string {
  return element('text', { x, y, ...attributes }, escape(words));
}

/** A whole picture, named for screen readers, with its title above it. */
export function picture(frame: Frame, described: string, height: number, body: readonly string[]): string {
  const { title, description = described, width = WIDTH } = frame;
  return element(
    'svg',
    {
      xmlns: 'http://www.w3.org/2000/svg',
      class: 'plot',
      viewBox: `0 0 ${round(width)} ${round(height)}`,
      role: 'img',
    },
    element('title', {}, escape(title)),
    element('desc', {}, escape(description)),
    label(0, 15, fitted(title, width), { class: 'plot-title' }),
    ...body,
  );
}

/** A polygonal line; a point that is not a number interrupts it. */
export function path(points: readonly (readonly [x: number, y: number])[]): string {
  let pen = 'M';
  return points.map(([x, y]) => {
    const drawn = Number.isFinite(x) && Number.isFinite(y);
    const command = drawn ? `${pen}${round(x)} ${round(y)}` : '';
    pen = drawn ? 'L' : 'M';
    return command;
  }).join('');
}

/** The class of the i-th of several things. */
export const series = (i: number): string => `plot-${(i % SERIES) + 1}`;

/** How wide a text is, about. */
export const widthOf = (words: string): number => words.length * LETTER;

/** The text, or as much of it as fits. */
export function fitted(words: string, width: number): string {
  const room = Math.max(2, Math.floor(width / LETTER));
  return words.length <= room ? words : `${words.slice(0, room - 1)}…`;
}

export function escape(words: string): string {
  return words
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll(/[\0-\x08\x0b\x0c\x0e-\x1f]/g, '\uFFFD'); // XML has no such characters
}

function round(value: number): string {
  return String(Number(value.toFixed(1)));
}
