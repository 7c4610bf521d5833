// npm run bench <name>: runs bench/<name>.bench.ts. Without a name, says which there are.

const benches: Readonly<Record<string, () => Promise<{ run(argv: readonly string[]): Promise<void> }>>> = {
  dispatch: () => import('./dispatch.bench.ts'),
  gpu: () => import('./gpu.bench.ts'),
  kernels: () => import('./kernels.bench.ts'),
  matmul: () => import('./matmul.bench.ts'),
  peers: () => import('./peers.bench.ts'),
  step: () => import('./step.bench.ts'),
};

const [name = '', ...rest] = process.argv.slice(2), load = Object.hasOwn(benches, name) ? benches[name] : undefined;
if (load) {
  await (await load()).run(rest);
} else {
  console.error(`npm run bench <name>: one of ${Object.keys(benches).join(', ')}`);
  process.exitCode = 2;
}
