// Who holds a lock, in one line of text, and whether that process is still there. A process number means something
// only on the machine, since its last start, and in the namespace (the container) that gave it: of any other, nothing
// can be known from here. Used by: lock.ts.

import { randomUUID } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

export interface Holder {
  readonly pid: number;
  /** When it started, in ticks since the machine did; empty where there is no /proc. */
  readonly start: string;
  /** What no other lock bears. Empty in locks of before, which knew one machine only. */
  readonly token: string;
  /** The start of the machine, and the namespace of its process numbers; empty where there is no /proc. */
  readonly boot: string;
  readonly namespace: string;
  readonly host: string;
}

const NONE = '-'; // an empty word

/** This process, with a token of its own. */
export function newHolder(): string {
  const { start } = statOf(process.pid);
  const words = [start, randomUUID(), bootOfHere(), namespaceOfHere(), hostname().replaceAll(/\s/g, '')];
  return `${process.pid} ${words.map((word) => word || NONE).join(' ')}\n`;
}

/** What a lock says. */
export function readHolder(text: string): Holder {
  const words = text.trim().split(/\s/).map((word) => (word === NONE ? '' : word));
  const [pid, start = '', token = '', boot = '', namespace = '', host = ''] = words;
  return { pid: Number(pid), start, token, boot, namespace, host };
}

/** Whether a holder is at work, has ended, or is where nobody here can see it. */
export function stateOf(holder: Holder): 'alive' | 'gone' | 'elsewhere' {
  if (!isHere(holder)) return 'elsewhere';
  return isAlive(holder) ? 'alive' : 'gone';
}

/** A holder in words: `process 12`, `process 12 on node-3`. */
export function nameOf(holder: Holder): string {
  return `process ${holder.pid}${isHere(holder) ? '' : ` on ${holder.host}, or in another container`}`;
}

function isHere({ token, boot, namespace, host }: Holder): boolean {
  if (token === '') return true;
  const sameMachine = boot === '' ? host === hostname().replaceAll(/\s/g, '') : true;
  return sameMachine && boot === bootOfHere() && namespace === namespaceOfHere();
}

function bootOfHere(): string {
  return read('/proc/sys/kernel/random/boot_id').trim();
}

function namespaceOfHere(): string {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return ''; // no /proc
  }
}

/**
 * A number is given to a new process when the old one is gone: the time that it started tells them apart, where that
 * can be seen.
 */
function isAlive({ pid, start }: Holder): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  const there = statOf(pid);
  return there.start === start && there.state !== 'Z'; // ended, but nobody has asked how: without an init, that lasts
}

function statOf(pid: number): { readonly state: string; readonly start: string } {
  // from the third; the second, in brackets, may hold anything
  const stat = read(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0]!, start: fields[19] ?? '' };
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
