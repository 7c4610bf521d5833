// WebGPU in Node, through the optional package `webgpu` (Dawn). First the system's own driver (Vulkan, Metal,
// Direct3D); where software will do, then SwiftShader, a Vulkan driver that computes on the CPU and comes inside the
// npm package @sparticuz/chromium. For Node only: loaded by adapter.ts when it is needed, because the package is large.
// Read next: swiftshader.ts.

import { readdirSync } from 'node:fs';
import { constants, totalmem } from 'node:os';
import type { Software } from './variants.ts';
import { bundledSwiftShader, withVulkanDriver } from './swiftshader.ts';

type Dawn = typeof import('webgpu');

// Dawn's instance goes when this object is collected, even while its devices are in use, and the process then dies:
// they stay.
const instances: GPU[] = [];

/** An adapter, or why there is none and what would help. */
export async function findNodeAdapter(software: Software): Promise<GPUAdapter | string> {
  const dawn = await loadDawn();
  if (typeof dawn === 'string') return dawn;
  if (software === 'only') {
    return (await askSwiftShader(dawn)) ?? (await askSystem(dawn, { forceFallbackAdapter: true })) ?? noDriver(true);
  }
  const system = await askSystem(dawn);
  if (system || software === 'never') return system ?? noDriver(false);
  return (await askSwiftShader(dawn)) ?? noDriver(true);
}

/** Without a driver not even asked, since Dawn would complain on stderr. */
async function askSystem(dawn: Dawn, options: GPURequestAdapterOptions = {}): Promise<GPUAdapter | null> {
  return hasSystemDriver() ? ask(dawn, options) : null;
}

async function askSwiftShader(dawn: Dawn): Promise<GPUAdapter | null> {
  hasSystemDriver(); // found out while it still tells of the system alone
  const folder = bundledSwiftShader();
  return typeof folder === 'string' ? withVulkanDriver(folder, () => ask(dawn)) : null;
}

function noDriver(softwareToo: boolean): string {
  const system = `no ${process.platform === 'linux' ? 'Vulkan' : 'graphics'} driver answers: install that of your GPU`;
  if (!softwareToo) return system;
  const folder = bundledSwiftShader();
  const software =
    typeof folder === 'string' ? `SwiftShader in ${folder} is damaged: remove that folder` : folder.missing;
  return `${system}; nor does a software driver: ${software}`;
}

let systemDriver: boolean | undefined; // found out once: after SwiftShader is loaded, its Vulkan library would answer

/**
 * Whether this system has what Dawn needs to look for a GPU. On Linux that is the Vulkan library and a driver;
 * elsewhere it is always there.
 */
export function hasSystemDriver(): boolean {
  return (systemDriver ??= process.platform !== 'linux' || (hasVulkanDriver() && opens('libvulkan.so.1')));
}

/** Whether there is a driver's manifest where the Vulkan library looks for them. */
export function hasVulkanDriver(env: NodeJS.ProcessEnv = process.env): boolean {
  if (env.VK_DRIVER_FILES || env.VK_ICD_FILENAMES || env.VK_ADD_DRIVER_FILES) return true;
  const home = env.HOME ?? '/';
  const paths = (list: string | undefined, usual: string): string[] => (list || usual).split(':');
  const roots = [
    '/etc', '/usr/local/etc', '/usr/share', '/usr/local/share', '/run/opengl-driver/share', // the last is NixOS's
    ...paths(env.XDG_CONFIG_DIRS, '/etc/xdg'), ...paths(env.XDG_DATA_DIRS, '/usr/local/share:/usr/share'),
    ...paths(env.XDG_CONFIG_HOME, `${home}/.config`), ...paths(env.XDG_DATA_HOME, `${home}/.local/share`),
  ];
  return roots.some((root) => hasManifest(`${root}/vulkan/icd.d`));
}

function hasManifest(folder: string): boolean {
  try {
    return readdirSync(folder).some((name) => name.endsWith('.json'));
  } catch {
    return false; // no such folder
  }
}

const SHARE = 0.75; // the rest is for the program itself

/** Bytes of this machine's memory, or of what this process may have of it, that a software adapter may fill. */
export function memoryBudget(): number {
  const limit = process.constrainedMemory?.(); // 0 or undefined when there is none
  return Math.floor(SHARE * Math.min(totalmem(), limit || Infinity));
}

function opens(library: string): boolean {
  try {
    process.dlopen({ exports: {} }, library, constants.dlopen.RTLD_LAZY);
    return true;
  } catch (error) {
    return (error as Error).message.includes('did not self-register'); // it is there, and of course no Node module
  }
}

/**
 * The package, with WebGPU's classes and constants made global as in a browser; or why not. REMIT_NO_WEBGPU=1 acts as
 * if it were not installed.
 */
async function loadDawn(): Promise<Dawn | string> {
  if (process.env.REMIT_NO_WEBGPU) return 'the package "webgpu" is switched off: unset REMIT_NO_WEBGPU';
  try {
    // native code: no bundler can take it in
    const dawn = await import(/* webpackIgnore: true */ /* turbopackIgnore: true */ /* @vite-ignore */ 'webgpu');
    Object.assign(globalThis, dawn.globals);
    return dawn;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ERR_MODULE_NOT_FOUND') return 'the package "webgpu" is not installed: npm install webgpu';
    return `the package "webgpu" does not load here (${message.split('\n')[0]}): on Linux it needs glibc 2.34 or newer`;
  }
}

/**
 * Timestamps as the GPU takes them: coarse ones protect a browser's user from pages, and hide what a dispatch takes.
 */
const TOGGLES = [
  'disable-dawn-features=timestamp_quantization',
  ...(process.env.REMIT_SUBGROUP_MATRIX === '1' ? ['enable-dawn-features=allow_unsafe_apis'] : []),
];

/** Each call makes a new instance: an old one never sees a driver that came later. */
async function ask({ create }: Dawn, options: GPURequestAdapterOptions = {}): Promise<GPUAdapter | null> {
  const gpu = create(TOGGLES);
  instances.push(gpu);
  return gpu.requestAdapter({ powerPreference: 'high-performance', ...options });
}
