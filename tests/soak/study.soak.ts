// Studies whose processes are killed at random, the study's own and those of its cells: each ends with the report of
// one left alone. REMIT_SOAK_MINUTES says for how long (default 120).

import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { rng } from '../../engine/rng.ts';
import { compiledProgram } from '../support/faults.ts';
import { temporaryFolder } from '../support/temporary.ts';

const minutes = Number(process.env.REMIT_SOAK_MINUTES ?? 120);
const scratch = temporaryFolder();
const program = compiledProgram();
const reports = ['report.md', 'report.json', 'report.csv'];

function study(out: string, seed: number): ChildProcess {
  const settings = [
    '--preset', 'short', '--set', 'checkpoint.seconds=1', '--arms', 'vanilla,remit.2', '--iterations', '1', '--light',
    '--seeds', `${seed}`, '--jobs', '2',
  ];
  return spawn(process.execPath, [program, 'study', '--out', out, ...settings], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
}

/** Resolves to its exit code and what it said, null when it was killed. */
async function end(child: ChildProcess): Promise<{ code: number | null; said: string }> {
  let said = '';
  child.stderr!.on('data', (part: Buffer) => { said += part.toString(); });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, said };
}

function childrenOf({ pid }: ChildProcess): number[] {
  try {
    return execFileSync('ps', ['-o', 'pid=', '--ppid', `${pid}`], { encoding: 'utf8' }).trim().split(/\s+/).map(Number);
  } catch {
    return []; // ps finds none
  }
}

/** How many processes that ended: 0 if it had come to its end a moment before. */
function kill(pid: number): 0 | 1 {
  try {
    process.kill(pid, 'SIGKILL');
    return 1;
  } catch {
    return 0;
  }
}

test(`studies under random kills, for ${minutes} minutes`, async () => {
  const until = performance.now() + minutes * 60_000;
  const kills = { study: 0, cell: 0, term: 0 };
  const draw = rng(7).stream();
  let rounds = 0;
  for (; rounds === 0 || performance.now() < until; rounds++) {
    const [calm, killed] = [join(scratch, 'calm'), join(scratch, 'killed')];
    const began = performance.now();
    expect((await end(study(calm, rounds))).code).toBe(0);
    const took = performance.now() - began;
    for (let finished = false; !finished;) {
      const child = study(killed, rounds);
      const ended = end(child);
      const timer = setTimeout(() => {
        const cells = childrenOf(child);
        const how = draw.int(3);
        if (how === 0 && cells.length > 0) kills.cell += kill(cells[draw.int(cells.length)]!);
        else if (how === 1) { kills.term++; child.kill('SIGTERM'); }
        else { kills.study++; child.kill('SIGKILL'); }
      }, 300 + draw.int(Math.ceil(took / 2)));
      const { code, said } = await ended;
      clearTimeout(timer);
      finished = code === 0;
      // a cell that was killed ends the study, which says so
      if (code !== 0 && code !== null && code !== 143) expect(said).toMatch(/ended with SIGKILL/);
    }
    for (const name of reports) {
      expect(readFileSync(join(killed, name), 'utf8'), name).toBe(readFileSync(join(calm, name), 'utf8'));
    }
    // a cell of a study that was killed may still be on its way out
    for (const folder of [calm, killed]) rmSync(folder, { recursive: true, maxRetries: 10 });
    console.log(
      `${rounds + 1} studies, ${kills.study} times the study killed, ${kills.cell} times a cell, ${kills.term} times ` +
      'SIGTERM: 0 reports differ',
    );
  }
});
