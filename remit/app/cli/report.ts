// `remit-mini report`: a run or a study as one HTML file. Read next: remit/app/report/run.ts, study.ts.

import { existsSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { ConfigError } from '../../../engine/errors.ts';
import { page } from '../report/page.ts';
import { runReport } from '../report/run.ts';
import { studyReport } from '../report/study.ts';
import { reason } from '../run/reason.ts';
import { readArguments } from './arguments.ts';
import { EXIT } from './exit.ts';
import { print } from './terminal.ts';

export const help = `remit-mini report <run or study> [flags]

Writes report.html: scores, curves and settings of a run, or the report of a study with its figures. One file without a script, to be
mailed, printed, and read in light or dark. A run may still be training.

  --out <file.html>    elsewhere; report.html in the folder unless given
`;

export async function run(argv: readonly string[]): Promise<number> {
  const args = readArguments('report', argv, { out: { type: 'string' } }, 1);
  const [folder] = args.positionals;
  if (folder === undefined) throw new ConfigError('report: which run or study? Give its folder');
  const out = args.text('out') ?? join(folder, 'report.html');
  const html = pageOf(folder);
  try {
    writeFileSync(out, html);
  } catch (error) {
    throw new ConfigError(`report: --out ${out}: ${reason(error)}: give a file in a folder that can be written`);
  }
  print(out);
  return EXIT.ok;
}

function pageOf(folder: string): string {
  const name = basename(resolve(folder));
  if (existsSync(join(folder, 'study.json'))) return page(`Study ${name}`, ...studyReport(folder));
  if (existsSync(join(folder, 'config.json'))) return page(`Run ${name}`, ...runReport(folder));
  throw new ConfigError(
    `report: ${folder}: ${existsSync(folder) ? 'is neither a run nor a study' : 'no such folder'}: see remit-mini runs`,
  );
}
