// A backend owns memory and runs kernels. It knows no tensors and no ops, so adding an op never touches a backend.
// Read after: shape.ts, kernels/kernel.ts. Read next: cpu/backend.ts, tensor.ts.

import type { HostArray, Kernel } from '../kernels/kernel.ts';
import type { DType } from './shape.ts';

/** Memory for at least `size` elements. */
export interface TensorStorage {
  readonly size: number;
  readonly dtype: DType;
  /** The backend that handed it out, and that alone can use it; null once it was given back. */
  readonly owner: Backend | null;
}

/**
 * Every verb refuses a storage of another backend with DeviceError, and one that was given back with StepError; memory
 * is handed out for whole, finite sizes only (ShapeError). See storage.ts.
 */
export interface Backend {
  readonly name: string;
  /** Fresh memory; its contents are undefined. */
  alloc(size: number, dtype: DType): TensorStorage;
  /** Part of another storage, from element `offset` on. */
  view(of: TensorStorage, offset: number, size: number): TensorStorage;
  /** Gives memory back. Using the storage afterwards, or a part of it, is an error. */
  free(storage: TensorStorage): void;
  /** Copies from the host into the first data.length elements. */
  write(to: TensorStorage, data: ArrayLike<number>): void;
  /** Runs a kernel. Work is ordered: a later dispatch sees what an earlier one wrote. */
  dispatch<B extends string, P extends string>(
    kernel: Kernel<B, P>,
    buffers: Readonly<Record<B, TensorStorage>>,
    params: Readonly<Record<P, number>>,
  ): void;
  /** Copies to the host, as of now: the only verb that waits for a device. */
  read(from: TensorStorage): Promise<HostArray>;
  /** The same at once, where the host can see the memory. */
  peek?(from: TensorStorage): HostArray;
  /**
   * What follows belongs to a call of this step, up to endStep(): a backend may reuse what it prepared for the step's
   * last call.
   */
  beginStep(owner: object): void;
  /** Submits the work of a step; resolves when the next one may begin, after letting the event loop breathe. */
  endStep(): Promise<void>;
}
