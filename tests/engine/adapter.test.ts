// Finding a GPU: through Dawn in Node, where SwiftShader stands in for a GPU on linux-x64, and through a browser's
// navigator.gpu.

import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { CpuBackend } from '../../engine/cpu/backend.ts';
import { createDevice } from '../../engine/device.ts';
import { DeviceError } from '../../engine/errors.ts';
import { tensor } from '../../engine/tensor.ts';
import { openGpu, type Gpu } from '../../engine/webgpu/adapter.ts';
import { WebGpuBackend } from '../../engine/webgpu/backend.ts';
import { findNodeAdapter, hasSystemDriver, hasVulkanDriver } from '../../engine/webgpu/node-adapter.ts';
import { bundledSwiftShader } from '../../engine/webgpu/swiftshader.ts';
import { temporaryFolder } from '../support/temporary.ts';

const root = join(import.meta.dirname, '../..');
const linuxX64 = process.platform === 'linux' && process.arch === 'x64';
const first = await openGpu({ software: 'allowed' });
const missing = typeof first === 'string' ? first : undefined;
if (typeof first !== 'string') first.device.destroy();
// an old or other C library
const excused = process.env.REMIT_REQUIRE_WEBGPU !== '1' && (!linuxX64 || missing?.includes('does not load here'));
if (missing !== undefined && !excused) throw new Error(`there should be an adapter here, but ${missing}`);

afterEach(() => {
  vi.unstubAllGlobals();
  vi.unstubAllEnvs();
});

/** Opens, and gives back at the end of the body. */
async function withGpu(
  software: Parameters<typeof openGpu>[0]['software'],
  body: (gpu: Gpu) => void | Promise<void>,
): Promise<void> {
  const gpu = await openGpu({ software });
  if (typeof gpu === 'string') throw new Error(gpu);
  try {
    await body(gpu);
  } finally {
    gpu.device.destroy();
  }
}

