// stdout and stderr of the program, and what becomes of it when they fail. Used by: bin.ts.

import { EXIT } from './exit.ts';
import { say } from './terminal.ts';

/** Whoever read the stream is gone: a pipe that was closed (| head), a terminal that was hung up. */
const GONE = new Set(['EPIPE', 'EIO', 'ENXIO', 'ECONNRESET', 'ERR_STREAM_DESTROYED']);

/**
 * A reader that leaves ends nothing: what is written to it is dropped, and the run goes on in silence. A result that
 * cannot be written for another reason, a full disk say, is told, and the exit code is 1.
 */
export function outliveReaders(): void {
  let told = false;
  process.stderr.on('error', () => {}); // there is nowhere to say so
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (told || GONE.has(error.code ?? '')) return;
    told = true;
    process.exitCode = EXIT.failed;
    say(`error: stdout: ${error.message}: the result is not all there`);
  });
}
