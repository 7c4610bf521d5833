// How threads share out the units of a part: the meeting place in memory, and the functions that run on it, emitted
// beside the kernels. A job is cut into ranges, and `open` counts those that nobody has taken yet. Whoever finds it
// above 0 takes one by counting down (an atomic exchange), does it, and counts it as done. The thread that opened the
// job helps, then waits until all are done. A worker that finds nothing waits for the next job. Both spin for a moment,
// since what they wait for is often microseconds away, and then sleep until they are woken: on a busy machine, the core
// is then free for whoever holds them up. Workers may come late, sleep, or not exist at all: the others do their share.
// Read after: kernels/wasm/program.ts, assembler.ts.

import type { WasmModule } from '../../../kernels/wasm/assembler.ts';
import { atomics, i32 } from '../../../kernels/wasm/instructions.ts';

/** Byte offsets; what threads write at the same time lies on lines of its own. */
export const PLACE = {
  open: 0,
  done: 64,
  asleep: 128,
  waits: 132,
  task: 192,
  units: 196,
  perRange: 200,
  ranges: 204,
  scratch: 208,
  scratchStride: 212,
  args: 256,
} as const;
export const PLACE_BYTES = 512;

const SPINS = 20_000; // about 50 us

export function emitCrew(module: WasmModule): void {
  /**
   * (address, expected): sleeps until woken, unless another value is there. A function of its own: V8 loses locals
   * across the instruction.
   */
  const sleep = module.function('crewSleep', ['address', 'expected'], (f, { address, expected }) =>
    f.drop(atomics.wait(address, expected)),
  );

  /** (place, thread): takes ranges and does them until none is open. */
  const help = module.function('crewHelp', ['place', 'thread'], (f, { place, thread }) => {
    const open = f.local('i32');
    const first = f.local('i32');
    const word = (name: keyof typeof PLACE): ReturnType<typeof i32.load> => i32.load(place, PLACE[name]);
    f.set(open, atomics.load(place));
    f.while(i32.ne(open, 0), () => {
      f.if(i32.eq(atomics.exchange(place, open, i32.sub(open, 1)), open), () => {
        f.set(first, i32.mul(i32.sub(word('ranges'), open), word('perRange')));
        f.callTask(word('task'),
          i32.add(place, PLACE.args), first, i32.min(i32.add(first, word('perRange')), word('units')),
          i32.add(word('scratch'), i32.mul(thread, word('scratchStride'))));
        f.set(first, i32.add(atomics.add(i32.add(place, PLACE.done), 1), 1));
        f.if(i32.eq(first, word('ranges')), () =>
          f.if(atomics.load(i32.add(place, PLACE.waits)), () => f.drop(atomics.notify(i32.add(place, PLACE.done)))),
        );
      });
      f.set(open, atomics.load(place));
    });
  });

  /**
   * (place, sleeps): does the job that is described there, with whoever helps; sleeps = 0 where this thread may only
   * spin.
   */
  module.function('crewFork', ['place', 'sleeps'], (f, { place, sleeps }) => {
    f.atomicStore(i32.add(place, PLACE.done), 0);
    f.atomicStore(place, i32.load(place, PLACE.ranges));
    f.if(atomics.load(i32.add(place, PLACE.asleep)), () => f.drop(atomics.notify(place)));
    f.call(help, { place, thread: 0 });
    const seen = f.local('i32');
    const spins = f.keep(i32.of(SPINS));
    const done = i32.add(place, PLACE.done);
    f.set(seen, atomics.load(done));
    f.while(i32.ne(seen, i32.load(place, PLACE.ranges)), () => {
      f.bump(spins, -1);
      f.if(i32.and(i32.lt(spins, 0), sleeps), () => {
        f.atomicStore(i32.add(place, PLACE.waits), 1);
        f.call(sleep, { address: done, expected: seen });
        f.atomicStore(i32.add(place, PLACE.waits), 0);
      });
      f.set(seen, atomics.load(done));
    });
  });

  /** (place, thread): the life of a worker. */
  module.function('crewWork', ['place', 'thread'], (f, { place, thread }) => {
    const spins = f.local('i32');
    f.doWhile(i32.of(1), () => {
      f.set(spins, SPINS);
      f.while(i32.and(i32.eq(atomics.load(place), 0), i32.gt(spins, 0)), () => f.bump(spins, -1));
      f.if(i32.eq(spins, 0), () => {
        f.drop(atomics.add(i32.add(place, PLACE.asleep), 1));
        f.call(sleep, { address: place, expected: 0 });
        f.drop(atomics.add(i32.add(place, PLACE.asleep), -1));
      });
      f.call(help, { place, thread });
    });
  });
}
