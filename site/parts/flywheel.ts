// The paper's figure 1: training runs one way, and ReMiT closes the loop. A stage is lit when the run at hand has done
// it.

import { html, nothing, type TemplateResult } from 'lit-html';
import type { RunView } from '../page.ts';
import { chart } from './draw.ts';

type Box = readonly [stage: string, name: string, words: string, x: number, y: number];

const BOXES: readonly Box[] = [
  ['pretrain', 'Pre-training', 'reads', 10, 12],
  ['midtrain', 'Mid-training', 'reads better rows', 130, 12],
  ['sft', 'SFT', 'is shown answers', 250, 12],
  ['rl', 'RL', 'is paid for answers', 370, 12],
  ['remit', 'ReMiT', 'reads with advice', 130, 88],
  ['remit-sft', 'SFT again', 'is shown answers', 250, 88],
  ['remit-rl', 'RL again', 'is paid for answers', 370, 88],
];

const ARROWS = [
  'M114,32H128',
  'M234,32H248',
  'M354,32H368',
  'M62,52V108H128',
  'M422,52V70H182V86',
  'M234,108H248',
  'M354,108H368',
];

const ABOUT = 'The flywheel: pretrain, midtrain, sft, rl; the rl model advises remit, which begins at pretrain again';

export function flywheel(run: RunView | undefined): TemplateResult {
  const isDone = (name: string): boolean => run?.stages.some((stage) => stage.name === name) ?? false;
  const box = ([stage, name, words, x, y]: Box): string =>
    `<g class="${isDone(stage) ? 'lit' : ''}"><rect x="${x}" y="${y}" width="104" height="40" rx="4"/>` +
    `<text x="${x + 52}" y="${y + 17}">${name}</text><text class="sub" x="${x + 52}" y="${y + 32}">${words}</text></g>`;
  const tip =
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">' +
    '<path d="M0,0L8,4L0,8z"/></marker></defs>';
  const svg = [
    `<svg class="wheel" viewBox="0 0 484 140" role="img" aria-label="${ABOUT}">`,
    tip,
    ...BOXES.map(box),
    ...ARROWS.map((d) => `<path d="${d}" marker-end="url(#tip)"/>`),
    '<text class="sub" x="300" y="66">advice on each character</text></svg>',
  ];
  const hint = html`<p class="quiet">Lit when your run has done it: press Train above. Until then the models below are those
    that came with the page.</p>`;
  return html`${chart(svg.join(''))}${run === undefined ? hint : nothing}`;
}
