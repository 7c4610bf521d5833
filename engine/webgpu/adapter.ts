// Finds a GPU and opens it: the browser's own WebGPU, or in Node the optional package `webgpu` (Dawn), by way of
// node-adapter.ts. Nothing here is Node's: that file is loaded only where Node runs, and elsewhere `#node-adapter` is
// no-adapter.ts (see package.json). Read next: node-adapter.ts. Used by: ../device.ts.

import { adapterKey, adapterKind, type AdapterKind, type Software } from './variants.ts';

export interface Gpu {
  readonly device: GPUDevice;
  readonly adapter: GPUAdapter;
  /** As the driver calls it, for people. */
  readonly name: string;
  /** A CPU pretending to be a GPU: right, but slower than the CPU backend. */
  readonly software: boolean;
  readonly kind: AdapterKind;
  /**
   * How much memory its buffers may take, where more could end the process: a software adapter uses the machine's own.
   */
  readonly budgetBytes?: number;
  /** Names adapter and driver in what is kept on disk. */
  readonly key: string;
}

/** What a device may use beyond the defaults of WebGPU, as much of it as the adapter offers. */
const LIMITS = [
  'maxBufferSize', 'maxStorageBufferBindingSize', 'maxStorageBuffersPerShaderStage',
  'maxComputeInvocationsPerWorkgroup', 'maxComputeWorkgroupSizeX', 'maxComputeWorkgroupSizeY',
  'maxComputeWorkgroupSizeZ', 'maxComputeWorkgroupStorageSize',
] as const;
const FEATURES = ['timestamp-query', 'shader-f16', 'subgroups'] as const;
// experimental, and it rounds: only when asked for
const SUBGROUP_MATRIX = 'chromium-experimental-subgroup-matrix' as GPUFeatureName;

const TRIES = 3; // a browser's first answer in a worker can be null though there is an adapter
const PAUSE_MS = 100;

/**
 * Opens a GPU; or says, in one line, why there is none and what would help. The caller ends with `device.destroy()`.
 */
export async function openGpu({ software }: { readonly software: Software }): Promise<Gpu | string> {
  const adapter = await findAdapter(software);
  if (typeof adapter === 'string') return adapter;
  const name = nameOf(adapter);
  const isSoftware = isSoftwareAdapter(adapter);
  if (software === 'never' && isSoftware) return `the only adapter is ${name}, which is a CPU pretending to be a GPU`;
  if (software === 'only' && !isSoftware) return `no software adapter: got ${name}`;
  try {
    const requiredLimits = Object.fromEntries(LIMITS.map((limit) => [limit, adapter.limits[limit]]));
    const wanted = isNode() && process.env.REMIT_SUBGROUP_MATRIX === '1' ? [...FEATURES, SUBGROUP_MATRIX] : FEATURES;
    const requiredFeatures = wanted.filter((feature) => adapter.features.has(feature));
    const device = await adapter.requestDevice({ requiredLimits, requiredFeatures });
    const budget = isSoftware && isNode() ? { budgetBytes: (await import('#node-adapter')).memoryBudget() } : {};
    return {
      device,
      adapter,
      name,
      software: isSoftware,
      ...budget,
      kind: adapterKind(adapter.info, isSoftware),
      key: adapterKey(adapter.info),
    };
  } catch (error) {
    return `${name} gave no device: ${messageOf(error)}`;
  }
}

/**
 * Whether looking for a GPU is worth loading anything: there is WebGPU in this browser, or a graphics driver beside
 * this Node.
 */
export async function mayHaveGpu(): Promise<boolean> {
  if (browserGpu()) return true;
  return isNode() && (await import('#node-adapter')).hasSystemDriver();
}

async function findAdapter(software: Software): Promise<GPUAdapter | string> {
  const gpu = browserGpu();
  if (gpu) return askBrowser(gpu, software);
  if (isNode()) return (await import('#node-adapter')).findNodeAdapter(software);
  return 'this browser has no WebGPU: use a recent one, and a page that comes by https or from localhost';
}

async function askBrowser(gpu: GPU, software: Software): Promise<GPUAdapter | string> {
  let reason = 'the browser offers no adapter: its page about graphics (chrome://gpu, about:support) says why';
  for (let attempt = 1; attempt <= TRIES; attempt++) {
    if (attempt > 1) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    try {
      const adapter = await gpu.requestAdapter({
        powerPreference: 'high-performance',
        forceFallbackAdapter: software === 'only',
      });
      if (adapter) return adapter;
    } catch (error) {
      reason = `the browser gave no adapter: ${messageOf(error)}`;
    }
  }
  return reason;
}

/** Drivers name themselves in different fields, and some in none. */
function nameOf({ info: { description, device, vendor, architecture } }: GPUAdapter): string {
  return description || device || [vendor, architecture].filter(Boolean).join(' ') || 'an adapter without a name';
}

function isSoftwareAdapter(adapter: GPUAdapter): boolean {
  return (
    adapter.info.isFallbackAdapter ||
    /swiftshader|llvmpipe|lavapipe|basic render/i.test(`${nameOf(adapter)} ${adapter.info.architecture}`)
  );
}

function browserGpu(): GPU | undefined {
  // Node has a navigator too, without gpu
  return typeof navigator === 'undefined' ? undefined : (navigator as { gpu?: GPU }).gpu;
}

function isNode(): boolean {
  return typeof process !== 'undefined' && typeof process.versions?.node === 'string';
}

/** The first line: Dawn adds where in its own sources it stood. */
function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0]!;
}
