// A model of the characters of a text of yours, and some of what it writes. Run it in a folder where remit-mini is
// installed: npx tsx characters.ts [text.txt].

import { readFileSync } from 'node:fs';
import {
  characterTokenizer, createDevice, generate, newModel, pretrain, quietRun, resolveConfig, rng, textCorpus,
} from 'remit-mini';

const file = process.argv[2];
const text = file === undefined ? 'the cat sat on the mat. the dog lay on the log. '.repeat(200) : readFileSync(file, 'utf8');

await createDevice('cpu');
const { config } = resolveConfig({
  flags: [['model.context', '32'], ['pretrain.steps', '120'], ['pretrain.batch', '16'], ['pretrain.rate', '5e-3']],
});
const tokenizer = characterTokenizer([...new Set(text)].sort().join(''));
const corpus = textCorpus(tokenizer.encode(text), { context: config.model.context, validation: 0.1 }, rng(config.seed));

const run = {
  ...quietRun,
  log({ step, loss }: { step: number; loss: number }) {
    if (step % 40 === 0) console.log(`step ${step}: ${loss.toFixed(2)} nats a character`);
  },
};
const model = await pretrain(config, corpus, newModel(config, tokenizer.vocabulary), run);

const prompt = tokenizer.encode(text.slice(0, 4));
const written = await generate(model, prompt, {
  batch: 1, maxNew: 28, temperature: 0.8, topP: 0.95, vocabulary: tokenizer.vocabulary, seed: rng(7),
});
console.log(tokenizer.decode(written));
