// A row of text whose tokens are coloured by a number: blue below the middle, orange above, plain at it. This is the
// picture of ReMiT: which tokens the RL model wants its own base to learn from. Read after: svg.ts.

import {
  anything, checkArguments, checkOptions, having, list, optional, real, string, type Rule, type Rules,
} from '../../../engine/options.ts';
import { short } from './scale.ts';
import { element, escape, frameRules, label, picture, WIDTH, type Frame } from './svg.ts';

/** A token, and the number that colours it. */
export interface Token {
  readonly text: string;
  readonly value: number;
  /** Shown when pointed at; the value unless given. */
  readonly about?: string | undefined;
}

/** What tokenRow() draws. */
export interface TokenRow extends Omit<Frame, 'height'> {
  readonly tokens: readonly Token[];
  /** The value without colour; by default 1. */
  readonly middle?: number | undefined;
  /** How far from it the colour is full; by default .2. */
  readonly reach?: number | undefined;
}

const { height: _, ...lyingRules } = frameRules;
const aToken = having<Token>('a token { text, value }', { text: string, value: real(), about: optional(string) });

const rules: Rules<TokenRow> = {
  ...lyingRules,
  tokens: list('a list of tokens', aToken) as Rule<readonly Token[]>,
  middle: optional(real(), 1),
  reach: optional(real({ above: 0 }), 0.2),
};

const TOP = 26;
const ROW = 24;
const LETTER = 8;
const PADDING = 4;

/** The row as SVG, in as many lines as it takes. Throws ConfigError. */
export function tokenRow(options: TokenRow): string {
  checkArguments('tokenRow', arguments, { options: anything });
  const chart = checkOptions<TokenRow>('tokenRow', options, rules);
  const { tokens, middle = 1, reach = 0.2, width = WIDTH } = chart;
  let x = 0;
  let y = TOP;
  const cells = tokens.map(({ text, value, about = short(value) }) => {
    const seen = visible(text);
    const size = [...seen].length * LETTER + PADDING;
    if (x > 0 && x + size > width) [x, y] = [0, y + ROW];
    const share = Math.max(-1, Math.min(1, (value - middle) / reach));
    const fill = share < 0 ? 'var(--plot-low)' : 'var(--plot-high)';
    const opacity = String(Math.abs(Number(share.toFixed(2))));
    const cell = element(
      'g',
      {},
      element('title', {}, escape(`${seen}: ${about}`)),
      element('rect', { x, y, width: size - 1, height: ROW - 4, rx: 2, fill, 'fill-opacity': opacity }),
      label(x + size / 2, y + 14, seen, { class: 'plot-token', 'text-anchor': 'middle' }),
    );
    x += size;
    return cell;
  });
  const described = tokens.map(({ text, value }) => `${visible(text)} ${short(Number(value.toPrecision(3)))}`);
  return picture(chart, described.join(', '), y + ROW, cells);
}

const visible = (text: string): string => text.replaceAll(' ', '␣').replaceAll('\n', '⏎').replaceAll('\t', '⇥');
