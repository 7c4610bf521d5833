// Training in a worker awaits nothing but what is ready at once, so that no message would ever be heard. Between two
// steps it takes a breath: messages come in, calls that use the models are answered, and a pause lasts.

const SECONDS_OF_WORK = 0.016;

const channel = new MessageChannel();
let wake: (() => void) | undefined;
channel.port2.onmessage = () => wake?.();

/** Lets messages in: a timer would wait four milliseconds, a promise not at all. */
function yieldOnce(): Promise<void> {
  return new Promise((resolve) => {
    wake = resolve;
    channel.port1.postMessage(0);
  });
}

let last = performance.now();
let paused = false;
let allowed = Infinity; // steps until the next pause
let wait = 0; // milliseconds after each step
let changed: (() => void) | undefined;
const jobs: (() => Promise<void>)[] = [];
let isTraining = false;

/** Work on the models: between two steps while one trains, else at once. */
export function between(job: () => Promise<void>): void {
  jobs.push(job);
  changed?.();
  if (!isTraining) void drain();
}

let draining: Promise<void> | undefined;

/** Does all that waits, one after another; resolves when it is done, whoever began. */
async function drain(): Promise<void> {
  while (draining !== undefined) await draining;
  if (jobs.length === 0) return;
  draining = doAll();
  await draining;
}

async function doAll(): Promise<void> {
  for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) await job();
  draining = undefined;
}

/** Runs training; what is asked meanwhile is answered between its steps. */
export async function trainingNow(train: () => Promise<void>): Promise<void> {
  await drain();
  isTraining = true;
  [paused, allowed] = [false, Infinity];
  try {
    await train();
  } finally {
    isTraining = false;
    await drain();
  }
}

/** `onPause` is told before one waits; `isOver` ends the waiting. */
export async function breathe(onPause: () => Promise<void>, isOver: () => boolean): Promise<void> {
  if (--allowed <= 0) paused = true;
  if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
  if (wait === 0 && !paused && performance.now() - last < SECONDS_OF_WORK * 1000) return;
  await yieldOnce();
  await drain();
  if (paused && !isOver()) await onPause();
  while (paused && !isOver()) {
    await new Promise<void>((resolve) => (changed = resolve));
    await drain();
  }
  changed = undefined;
  last = performance.now();
}

export function pause(): void {
  paused = true;
}

/** Goes on; `steps`: only so many. */
export function go(steps = Infinity): void {
  [paused, allowed] = [false, steps];
  changed?.();
}

/** So that a pause notices that the run is to stop. */
export function stir(): void {
  changed?.();
}

export function slow(milliseconds: number): void {
  wait = milliseconds;
}
