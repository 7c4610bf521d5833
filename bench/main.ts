// npm run bench <name>: runs bench/<name>.bench.ts, what needs a clone: peers, probes, a bare machine. Without a name,
// says which there are. What needs none is `remit-mini bench`: command.ts.

import { ConfigError } from '../engine/errors.ts';
import { didYouMean } from '../engine/nearest.ts';
import { exitCode } from '../remit/app/cli/exit.ts';
import { layout } from '../remit/app/cli/layout.ts';
import { report } from '../remit/app/cli/main.ts';
import { outliveReaders } from '../remit/app/cli/streams.ts';
import { columns, print } from '../remit/app/cli/terminal.ts';

interface Bench {
  readonly help: string;
  /** Prints what it measured. Throws ConfigError for arguments that it does not know. */
  run(argv: readonly string[]): Promise<unknown>;
}

interface Entry {
  readonly about: string;
  load(): Promise<Bench>;
}

const benches: Readonly<Record<string, Entry>> = {
  dispatch: { about: 'what a dispatch costs the host', load: () => import('./dispatch.bench.ts') },
  gpu: { about: 'everything there is to know of a card, in one go', load: () => import('./gpu.bench.ts') },
  matmul: { about: 'the matrix product, beside its peers', load: () => import('./matmul.bench.ts') },
  peers: { about: 'training, products and generation, beside other engines', load: () => import('./peers.bench.ts') },
};

const help = `npm run bench <name> [-- arguments]

${Object.entries(benches).map(([name, { about }]) => `  ${name.padEnd(10)}  ${about}`).join('\n')}

  npm run bench <name> -- --help   what a benchmark takes

Kernels, steps and generation of this machine: npx remit-mini bench
`;

async function main([name, ...rest]: readonly string[]): Promise<void> {
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    return print(layout(help, columns()));
  }
  const entry = Object.hasOwn(benches, name) ? benches[name]! : undefined;
  if (entry === undefined) {
    throw new ConfigError(
      `bench: ${name}: no such benchmark: there are ` +
      `${Object.keys(benches).join(', ')}${didYouMean(name, Object.keys(benches))}`,
    );
  }
  const bench = await entry.load();
  if (rest.some((word) => word === '--help' || word === '-h')) print(layout(bench.help, columns()));
  else await bench.run(rest);
}

outliveReaders();
try {
  await main(process.argv.slice(2));
} catch (error) {
  report(error);
  process.exitCode = exitCode(error);
}
