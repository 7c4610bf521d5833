// A headless Chromium with WebGPU on SwiftShader, for the tests that run in a page. It comes inside the npm package
// @sparticuz/chromium, for linux-x64 only: no download from elsewhere, no package of the system. Used by:
// vitest.config.ts.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Chromium {
  readonly executablePath: string;
  readonly args: string[];
  readonly env: Record<string, string>;
}

const PACKAGE = '@sparticuz/chromium';
// takes 206 MB, until node_modules goes
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const CACHE = join(ROOT, 'node_modules/.cache');

const ARGS = [
  '--no-sandbox', '--headless=new', '--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader',
  '--enable-features=Vulkan', '--disable-background-networking', '--disable-component-update', '--disable-sync',
  '--no-first-run',
];

/**
 * How to start it; or why there is none. REMIT_NO_BROWSER=1 asks for none. With REMIT_REQUIRE_WEBGPU=1 it throws where
 * there should be one and is not.
 */
export function findChromium(): Chromium | string {
  if (process.env.REMIT_NO_BROWSER === '1') return 'REMIT_NO_BROWSER=1';
  const { platform, arch } = process;
  if (platform !== 'linux' || arch !== 'x64') return `${PACKAGE} is there for linux-x64 only, not ${platform}-${arch}`;
  try {
    const folder = unpacked();
    const libraries = [join(folder, 'al2023/lib'), process.env.LD_LIBRARY_PATH]
      .filter((path) => path !== undefined)
      .join(':');
    const env = {
      ...(process.env as Record<string, string>),
      LD_LIBRARY_PATH: libraries,
      FONTCONFIG_FILE: fontsOf(folder),
    };
    return { executablePath: join(folder, 'chromium'), args: ARGS, env };
  } catch (error) {
    const reason = `no Chromium: ${(error as Error).message.split('\n')[0]}`;
    if (process.env.REMIT_REQUIRE_WEBGPU === '1') throw new Error(`REMIT_REQUIRE_WEBGPU=1, but ${reason}`);
    return reason;
  }
}

/** Names the fonts that come along: that of the package looks elsewhere, and without any a form ends the page. */
function fontsOf(folder: string): string {
  const path = join(folder, 'fonts/here.conf');
  const fonts = join(folder, 'fonts/fonts');
  writeFileSync(path, `<fontconfig><dir>${fonts}</dir><cachedir>${join(folder, 'fonts/cache')}</cachedir></fontconfig>\n`);
  return path;
}

/**
 * The folder with the browser and its libraries, which appears whole or not at all. The package unpacks into the
 * system's temporary folder and changes the environment; so it does that in a process of its own, whose temporary
 * folder is ours.
 */
function unpacked(): string {
  const root = join(dirname(createRequire(import.meta.url).resolve(PACKAGE)), '../..');
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  const folder = join(CACHE, `chromium-${version}`);
  if (existsSync(folder)) return folder;
  mkdirSync(CACHE, { recursive: true });
  const temporary = mkdtempSync(`${folder}.`);
  try {
    const { status, stderr } = spawnSync(
      process.execPath,
      ['--input-type=module', '--eval', `await (await import('${PACKAGE}')).default.executablePath()`],
      {
        cwd: ROOT,
        // which brings the NSS libraries too
        env: { ...process.env, TMPDIR: temporary, AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs20.x' },
        encoding: 'utf8',
      },
    );
    if (status !== 0) {
      throw new Error(`${PACKAGE} could not be unpacked: ${/^\w*Error.*$/m.exec(stderr)?.[0] ?? `exit ${status}`}`);
    }
    renameSync(temporary, folder);
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    if (!existsSync(folder)) throw error; // another run was faster
  }
  return folder;
}
