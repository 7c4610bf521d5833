// The commands devices and doctor, and what --device does, as real processes: on this machine as it is, with the
// package webgpu hidden, and, on linux-x64, on systems that are made up from SwiftShader's parts: a Vulkan library
// without a driver, and one with a software driver.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { hasSystemDriver } from '../../engine/webgpu/node-adapter.ts';
import { bundledSwiftShader } from '../../engine/webgpu/swiftshader.ts';
import { remitMini, type Outcome } from '../support/command-line.ts';
import { temporaryFolder } from '../support/temporary.ts';

const scratch = temporaryFolder();
const hidden = { REMIT_NO_WEBGPU: '1' };
const offReason = 'the package "webgpu" is switched off: unset REMIT_NO_WEBGPU';
const folder = bundledSwiftShader();
const linuxX64 = typeof folder === 'string';
let runs = 0;

/** One step of a very small model. */
function trainOnce(device: string, env: Record<string, string> = {}): Outcome & { readonly out: string } {
  const out = join(scratch, `run-${++runs}`);
  const sizes = ['model.width=8', 'model.layers=1', 'model.heads=2'].flatMap((size) => ['--set', size]);
  const steps = [
    '--pretrain.steps', '1', '--pretrain.warmup', '0', '--pretrain.batch', '2', '--evaluate.questions', '1',
  ];
  return { ...remitMini(['train', 'pretrain', ...sizes, ...steps, '--device', device, '--out', out], { env }), out };
}

describe('devices', () => {
  test('lists the CPU, the GPU and software, one line each', () => {
    const { code, stdout } = remitMini(['devices']);
    expect(code).toBe(0);
    const lines = stdout.trimEnd().split('\n');
    expect(lines).toHaveLength(3);
    expect(lines[0]).toMatch(/^cpu       \S.*, \d+ cores +--device (auto, or )?cpu$/);
    expect(lines[1]).toMatch(/^gpu       (none: .+|.+ --device auto, or webgpu)$/);
    expect(lines[2]).toMatch(
      linuxX64 ? /^software  \S.* (--device webgpu|not taken while there is a GPU)$/ : /^software  /,
    );
  });

  test('without the package there is the CPU', () => {
    const { code, stdout, stderr } = remitMini(['devices'], { env: hidden });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout.split('\n').slice(1)).toEqual([`gpu       none: ${offReason}`, `software  none: ${offReason}`, '']);
    expect(stdout).toMatch(/^cpu .* --device auto, or cpu\n/);
  });

  test('takes nothing', () => {
    expect(remitMini(['devices', 'all'])).toMatchObject({
      code: 2,
      stderr: 'error: devices: all: unexpected: see remit-mini devices --help\n',
    });
  });
});

describe('doctor', () => {
  test('computes on every device and says what it found', () => {
    const { code, stdout } = remitMini(['doctor']);
    expect(code).toBe(0);
    const names = stdout.split('\n').map((line) => line.slice(0, 12).trim()).filter((name) => name !== '');
    expect(names).toEqual(['remit-mini', 'node', 'webgpu', 'cpu', 'gpu', 'software', 'disk', 'advice']);
    expect(stdout).toContain(`node        ${process.versions.node} on ${process.platform} ${process.arch}`);
    expect(stdout).toMatch(/^cpu .*\n +matmul right \(\de-\d off at most\), [\d.e+]+ GFLOP\/s$/m);
    if (linuxX64) expect(stdout).toMatch(/^software .*\n +buffers to \d+ MiB, [^]*\n +matmul right /m);
    expect(stdout).toMatch(/^disk +[\d.]+ GiB free in /m);
    expect(stdout).toMatch(/^advice +training will use the [CG]PU/m);
  });

  test('without the package it checks the CPU', () => {
    const { code, stdout } = remitMini(['doctor'], { env: hidden });
    expect(code).toBe(0);
    expect(stdout.match(/matmul right/g)).toHaveLength(1);
    expect(stdout).toContain(`gpu         none: ${offReason}\n`);
  });
});

describe('--device', () => {
  test('webgpu without the package: exit code 3, one line, no run folder', () => {
    const { out, ...outcome } = trainOnce('webgpu', hidden);
    expect(outcome).toEqual({
      code: 3,
      stdout: '',
      stderr: `error: device: webgpu: ${offReason}; or use --device cpu\n`,
    });
    expect(existsSync(out)).toBe(false);
  });

  test('that is not there', () => {
    expect(trainOnce('tpu')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^error: config: device = "?tpu"? \(flag\): must be one of auto, cpu, webgpu/),
    });
  });

  /** Whether Dawn's library was loaded into the process, said on stderr at its end. */
  const watch =
    "process.on('exit',()=>{const " +
    "r=process.report;r.excludeNetwork=true;process.stderr.write('dawn:'+r.getReport().sharedObjects.some((p)=>p.endsWith('dawn.node')))})";
  const watched = { NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(watch)}` };

  test('cpu, and --help, never load the package webgpu', () => {
    expect(remitMini(['--help'], { env: watched }).stderr).toBe('dawn:false');
    const { code, stderr } = trainOnce('cpu', watched);
    expect(code).toBe(0);
    expect(stderr).toMatch(/dawn:false$/);
    if (linuxX64) expect(remitMini(['devices'], { env: watched }).stderr).toMatch(/dawn:true$/); // the watch works
  });

  test.skipIf(hasSystemDriver())(
    'auto does not either where there is no graphics driver (skipped where there is one), and says nothing',
    () => {
      const { code, stderr } = trainOnce('auto', watched);
      expect(code).toBe(0);
      expect(stderr).toMatch(/dawn:false$/);
      expect(stderr).not.toContain('computing on the CPU');
    },
  );
});

describe.runIf(linuxX64)('a system', () => {
  const system = (drivers: string) => ({
    LD_LIBRARY_PATH: `${folder}`,
    VK_DRIVER_FILES: drivers,
    VK_ICD_FILENAMES: drivers,
  });

  test('with a Vulkan library but no driver: auto says so and takes the CPU; software is found', () => {
    const { code, stderr } = trainOnce('auto', system('/no/such/driver.json'));
    expect(code).toBe(0);
    expect(stderr).toContain('computing on the CPU: no Vulkan driver answers: install that of your GPU\n');
    expect(remitMini(['devices'], { env: system('/no/such/driver.json') }).stdout).toMatch(
      /^gpu +none: .*\nsoftware +SwiftShader .* --device webgpu$/m,
    );
  });

  test('with a software driver only: auto takes the CPU, and the driver is no GPU', () => {
    const env = system(join(`${folder}`, 'vk_swiftshader_icd.json'));
    const { code, stderr } = trainOnce('auto', env);
    expect(code).toBe(0);
    expect(stderr).toMatch(
      /^computing on the CPU: the only adapter is SwiftShader .*, which is a CPU pretending to be a GPU$/m,
    );
    const { stdout } = remitMini(['devices'], { env });
    expect(stdout).toMatch(/^gpu +none: the only adapter is SwiftShader .*, which is a CPU\s+pretending to be a GPU$/m);
    expect(stdout).toMatch(/^software +SwiftShader .* --device webgpu$/m);
  });
});
