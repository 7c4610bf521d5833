// One cell of a study, in this process: its run folder, its work, its result. Used by: study.ts, study-cells.ts. Read
// next: remit/app/study/cell.ts, which says what a cell does.

import { ConfigError } from '../../../engine/errors.ts';
import { newModel } from '../../phases/pretrain.ts';
import { tokenizerOf } from '../../experiment.ts';
import { keptOf } from '../run/experiment-file.ts';
import { configOf, phasesOfCell, runCell } from '../study/cell.ts';
import type { StudyFolder } from '../study/folder.ts';
import { allCells, type StudyOptions } from '../study/plan.ts';
import { openDevice } from './device.ts';
import { EXIT } from './exit.ts';
import { inRunFolder } from './session.ts';

// when a study was killed, its cells end after the step in hand, which takes long on a machine that is busy
const PATIENCE_MS = 60_000;

/**
 * Does a cell unless it is done; from where a process before was interrupted, if there was one. Ends when the study
 * that started it does.
 */
export async function oneCell(
  folder: StudyFolder,
  name: string,
  options: StudyOptions,
  { endsWithParent }: { readonly endsWithParent: boolean },
): Promise<number> {
  const seed = Number(/^seed-(\d+)\//.exec(name)?.[1]);
  const cell = allCells({ ...options, seeds: [seed] }).find((one) => one.name === name);
  if (cell === undefined) throw new ConfigError(`study: --cell ${name}: no such cell: they are like seed-1/remit.2`);
  if (folder.isDone(cell)) return EXIT.ok;
  if (endsWithParent) endWith(process.ppid);
  const config = configOf(cell, folder.config);
  const { world: opened } = options;
  const tokenizer = opened?.world.tokenizer ?? tokenizerOf(options.experiment?.experiment ?? {});
  const device = await openDevice(config.device);
  const model = newModel(config, tokenizer.vocabulary);
  return inRunFolder(
    {
      config,
      device,
      model,
      tokenizer,
      ...(opened && { data: opened.contents }),
      out: folder.cell(cell),
      name,
      resume: 'in-place',
      patience: PATIENCE_MS,
      plan: 'a study',
      phases: phasesOfCell(cell),
      experiment: options.experiment && keptOf(options.experiment),
    },
    async (run) => {
      folder.count(cell, 'starts');
      run.report('result', await runCell(cell, config, folder.equip(run, cell.seed), options));
      folder.count(cell, 'completions');
    },
  );
}

/** Asks this process to end, as a signal would, when its parent is gone. */
function endWith(parent: number): void {
  const watch = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(watch);
    process.kill(process.pid, 'SIGTERM');
  }, 500).unref();
}
