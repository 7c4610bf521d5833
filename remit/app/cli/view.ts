// `remit-mini view`: runs and studies in a browser, live while they are training. Read next: remit/app/view/server.ts.

import { spawn } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { ConfigError } from '../../../engine/errors.ts';
import { reason } from '../run/reason.ts';
import { serve, type Viewer } from '../view/server.ts';
import { readArguments } from './arguments.ts';
import { EXIT } from './exit.ts';
import { print } from './terminal.ts';

export const help = `remit-mini view [run, study or folder of them ...] [flags]

Shows runs and studies in the browser (runs, unless folders are given): scores,
curves of several over each other, settings that differ; a run that is training
is followed. A page that trains in the tab is linked from the list (in a clone:
npm run site builds it). Pages are for this machine alone, nothing is written,
and nothing outside of the folders is shown. Ctrl-C ends it. Over SSH: --port 8080 there,
ssh -L 8080:localhost:8080 host, and http://localhost:8080/ here.

  --port <n>           instead of any that is free
  --no-open            do not start a browser
`;

export async function run(argv: readonly string[]): Promise<number> {
  const args = readArguments('view', argv, { port: { type: 'string' }, 'no-open': { type: 'boolean' } }, Infinity);
  const folders = args.positionals.length === 0 ? ['runs'] : args.positionals;
  for (const folder of folders) checkFolder(folder);
  const viewer = await open(folders, portOf(args.text('port')));
  print(viewer.address);
  if (!args.has('no-open') && process.stdout.isTTY && !process.env.SSH_CONNECTION) startBrowser(viewer.address);
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve());
  });
  await viewer.close();
  return EXIT.ok;
}

function checkFolder(folder: string): void {
  if (!existsSync(folder)) throw new ConfigError(`view: ${folder}: no such folder: see remit-mini runs`);
  if (!statSync(folder).isDirectory()) throw new ConfigError(`view: ${folder}: is a file: runs are folders`);
}

function portOf(text: string | undefined): number {
  if (text === undefined) return 0;
  const port = Number(text);
  if (/^\d+$/.test(text) && port >= 1 && port <= 65_535) return port;
  throw new ConfigError(`view: --port ${text}: must be a whole number from 1 to 65535`);
}

async function open(folders: readonly string[], port: number): Promise<Viewer> {
  try {
    return await serve(folders, port);
  } catch (error) {
    throw new ConfigError(`view: --port ${port}: ${reason(error)}: leave it out for one that is free`);
  }
}

/** Where there is none, the address that was printed is enough. */
function startBrowser(address: string): void {
  const [program, ...args] =
    process.platform === 'darwin' ? ['open'] : process.platform === 'win32' ? ['cmd', '/c', 'start', '""'] : ['xdg-open'];
  const browser = spawn(program!, [...args, address], { stdio: 'ignore', detached: true });
  browser.on('error', () => undefined);
  browser.unref();
}
