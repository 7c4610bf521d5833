// node --import ./tests/support/fault.mjs ... : the file system of a run folder goes wrong at a chosen call.
//   REMIT_FAULT=<what>:<n>:<folder>
// kill: SIGKILL just before call n. torn: half of what it writes, then SIGKILL. ENOSPC, EIO: call n fails, once.
// count: nothing happens; the number of calls goes to stdout at the end. Calls are counted that touch files below the
// folder: those that change something, and for EIO and count-reads those that read, too. The program itself knows
// nothing of this. A study's cells are left alone: its own calls are counted. But for gone: somebody removes the folder
// just before call n of a cell.

import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { resolve, sep } from 'node:path';

const [what, at, folder] = process.env.REMIT_FAULT.split(':');
const root = resolve(folder);
const isCell = process.argv.includes('--cell');
const changing = [
  'openSync', 'writeFileSync', 'writeSync', 'fsyncSync', 'ftruncateSync', 'closeSync', 'renameSync', 'rmSync',
  'mkdirSync',
];
const reading = ['readFileSync', 'readSync', 'readdirSync'];
const files = new Set(); // descriptors of files below the folder
// fs calls itself
let calls = 0;
let inside = false;

const below = (target) =>
  typeof target === 'number'
    ? files.has(target)
    : typeof target === 'string' && `${resolve(target)}${sep}`.startsWith(root + sep);

function die() {
  process.kill(process.pid, 'SIGKILL');
  for (;;);
}

function half(data) {
  return typeof data === 'string' ? data.slice(0, data.length >> 1) : data.subarray(0, data.length >> 1);
}

for (const name of what === 'EIO' || what === 'count-reads' ? [...changing, ...reading] : changing) {
  if (isCell !== (what === 'gone')) break;
  const real = fs[name];
  fs[name] = (...args) => {
    if (inside || !below(args[0])) return real(...args);
    inside = true;
    try {
      if (++calls === Number(at)) {
        if (what === 'torn' && name === 'writeFileSync') real(args[0], half(args[1]), args[2]);
        if (what === 'gone') fs.rmSync(root, { recursive: true });
        if (what === 'kill' || what === 'torn') die();
        if (what === 'ENOSPC' || what === 'EIO') {
          throw Object.assign(new Error(`${what}: injected, ${name}`), { code: what, syscall: name });
        }
      }
      const result = real(...args);
      if (name === 'openSync') files.add(result);
      if (name === 'closeSync') files.delete(args[0]);
      return result;
    } finally {
      inside = false;
    }
  };
}
syncBuiltinESMExports();
if (what.startsWith('count')) process.on('exit', () => fs.writeSync(1, `\ncalls ${calls}\n`));
