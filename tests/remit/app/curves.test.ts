// Curves as CSV and for TensorBoard: known bytes, and what is in them for a run and a study.

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { crc32c, eventFile } from '../../../remit/app/report/tensorboard.ts';
import type { StepRecord } from '../../../remit/phases/run.ts';
import { inProcess, remitMini, startRemitMini } from '../../support/command-line.ts';
import { temporaryFolder } from '../../support/temporary.ts';

const folder = temporaryFolder();
const at = (...names: string[]): string => join(folder, ...names);
const record = (phase: string, step: number, more: object): StepRecord =>
  ({ phase, step, steps: 2, loss: 1.5, rate: 0.25, gradNorm: 2, tokens: 7 * step, ...more });
const records = [record('pretrain', 1, {}), record('pretrain', 2, { loss: 1 }), record('rl', 1, { reward: 0.5 })];

function writeRun(...names: string[]): void {
  mkdirSync(at(...names), { recursive: true });
  writeFileSync(at(...names, 'config.json'), '{"seed":0}\n');
  writeFileSync(at(...names, 'metrics.jsonl'), `${records.map((one) => JSON.stringify(one)).join('\n')}\n{"phase":"r`);
}

test('checksums are Castagnoli\'s', () => {
  expect(crc32c(new TextEncoder().encode('123456789')).toString(16)).toBe('e3069283');
  expect(crc32c(new Uint8Array())).toBe(0);
});

test('the bytes of a small file', () => {
  const hex = Buffer.from(eventFile(new Map([['p', [record('p', 1, {})]]]), { tag: 't', said: 's' })).toString('hex');
  // the first frame as TensorBoard itself writes it, but for its time
  expect(hex.startsWith('18000000000000' + '00a37f4b22' + '090000000000000000' + '1a0d627261696e2e4576656e743a32')).toBe(true);
  expect(hex).toContain(Buffer.from('p/loss').toString('hex') + '15' + '0000c03f'); // 2: 1.5 as a float
});

/** Tags and values by step, read back as the format says, checksums included. */
function readEvents(bytes: Buffer): { step: number; values: Record<string, number> }[] {
  const masked = (data: Uint8Array): number => {
    const sum = crc32c(data);
    return (((sum >>> 15) | (sum << 17)) + 0xa282ead8) >>> 0;
  };
  const events: { step: number; values: Record<string, number> }[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = Number(bytes.readBigUInt64LE(at));
    const data = bytes.subarray(at + 12, at + 12 + length);
    expect(bytes.readUInt32LE(at + 8)).toBe(masked(bytes.subarray(at, at + 8)));
    expect(bytes.readUInt32LE(at + 12 + length)).toBe(masked(data));
    const fields = message(data);
    const summary = fields.find(([field]) => field === 5)?.[1] as Buffer | undefined;
    const values = (summary === undefined ? [] : message(summary)).map(([, value]) => message(value as Buffer));
    events.push({
      step: Number(fields.find(([field]) => field === 2)?.[1] ?? 0),
      values: Object.fromEntries(values.filter((one) => one.some(([field]) => field === 2)).map((one) => [
        String(one.find(([field]) => field === 1)![1]), (one.find(([field]) => field === 2)![1] as Buffer).readFloatLE(),
      ])),
    });
    at += length + 16;
  }
  return events;
}

function message(data: Buffer): [field: number, value: Buffer | number][] {
  const found: [number, Buffer | number][] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = data[at++]!;
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
  };
  while (at < data.length) {
    const key = varint();
    const [field, kind] = [key >> 3, key & 7];
    const size = kind === 0 ? 0 : kind === 1 ? 8 : kind === 5 ? 4 : varint();
    found.push([field, kind === 0 ? varint() : data.subarray(at, at + size)]);
    at += size;
  }
  return found;
}

test('a run: every number of every step; half a line at the end is left out', async () => {
  writeRun('run');
  expect(await inProcess(['export', at('run'), '--format', 'tensorboard'])).toMatchObject({ code: 0, stderr: '' });
  const file = at('run', 'tensorboard', 'events.out.tfevents.0000000000.remit-mini.0.v2');
  expect(readEvents(readFileSync(file)).slice(2)).toEqual([
    { step: 1, values: { 'pretrain/loss': 1.5, 'pretrain/rate': 0.25, 'pretrain/gradNorm': 2, 'pretrain/tokens': 7 } },
    { step: 2, values: { 'pretrain/loss': 1, 'pretrain/rate': 0.25, 'pretrain/gradNorm': 2, 'pretrain/tokens': 14 } },
    { step: 1, values: { 'rl/loss': 1.5, 'rl/rate': 0.25, 'rl/gradNorm': 2, 'rl/tokens': 7, 'rl/reward': 0.5 } },
  ]);
  expect(readFileSync(file, 'latin1')).toContain('```json\n{"seed":0}\n```');
  await inProcess(['export', at('run'), '--format', 'csv']);
  expect(readFileSync(at('run', 'metrics.csv'), 'utf8')).toBe(
    'phase,step,steps,loss,rate,gradNorm,tokens,reward\n' +
    'pretrain,1,2,1.5,0.25,2,7,\npretrain,2,2,1,0.25,2,14,\nrl,1,2,1.5,0.25,2,7,0.5\n',
  );
});

