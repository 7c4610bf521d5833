// Projects in one run: the tests in Node, and those that run in the page of a real browser, where there is one
// (tests/support/chromium.ts); some of these in a page that is isolated from other origins, and so has threads.

import './scripts/embed-wgsl.mjs'; // a shader that was edited a moment ago is the one that is tested
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { findChromium } from './tests/support/chromium.ts';

const inBrowser = ['tests/browser/**/*.test.ts'];
const isolated = ['tests/browser/isolated/*.test.ts'];
const inBoth = ['tests/tiny.test.ts', 'tests/learning.test.ts', 'tests/{nn,ops,optim}/*.test.ts'];

/** What package.json's "imports" say of the built files, for the sources. */
const adapter = (name: string) => ({
  resolve: { alias: { '#node-adapter': fileURLToPath(new URL(`./engine/webgpu/${name}.ts`, import.meta.url)) } },
});

async function browserProjects(): Promise<TestProjectInlineConfiguration[]> {
  const chromium = findChromium();
  if (typeof chromium === 'string') {
    console.log(`tests in the browser are left out: ${chromium}`);
    return [];
  }
  const { playwright } = await import('@vitest/browser-playwright');
  // vitest writes into it
  const browser = () => ({
    enabled: true,
    headless: true,
    screenshotFailures: false,
    instances: [{ browser: 'chromium' as const }],
    provider: playwright({ launchOptions: chromium }),
  });
  return [
    {
      ...adapter('no-adapter'),
      test: {
        name: 'browser',
        include: [...inBrowser, ...inBoth],
        exclude: isolated,
        testTimeout: 60_000,
        browser: browser(),
      },
    },
    {
      ...adapter('no-adapter'),
      server: {
        headers: { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' },
      },
      test: { name: 'isolated', include: isolated, testTimeout: 60_000, browser: browser() },
    },
  ];
}

/** Files of a quarter of a minute and more, the longest first: begun last, one of them would keep one core waiting. */
const LONG = [
  'site/page', 'experiment', 'webgpu/kernels', 'remit/processes', 'remit/tune', 'kernels/wasm', 'entrances', 'remit/faults',
  'remit/two-hosts', 'webgpu/matmul', 'kernels/special-values', 'app/study/study', 'app/study/contract', 'app/curves',
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const place = LONG.findIndex((name) => moduleId.endsWith(`/${name}.test.ts`));
      return place < 0 ? LONG.length : place;
    };
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b));
  }
}

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    maxWorkers: availableParallelism(), // all: by itself it leaves one out, which is half of two
    projects: [
      {
        ...adapter('node-adapter'),
        test: {
          name: 'node',
          include: ['tests/**/*.test.ts'],
          exclude: inBrowser,
          pool: 'forks', // a native crash then costs one file, not the whole run
          testTimeout: 120_000, // a software driver compiles some shaders for seconds, and machines are shared
          hookTimeout: 60_000,
        },
      },
      ...(await browserProjects()),
    ],
  },
});
