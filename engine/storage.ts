// Whose memory is it, and is it still there? What the storages of all backends have in common, and what every backend
// asks before it touches one. The checks happen once per storage of a call, never per element.
// Read after: backend.ts. Read next: cpu/memory.ts, webgpu/backend.ts.

import type { Backend, TensorStorage } from './backend.ts';
import { describe } from './describe.ts';
import { DeviceError, ShapeError, StepError } from './errors.ts';
import { dtypes, type DType } from './shape.ts';

/** A storage that knows its owner. A part belongs to whom the whole belongs to, and keeps it from being recycled. */
export class OwnedStorage implements TensorStorage {
  readonly size: number;
  readonly dtype: DType;
  readonly parent: OwnedStorage | null;
  #owner: Backend | null;

  constructor(owner: Backend, size: number, dtype: DType, parent: OwnedStorage | null = null) {
    this.#owner = owner;
    this.size = size;
    this.dtype = dtype;
    this.parent = parent;
  }

  get owner(): Backend | null {
    return this.parent === null ? this.#owner : this.parent.owner;
  }

  /** Nobody's any more: whoever uses it from now on is told so. */
  disown(): void {
    this.#owner = null;
  }
}

/** Throws ShapeError unless that many elements of that type can be handed out. */
export function checkRequest(backend: Backend, size: number, dtype: DType): void {
  if (!Number.isSafeInteger(size) || size < 1) {
    throw new ShapeError(
      `${backend.name}: memory for ${describe(size)} elements: must be a whole number of at least 1`,
    );
  }
  if (!dtypes.includes(dtype)) {
    throw new ShapeError(`${backend.name}: elements of type ${describe(dtype)}: must be one of ${dtypes.join(', ')}`);
  }
}

/** Throws unless a storage is the backend's own. `where` names the use: `add: a`. */
export function checkOwner(backend: Backend, storage: TensorStorage, where: string): void {
  if (storage?.owner !== backend) refuse(backend, storage, where);
}

/** Throws unless `size` elements from `offset` on are part of a storage of the backend's own. */
export function checkPart(backend: Backend, of: TensorStorage, offset: number, size: number): void {
  checkOwner(backend, of, 'view');
  checkRequest(backend, size, of.dtype);
  if (!Number.isSafeInteger(offset) || offset < 0 || offset + size > of.size) {
    throw new ShapeError(`view: ${size} elements from ${describe(offset)} on: the memory has ${of.size}`);
  }
}

/** Throws unless data fit into a storage of the backend's own. */
export function checkWrite(backend: Backend, to: TensorStorage, data: ArrayLike<number>): void {
  checkOwner(backend, to, 'write');
  if (!(data?.length <= to.size)) {
    throw new ShapeError(`write: ${data?.length} values: the memory has ${to.size} elements`);
  }
}

/** Throws unless a storage can be given back: the backend's own, whole, and not given back before. */
export function checkFree(backend: Backend, storage: TensorStorage): void {
  checkOwner(backend, storage, 'free');
  if (storage instanceof OwnedStorage && storage.parent) {
    throw new StepError('free: a part of other memory: give back the whole');
  }
}

/** Says what is wrong with a storage that is not the backend's own. */
export function refuse(backend: Backend, storage: TensorStorage | undefined, where: string): never {
  const owner = storage?.owner;
  if (owner === undefined) throw new ShapeError(`${where}: ${describe(storage)}: must be the memory of a tensor`);
  if (owner === null) throw new StepError(`${where}: its memory was given back: make it again, or free it later`);
  const other = owner.name === backend.name ? `another ${owner.name}` : owner.name;
  throw new DeviceError(
    `${where}: lies on ${other}, and this runs on ${backend.name}: read it there, and make it anew here`,
  );
}
