// What a shader's text says of its bindings and parameters. Read after: wgsl.ts. Used by: scripts/embed-wgsl.mjs for the
// shaders here, engine/webgpu/own-shader.ts for those of somebody else. What a shader must look like: README.md.

import type { Wgsl } from './wgsl.ts';

/** Bindings and parameters, in their order; or what is wrong, in words. */
export function parseWgsl(source: string): Pick<Wgsl, 'bindings' | 'params'> | string {
  const code = source.replaceAll(/\/\/.*$/gm, '').replaceAll(/\/\*[^]*?\*\//g, '');
  const struct = /struct Params \{([^}]*)\}/.exec(code);
  if (!struct) return 'has no struct Params';
  const params: Wgsl['params'][number][] = [];
  for (const field of struct[1]!.split(',').map((part) => part.trim()).filter(Boolean)) {
    const [, name, type] = /^(\w+)\s*:\s*(u32|i32|f32)$/.exec(field) ?? [];
    if (name === undefined) return `struct Params: "${field}": must be name: u32, i32 or f32`;
    params.push({ name, type: type as 'u32' | 'i32' | 'f32' });
  }
  const bindings: Wgsl['bindings'][number][] = [];
  const declared = code.matchAll(/@group\(0\)\s*@binding\((\d+)\)\s*var<storage(?:,\s*(read|read_write))?>\s*(\w+)\s*:/g);
  for (const [, index, access = 'read', name] of declared) {
    if (Number(index) !== bindings.length + 1) {
      return `binding ${index} ("${name}"): bindings must be numbered 1, 2, ... in order; 0 is Params`;
    }
    bindings.push({ name: name!, access: access as 'read' | 'read_write' });
  }
  return { bindings, params };
}
