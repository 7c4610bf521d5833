#!/usr/bin/env node
// The program `remit-mini`. It looks at Node's version before it loads anything that an old Node could not read.
// Read next: main.ts.

const [major, minor] = process.versions.node.split('.').map(Number) as [number, number];

if (major > 20 || (major === 20 && minor >= 19)) {
  const { main } = await import('./main.ts');
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(); // `remit-mini ... | head` reads no further: that is no failure
    throw error;
  });
  process.exitCode = await main(process.argv.slice(2));
} else {
  console.error(`remit-mini: Node ${process.versions.node}: needs 20.19 or newer: see https://nodejs.org`);
  process.exitCode = 1;
}