describe.skipIf(missing !== undefined)(`in Node${missing === undefined ? '' : ` (skipped: ${missing})`}`, () => {
  test.runIf(linuxX64)('on linux-x64 there is SwiftShader, and it is known to be software', async () => {
    await withGpu('only', ({ name, software, adapter }) => {
      expect(name).toMatch(/^SwiftShader /);
      expect(software).toBe(true);
      expect(adapter.info.isFallbackAdapter).toBe(true);
    });
  });

  test('a device may use all that its adapter offers', async () => {
    await withGpu('allowed', ({ device, adapter }) => {
      for (const limit of [
        'maxBufferSize',
        'maxStorageBufferBindingSize',
        'maxStorageBuffersPerShaderStage',
        'maxComputeWorkgroupStorageSize',
      ] as const) {
        expect(device.limits[limit]).toBe(adapter.limits[limit]);
      }
      for (const feature of ['timestamp-query', 'shader-f16', 'subgroups']) {
        expect(device.features.has(feature)).toBe(adapter.features.has(feature));
      }
    });
  });

  test('software is never taken for a GPU, also after it was loaded', async () => {
    await withGpu('allowed', () => {});
    const gpu = await openGpu({ software: 'never' });
    if (typeof gpu === 'string') {
      return expect(gpu).toMatch(
        /^(no .* driver answers: install that of your GPU|the only adapter is .*, which is a CPU pretending to be a GPU)$/,
      );
    }
    expect(gpu.software).toBe(false);
    gpu.device.destroy();
  });

  test('the environment is left as it was', async () => {
    vi.stubEnv('VK_DRIVER_FILES', '/of/the/user');
    vi.stubEnv('VK_ICD_FILENAMES', undefined);
    await openGpu({ software: 'only' }).then((gpu) => typeof gpu !== 'string' && gpu.device.destroy());
    expect(process.env.VK_DRIVER_FILES).toBe('/of/the/user');
    expect('VK_ICD_FILENAMES' in process.env).toBe(false);
  });

  test('a device outlives a garbage collection', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    await withGpu('allowed', async ({ device }) => {
      for (let i = 0; i < 5; i++) {
        collect();
        await new Promise((resolve) => setTimeout(resolve, 10)); // finalisers run between turns
        const buffer = device.createBuffer({ size: 16, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
        device.queue.writeBuffer(buffer, 0, Uint32Array.of(1, 2, 3, i));
        await buffer.mapAsync(GPUMapMode.READ);
        expect([...new Uint32Array(buffer.getMappedRange())]).toEqual([1, 2, 3, i]);
        buffer.destroy();
      }
    });
  });

  test('createDevice makes it current, and tensors are computed on it', async () => {
    const device = await createDevice('webgpu') as WebGpuBackend;
    expect(device).toBeInstanceOf(WebGpuBackend);
    expect(device.name).toMatch(/^webgpu \(.+\)$/);
    const product = tensor([1, 2, 3, 4], [2, 2]).matmul(tensor([5, 6, 7, 8], [2, 2]));
    expect([...await product.read()]).toEqual([19, 22, 43, 50]);
    await device.close();
  });
});

describe('createDevice', () => {
  test('auto is a real GPU or the CPU', async () => {
    const notices: string[] = [];
    const device = await createDevice('auto', { notice: (why) => notices.push(why) });
    if (device instanceof WebGpuBackend) {
      expect(device.software).toBe(false);
      return device.close();
    }
    expect(device).toBeInstanceOf(CpuBackend);
    expect(notices).toHaveLength(hasSystemDriver() ? 1 : 0);
  });

  test('with the package switched off, webgpu is refused in one line', async () => {
    vi.stubEnv('REMIT_NO_WEBGPU', '1');
    await expect(createDevice('webgpu')).rejects.toThrow(
      new DeviceError(
        'device: webgpu: the package "webgpu" is switched off: unset REMIT_NO_WEBGPU; or use --device cpu',
      ),
    );
    expect((await createDevice('auto')).name).toBe('cpu');
  });

  test('what is no device is refused', async () => {
    await expect(createDevice('tpu' as 'cpu')).rejects.toThrow(
      new DeviceError('device: tpu: must be auto, cpu or webgpu'),
    );
  });

  test('where the package is not installed, auto is the CPU and webgpu says how to get it', () => {
    const folder = temporaryFolder(); // the engine and the kernels import no package at all, so they run here alone
    for (const part of ['engine', 'kernels']) cpSync(join(root, part), join(folder, part), { recursive: true });
    writeFileSync(
      join(folder, 'package.json'),
      '{"type": "module", "imports": {"#node-adapter": "./engine/webgpu/node-adapter.ts"}}',
    );
    writeFileSync(join(folder, 'try.ts'), [
      "import { createDevice } from './engine/device.ts';",
      "console.log((await createDevice('auto')).name);",
      "await createDevice('webgpu').catch((error) => console.log(String(error)));",
    ].join('\n'));
    const { stdout, stderr } = spawnSync(process.execPath, ['--import', import.meta.resolve('tsx'), 'try.ts'], {
      cwd: folder,
      encoding: 'utf8',
    });
    expect({ stdout, stderr }).toEqual({
      stdout:
        'cpu\nDeviceError: device: webgpu: the package "webgpu" is not installed: npm install webgpu; or use ' +
        '--device cpu\n',
      stderr: '',
    });
  });
});

describe.runIf(linuxX64 && missing === undefined)('a Vulkan library without a driver', () => {
  const home = temporaryFolder();
  const bare = { HOME: home, XDG_DATA_DIRS: home, XDG_CONFIG_DIRS: home };

  test.skipIf(hasVulkanDriver(bare))(
    'is not asked, since Dawn would complain on stderr (skipped where there is a driver)',
    () => {
      const body =
        `import { createDevice } from '${join(root, 'engine/device.ts')}';\nconsole.log((await ` +
        `createDevice('auto')).name);\n`;
      writeFileSync(join(home, 'try.mts'), body);
      const env = { PATH: process.env.PATH, ...bare, LD_LIBRARY_PATH: bundledSwiftShader() as string };
      const { stdout, stderr } = spawnSync(
        process.execPath,
        ['--import', import.meta.resolve('tsx'), join(home, 'try.mts')],
        { env, encoding: 'utf8' },
      );
      expect({ stdout, stderr }).toEqual({ stdout: 'cpu\n', stderr: '' });
    },
  );

  test('a driver is known by its manifest, in the usual folders or as the environment says', () => {
    const folder = join(home, '.local/share/vulkan/icd.d');
    mkdirSync(folder, { recursive: true });
    const before = hasVulkanDriver(bare);
    writeFileSync(join(folder, 'notes.txt'), '');
    expect(hasVulkanDriver(bare)).toBe(before);
    writeFileSync(join(folder, 'some_icd.json'), '{}');
    expect(hasVulkanDriver(bare)).toBe(true);
    expect(hasVulkanDriver({ ...bare, HOME: '/nowhere', VK_DRIVER_FILES: '/a.json' })).toBe(true);
  });
});

describe.skipIf(missing !== undefined)(`in a browser${missing === undefined ? '' : ` (skipped: ${missing})`}`, () => {
  test('the first answers may fail: the third counts', async () => {
    const adapter = await findNodeAdapter('allowed') as GPUAdapter;
    const requestAdapter = vi
      .fn<() => Promise<GPUAdapter | null>>()
      .mockResolvedValueOnce(null)
      .mockRejectedValueOnce(new Error('A valid external Instance reference no longer exists.'))
      .mockResolvedValueOnce(adapter);
    vi.stubGlobal('navigator', { gpu: { requestAdapter } });
    await withGpu('allowed', ({ device, name }) => {
      expect(name).toBe(adapter.info.description);
      expect(device.limits.maxBufferSize).toBe(adapter.limits.maxBufferSize);
    });
    expect(requestAdapter).toHaveBeenCalledTimes(3);
  });

  test('no adapter after three tries is a reason, and a consumed one too', async () => {
    const requestAdapter = vi.fn<() => Promise<GPUAdapter | null>>().mockResolvedValue(null);
    vi.stubGlobal('navigator', { gpu: { requestAdapter } });
    expect(await openGpu({ software: 'allowed' })).toMatch(/^the browser offers no adapter: /);
    expect(requestAdapter).toHaveBeenCalledTimes(3);

    const adapter = await findNodeAdapter('allowed') as GPUAdapter;
    (await adapter.requestDevice()).destroy();
    requestAdapter.mockResolvedValue(adapter);
    expect(await openGpu({ software: 'allowed' })).toMatch(/^.+ gave no device: .*consumed/);
  });

  test('software is refused when it is not wanted, and a GPU when software is', async () => {
    const adapter = await findNodeAdapter('allowed') as GPUAdapter;
    vi.stubGlobal('navigator', { gpu: { requestAdapter: async () => adapter } });
    const wanted = adapter.info.isFallbackAdapter ? 'never' : 'only';
    expect(await openGpu({ software: wanted })).toMatch(/CPU pretending to be a GPU|no software adapter: got/);
  });
});

describe.runIf(linuxX64)('unpacking SwiftShader', () => {
  const folderIn = (scratch: string): string => {
    vi.stubEnv('TMPDIR', scratch);
    const folder = bundledSwiftShader();
    if (typeof folder !== 'string') throw new Error(folder.missing);
    return folder;
  };

  test('three files of this user alone, and none twice', () => {
    const folder = folderIn(temporaryFolder());
    const library = join(folder, 'libvk_swiftshader.so');
    const before = statSync(library);
    expect(readdirSync(folder).sort()).toEqual(['libvk_swiftshader.so', 'libvulkan.so.1', 'vk_swiftshader_icd.json']);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(bundledSwiftShader()).toBe(folder);
    expect(statSync(library)).toMatchObject({ ino: before.ino, mtimeMs: before.mtimeMs });
  });

  test('a file that is gone comes back', () => {
    const scratch = temporaryFolder();
    const library = join(folderIn(scratch), 'libvulkan.so.1');
    const bytes = readFileSync(library);
    rmSync(library);
    folderIn(scratch);
    expect(readFileSync(library).equals(bytes)).toBe(true);
  });

  test('a folder that others may write to is not trusted', () => {
    const folder = folderIn(temporaryFolder());
    chmodSync(folder, 0o777);
    expect(bundledSwiftShader()).toEqual({
      missing: `SwiftShader could not be unpacked (${folder} can be written by others)`,
    });
  });
});