test('a study: a folder a cell, so that runs are named; seeds in their order', async () => {
  for (const cell of ['seed-10/base', 'seed-2/remit.2', 'seed-2/base']) writeRun('study', cell);
  writeFileSync(at('study', 'study.json'), '{}');
  const { stdout } = await inProcess(['export', at('study'), '--format', 'tensorboard', '--out', at('tb')]);
  expect(stdout.trim().split('\n').map((line) => line.slice(at('tb').length + 1).split('/').slice(0, -1).join('/'))).toEqual([
    'seed-2/base', 'seed-2/remit.2', 'seed-10/base',
  ]);
  await inProcess(['export', at('study'), '--format', 'csv', '--out', at('all.csv')]);
  const lines = readFileSync(at('all.csv'), 'utf8').trim().split('\n');
  expect([lines.length, lines[0]!.slice(0, 14), lines[1]]).toEqual([10, 'run,phase,step', 'seed-2/base,pretrain,1,2,1.5,0.25,2,7,']);
});

test.each([
  [[at('none'), '--format', 'csv'], 'export: '],
  [[folder, '--format', 'tensorboard'], 'has no metrics.jsonl: give the folder of a run or a study that has begun'],
  [[folder, '--format', 'csv', '--device', 'cpu'], 'nothing is computed for csv: leave it out'],
  [[folder, '--format', 'tensorbord'], 'must be huggingface, csv or tensorboard'],
])('export %j is refused in one line', async (args, message) => {
  const { code, stderr } = await inProcess(['export', ...args]);
  expect([code, stderr.includes(message), stderr.trim().split('\n').length]).toEqual([2, true, 1]);
});

const eventsOf = (...names: string[]): Buffer[] =>
  readdirSync(at(...names)).filter((name) => name.startsWith('events.')).map((name) => readFileSync(at(...names, name)));

/** Of a run that is whole: what export makes of it. */
async function exported(...names: string[]): Promise<Buffer> {
  expect((await inProcess(['export', at(...names), '--format', 'tensorboard'])).code).toBe(0);
  return readFileSync(at(...names, 'tensorboard', 'events.out.tfevents.0000000000.remit-mini.0.v2'));
}

test('a run that was stopped and taken up again has logged the bytes that export makes of it', async () => {
  const words = [
    'train', 'pretrain', '--preset', 'short', '--pretrain.steps', '120', '--device', 'cpu', '--log', 'tensorboard',
  ];
  const child = startRemitMini([...words, '--out', at('live')]);
  const steps = (): number =>
    existsSync(at('live', 'metrics.jsonl')) ? readFileSync(at('live', 'metrics.jsonl'), 'utf8').split('\n').length : 0;
  while (steps() < 20) await new Promise((resolve) => setTimeout(resolve, 20));
  const [early] = eventsOf('live');
  expect(readEvents(early!).length).toBeGreaterThan(15); // while it trains; its checkpoint is older than that
  child.kill('SIGKILL');
  await new Promise((resolve) => child.once('exit', resolve));
  expect(steps()).toBeLessThan(120);
  const { code, stderr } = remitMini(['train', '--resume', at('live'), '--log', 'tensorboard']);
  expect([code, code === 0 ? '' : stderr]).toEqual([0, '']);
  const logged = eventsOf('live');
  expect(logged.map((bytes) => bytes.equals(logged[0]!))).toEqual([true]); // one file
  expect(logged[0]!.equals(await exported('live'))).toBe(true);
  expect(readEvents(logged[0]!)).toHaveLength(120 + 2); // the version and the text come first
}, 60_000);

test('the cells of a study log each in its folder', async () => {
  const words = [
    'study', '--preset', 'short', '--pretrain.steps', '4', '--pretrain.warmup', '1', '--midtrain.steps', '2', '--sft.steps', '1',
    '--rl.steps', '1', '--evaluate.questions', '2', '--device', 'cpu', '--iterations', '1', '--light', '--arms', 'vanilla',
    '--seeds', '1', '--log', 'tensorboard', '--out', at('live-study'),
  ];
  expect(remitMini(words).code).toBe(0);
  for (const cell of ['base', 'vanilla']) {
    const [logged] = eventsOf('live-study', 'seed-1', cell);
    expect(logged!.equals(await exported('live-study', 'seed-1', cell))).toBe(true);
  }
});

test.each([
  [['train', '--log', 'wandb'], 'train: --log wandb: must be tensorboard; metrics.jsonl is written anyhow'],
  [['study', 'plan', '--log', 'tensorboard'], 'study plan: --log: is for study: leave it out'],
])('%j is refused in one line', async (words, message) => {
  expect(await inProcess(words)).toMatchObject({ code: 2, stderr: `error: ${message}\n` });
});
