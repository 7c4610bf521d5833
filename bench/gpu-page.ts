// The report of `npm run bench gpu` as a page of Markdown. Used by: gpu.bench.ts.

import type { Report, Row, StepRow } from './gpu.bench.ts';

export function page(report: Report): string {
  const { machine, parity } = report;
  const { name, driver, webgpu, node, system, torch, software } = machine as Readonly<Record<string, string>>;
  const engine =
    typeof torch === 'object'
      ? `PyTorch ${(torch as { torch: string }).torch} on ${(torch as { device: string }).device}`
      : 'no PyTorch';
  return [
    `# ${name}`,
    '',
    `${report.date}; driver ${driver}; webgpu ${webgpu}, Node ${node}, ${system}; ${engine} (eager, float32, TF32 ` +
    'off).',
    ...(software ? ['', 'A software adapter: right, not fast. Its times say nothing of a GPU.'] : []),
    ...(parity ? ['', parityLine(parity), ...parity.complaints.map((complaint) => `- ${complaint}`)] : []),
    ...section(
      'The matrix product, TFLOP/s (microseconds)',
      report.matmul,
      (ms, { flops }) => `${(flops! / ms / 1e9).toFixed(2)} (${micros(ms)})`,
    ),
    ...section(
      'Attention, microseconds (TFLOP/s)',
      report.attention,
      (ms, { flops }) => `${micros(ms)} (${(flops! / ms / 1e9).toFixed(2)})`,
    ),
    ...section(
      'Memory, GB/s (microseconds)',
      report.memory,
      (ms, { bytes }) => `${(bytes! / ms / 1e6).toFixed(0)} (${micros(ms)})`,
    ),
    ...section('What is paid whatever is computed, microseconds', report.latency, micros),
    ...section('A training step, milliseconds', report.step, (ms) => ms.toFixed(3)),
    ...(report.step ?? []).flatMap(stepProfile),
    ...section('Generation, milliseconds', report.generation, (ms) => ms.toFixed(2)),
    ...tuneTable(report.tune ?? []),
    '',
  ].join('\n');
}

function parityLine({ cases, programs, worst, complaints, lossesApart }: NonNullable<Report['parity']>): string {
  const verdict = complaints.length === 0 ? 'all right' : `${complaints.length} complaints`;
  const losses = `losses of training within ${lossesApart.toExponential(1)} of the CPU's`;
  return (
    `Parity: ${cases} cases, ${programs} runs of programs, ${verdict}; worst relative error ` +
    `${worst.toExponential(1)}; ${losses}.`
  );
}

/** A table of medians: a row for each shape, a column for each contender; the program that is chosen is marked. */
function section(title: string, rows: readonly Row[] | undefined, cell: (ms: number, row: Row) => string): string[] {
  if (!rows) return [];
  const names = [...new Set(rows.flatMap(({ turns }) => turns.map(({ name }) => name)))];
  const lines = rows.map((row) => [row.label, ...names.map((name) => {
    const found = row.turns.find((turn) => turn.name === name);
    return found ? `${cell(found.median, row)}${name === row.chosen ? ' *' : ''}` : '';
  })]);
  return ['', `## ${title}`, '', ...table(['', ...names], lines)];
}

function stepProfile({ label, turns, hostMs, dispatches, profile, tokens }: StepRow): string[] {
  const waiting = turns.find(({ name }) => name === 'waiting for each loss')!.median;
  const total = profile.reduce((sum, [, ms]) => sum + ms, 0);
  const lines = profile.map(([program, ms, calls]) => [
    program,
    `${calls}`,
    micros(ms),
    `${((100 * ms) / total).toFixed(1)}%`,
  ]);
  return [
    '',
    `### ${label}`,
    '',
    `${Math.round((1000 * tokens) / waiting)} tokens/s; ${dispatches} dispatches; our thread is busy for ` +
      `${hostMs.toFixed(3)} ms of a step, ${((100 * hostMs) / waiting).toFixed(0)}%; the GPU for ${total.toFixed(3)} ms at most.`,
    '',
    ...table(['program', 'calls', 'microseconds', 'share'], lines),
  ];
}

function tuneTable(found: NonNullable<Report['tune']>): string[] {
  if (found.length === 0) return [];
  const names = [...new Set(found.flatMap(({ times }) => Object.keys(times)))];
  const lines = found.map(({ key, table, times }) => [
    key,
    ...names.map((name) => (times[name] === undefined ? '' : `${times[name].toFixed(1)}${name === table ? ' *' : ''}`)),
  ]);
  return [
    '',
    '## Products of a training step, microseconds, best of several (* is what variants.ts takes)',
    '',
    ...table(['', ...names], lines),
  ];
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
}

function micros(ms: number): string {
  return (1000 * ms).toFixed(1);
}
