// A shader of somebody's own as a kernel's GPU program takes it. Read after: kernels/wgsl.ts.

import { parseWgsl } from '../../kernels/parse-wgsl.ts';
import type { Wgsl } from '../../kernels/wgsl.ts';
import { ConfigError } from '../errors.ts';
import { checkArguments, optional, text } from '../options.ts';

/**
 * A shader from its text: `struct Params` in a uniform at binding 0, buffers at 1, 2, ..., and the entry point `main`.
 * `path` names it in messages. Throws ConfigError for what it cannot read; what the GPU's compiler thinks of it, is said
 * when it first runs.
 */
export function wgsl<B extends string = never, P extends string = never>(
  source: string,
  path = 'a shader of your own',
): Wgsl<B, P> {
  checkArguments('wgsl', arguments, { source: text, path: optional(text) });
  const found = parseWgsl(source);
  if (typeof found === 'string') throw new ConfigError(`wgsl: ${path}: ${found}`);
  if (!/@compute[^{]*fn main\b/.test(source)) throw new ConfigError(`wgsl: ${path}: has no @compute fn main`);
  return { path, source, ...found } as Wgsl<B, P>;
}
