// Every program of ours as text: each instruction is read back, and a small one reads as it was written.

import { expect, test } from 'vitest';
import { kernels } from '../../kernels/index.ts';
import { WasmModule } from '../../kernels/wasm/assembler.ts';
import { disassemble } from '../../kernels/wasm/disassembler.ts';
import { i32 } from '../../kernels/wasm/instructions.ts';
import { inProcess } from '../support/command-line.ts';

const options = { shared: true, maximumPages: 65536, relaxed: true, wide: true };

test('a loop', () => {
  const module = new WasmModule(options);
  module.function('count', ['n'], (f, { n }) => {
    const i = f.local('i32');
    f.loop(i, n, 2, () => f.set(i, i32.add(i, 1)));
  });
  const { lines, locals } = disassemble(module.bodies().get('count')!);
  expect(locals).toEqual({ i32: 1, f32: 0, v128: 0 });
  expect(lines.map((line) => line.trim()).filter((line) => /const|add|loop|end/.test(line))).toEqual([
    'i32.const 0', 'loop', 'i32.const 1', 'i32.add', 'i32.const 2', 'i32.add', 'end', 'end', 'end',
  ]);
});

test.each(kernels.filter(({ wasm }) => wasm).map((kernel) => [kernel.name, kernel] as const))('%s', (_, { wasm }) => {
  const module = new WasmModule(options);
  for (const part of wasm!.parts) {
    module.function(part.name, ['args', 'first', 'last', 'scratch'], (f, { args, ...range }) =>
      part.emit(f, args, range),
    );
  }
  for (const [name, bytes] of module.bodies()) {
    const { lines } = disassemble(bytes);
    expect(lines.at(-1), name).toBe('end'); // read to its end, and not beyond
    expect(lines.join('\n')).toMatch(/(load|store|copy|call)/);
  }
});

test('what no assembler of ours writes is an error', () => {
  expect(() => disassemble([3, 0, 0xff, 0x0b])).toThrow('no instruction is [');
  expect(() => disassemble([3, 0, 0x41])).toThrow('the code ends in the middle of an instruction');
});

test('remit-mini show: reference, shader, WebAssembly; one of them; the list', async () => {
  const all = await inProcess(['show', 'softmax']);
  expect(all.stdout).toMatch(/^\/\/ softmax: reference; [^]*@compute[^]*\n;; softmax: WebAssembly [^]*f32x4\./);
  const tiled = await inProcess(['show', 'matmul', '--variant', 'large', '--set', 'M=256,N=256']);
  expect(tiled.stdout).toMatch(/launches 2 x 2 x 1 workgroups[^]*workgroups of [\d x]+ threads, \d+ bytes of their own/);
  expect((await inProcess(['show'])).stdout).toMatch(/^matmul +reference, portable, /m);
});

test.each([
  [['softmx'], 'show: softmx: no such kernel: see remit-mini show: did you mean softmax?'],
  [['matmul', '--variant', 'huge'], 'show: matmul: --variant huge: must be one of reference, '],
  [['matmul', '--set', 'Q=3'], 'show: --set Q=3: matmul takes batch, M, '],
  [['matmul', '--set', 'M=x'], 'show: --set M=x: must be <param>=<number>, such as M=64'],
])('show %j is refused in one line', async (args, message) => {
  const { code, stderr } = await inProcess(['show', ...args]);
  expect([code, stderr.includes(message)]).toEqual([2, true]);
});
