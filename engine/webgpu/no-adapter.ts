// Stands in for node-adapter.ts where Node does not run, so that no bundler for browsers meets what is Node's:
// "imports" in package.json says which of the two `#node-adapter` is. Used by: adapter.ts.

import type * as node from './node-adapter.ts';

export const findNodeAdapter: typeof node.findNodeAdapter = () =>
  Promise.resolve('this build is for browsers: it has no WebGPU for Node');

export const hasSystemDriver: typeof node.hasSystemDriver = () => false;

export const memoryBudget: typeof node.memoryBudget = () => Infinity;
