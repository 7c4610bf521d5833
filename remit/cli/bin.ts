#!/usr/bin/env node
// The program `remit-mini`. It looks at Node's version before it loads anything that an old Node could not read.
// Read next: ../app/cli/main.ts, streams.ts.

const [major, minor] = process.versions.node.split('.').map(Number) as [number, number];

if (major > 20 || (major === 20 && minor >= 19)) {
  try {
    await start();
  } catch (error) { // of this program's own files, one cannot be read
    console.error(`error: ${(error as Error).message.split('\n')[0]}`);
    process.exitCode = 1;
  }
} else {
  console.error(`remit-mini: Node ${process.versions.node}: needs 20.19 or newer: see https://nodejs.org`);
  process.exitCode = 1;
}

async function start(): Promise<void> {
  const { outliveReaders } = await import('../app/cli/streams.ts');
  const { main, report } = await import('../app/cli/main.ts');
  const { exitCode } = await import('../app/cli/exit.ts');
  outliveReaders();
  process.on('uncaughtException', (error) => { // also of a promise that nobody waits for
    report(error);
    process.exit(exitCode(error));
  });
  const code = await main(process.argv.slice(2));
  process.exitCode ||= code; // a result that could not be written has said so
}
