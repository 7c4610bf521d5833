// SwiftShader from npm: a Vulkan driver that computes on the CPU, so that shaders can be tested on a machine without a
// GPU. The package @sparticuz/chromium (linux-x64) carries it as a tar archive under brotli. It is unpacked once per
// user, and loaded into this process without any setting of the user's. For Node only. Used by: node-adapter.ts.

import { existsSync, lstatSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';

const LOADER = 'libvulkan.so.1';
const MANIFEST = 'vk_swiftshader_icd.json';
const FILES = [LOADER, 'libvk_swiftshader.so', MANIFEST] as const;

/** The folder with the driver's files; or what is missing. */
export function bundledSwiftShader(): string | { readonly missing: string } {
  const system = `${process.platform}-${process.arch}`;
  if (system !== 'linux-x64') return { missing: `SwiftShader is there for linux-x64 only, not ${system}` };
  let main: string;
  try {
    main = createRequire(import.meta.url).resolve('@sparticuz/chromium');
  } catch {
    return { missing: 'npm install @sparticuz/chromium@147.0.0 brings SwiftShader' };
  }
  try {
    return unpacked(join(dirname(main), '../..'));
  } catch (error) {
    return { missing: `SwiftShader could not be unpacked (${(error as Error).message})` };
  }
}

/**
 * Runs `body` with the driver in `folder` as the only Vulkan driver. Dawn opens libvulkan.so.1 by name, and the system
 * hands out a library of that name that the process already holds: so it is opened here first. Works in the main thread
 * only: a worker's environment is a copy.
 */
export async function withVulkanDriver<T>(folder: string, body: () => Promise<T>): Promise<T> {
  const names = ['VK_DRIVER_FILES', 'VK_ICD_FILENAMES'] as const; // the second is for loaders before 1.3.207
  const before = names.map((name) => process.env[name]);
  for (const name of names) process.env[name] = join(folder, MANIFEST);
  try {
    stayLoaded(join(folder, LOADER));
    return await body();
  } finally {
    names.forEach((name, i) => {
      if (before[i] === undefined) delete process.env[name];
      else process.env[name] = before[i];
    });
  }
}

/** Opens a library for good: Node finds no module in it and closes it again, which NODELETE makes void. */
function stayLoaded(library: string): void {
  const RTLD_NODELETE = 0x1000; // Linux; Node has no name for it
  try {
    process.dlopen({ exports: {} }, library, constants.dlopen.RTLD_NOW | constants.dlopen.RTLD_GLOBAL | RTLD_NODELETE);
  } catch (error) {
    if (!(error as Error).message.includes('did not self-register')) throw error;
  }
}

/**
 * Unpacks what is not there yet (systems tidy their temporary folders) into a folder of this user's own. Each file
 * appears whole or not at all.
 */
function unpacked(root: string): string {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  const uid = process.getuid!();
  const folder = join(tmpdir(), `remit-mini-swiftshader-${version}-${uid}`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const { uid: owner, mode } = lstatSync(folder);
  // they could put their code in our process
  if (owner !== uid || mode & 0o022) throw new Error(`${folder} can be written by others`);
  const missing = FILES.filter((name) => !existsSync(join(folder, name)));
  if (missing.length === 0) return folder;
  const files = readTar(brotliDecompressSync(readFileSync(join(root, 'bin/swiftshader.tar.br'))));
  for (const name of missing) {
    const bytes = files.get(name);
    const temporary = join(folder, `${name}.${process.pid}`);
    if (!bytes) throw new Error(`no ${name} in @sparticuz/chromium ${version}: install 147.0.0`);
    writeFileSync(temporary, bytes, { mode: 0o700 });
    renameSync(temporary, join(folder, name));
  }
  return folder;
}

/**
 * Name -> bytes. A tar archive is a header of 512 bytes per file (name at 0, length in octal at 124), then the file,
 * filled up to 512.
 */
function readTar(tar: Buffer): Map<string, Uint8Array> {
  const BLOCK = 512;
  const files = new Map<string, Uint8Array>();
  const text = (from: number, length: number): string =>
    tar.toString('latin1', from, from + length).replace(/\0.*$/s, '');
  for (let at = 0; at + BLOCK <= tar.length;) {
    const name = text(at, 100).replace(/^\.\//, '');
    const length = parseInt(text(at + 124, 12), 8) || 0;
    if (name === '') break;
    files.set(name, tar.subarray(at + BLOCK, at + BLOCK + length));
    at += BLOCK + Math.ceil(length / BLOCK) * BLOCK;
  }
  return files;
}
