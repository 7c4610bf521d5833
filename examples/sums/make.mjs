// Makes a world of files: sums of two numbers of two or three digits, with the carries written out or not. Run it with a
// folder: node examples/sums/make.mjs my-sums; then: npx remit-mini train --world my-sums.
//
//   347+85=<7+5=12.4+8+1=13.3+1=4.>432     thinking: column by column, the carry in front of the next
//   347+85=432                             at once
//
// Texts show both, sometimes wrongly; demonstrations are half and half, and right. Questions for RL and for the test are
// other sums than those that are shown.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [folder = 'sums', size = '1'] = process.argv.slice(2);
const share = Number(size); // of the lines of the whole world

/** Numbers that follow from a seed (mulberry32). */
let state = 16;
function random() {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
}
const below = (n) => Math.floor(random() * n);
const number = () => (random() < 0.3 ? 10 + below(90) : 100 + below(900)); // one digit is what a column has

/** The columns of a sum, from the right: `7+5=12.4+8+1=13.` */
function steps(a, b) {
  let carry = 0;
  let text = '';
  for (let [x, y] = [a, b]; x > 0 || y > 0 || text === ''; [x, y] = [Math.floor(x / 10), Math.floor(y / 10)]) {
    const column = (x % 10) + (y % 10) + carry;
    text += `${x % 10}+${y % 10}${carry ? '+1' : ''}=${column}.`;
    carry = column > 9 ? 1 : 0;
  }
  return text;
}

const thought = (a, b) => `<${steps(a, b)}>${a + b}`;
const sums = new Set();

/** So many sums that no other part has. */
function draw(count) {
  const drawn = [];
  while (drawn.length < Math.max(2, Math.round(share * count))) {
    const [a, b] = [number(), number()];
    const prompt = `${a}+${b}=`;
    if (sums.has(prompt)) continue;
    sums.add(prompt);
    drawn.push({ a, b, prompt, answer: String(a + b) });
  }
  return drawn;
}

/** Lines of text: thinking in a third, wrong in a share of them. */
function text(count, wrong) {
  const lines = draw(count).map(({ a, b, prompt }) => {
    const error = random() < wrong ? 1 + below(9) : 0;
    return prompt + (random() < 0.35 ? thought(a, b + error) : String(a + b + error));
  });
  return `${lines.join('\n')}\n`;
}

mkdirSync(folder, { recursive: true });
const write = (name, contents) => writeFileSync(join(folder, name), contents);
const jsonl = (all) => all.map((line) => `${JSON.stringify(line)}\n`).join('');
const task = (a, b) => `${String(a).length} + ${String(b).length} digits`;
write('eval.jsonl', jsonl(draw(300).map(({ a, b, prompt, answer }) => ({ prompt, answer, task: task(a, b) }))));
write('rl.jsonl', jsonl(draw(3000).map(({ prompt, answer }) => ({ prompt, answer }))));
write('pretrain.txt', text(60000, 0.2));
write('midtrain.txt', text(20000, 0.05));
write('sft.jsonl', jsonl(draw(3000).map(({ a, b, prompt, answer }) => (
  { prompt, response: random() < 0.5 ? thought(a, b) : answer }
))));
write('world.json', `${JSON.stringify({
  name: 'sums', tokenizer: 'characters', context: 48, stop: '\n', cue: '<', answer: 38, reward: 'last number',
  settings: { pretrain: { steps: 3000 }, midtrain: { steps: 1000 }, sft: { steps: 600 }, rl: { steps: 200 } },
}, null, 2)}\n`);
