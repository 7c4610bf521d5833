// A row as a picture: each token coloured by its weight. Read after: remit/app/run/weigh.ts, remit/app/plot/tokens.ts.

import { tokenRow } from '../plot/tokens.ts';
import type { Row } from '../run/weigh.ts';

/** As SVG; colours are full at 1 - epsilon and 1 + epsilon. */
export function weightsChart(name: string, { text, tokens }: Row, epsilon: number): string {
  return tokenRow({
    title: `${name}: ${JSON.stringify(text).slice(0, 60)}`,
    reach: epsilon,
    width: 640,
    tokens: tokens.map(({ text, weight, gap }) => ({
      text,
      value: weight,
      about: `weight ${weight.toFixed(3)}, gap ${gap.toFixed(3)}`,
    })),
  });
}
