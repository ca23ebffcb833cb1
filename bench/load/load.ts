// What every load works with, and what it answers.

import type { Sys } from '../../src/sys/sys.ts';
import { TICKS_PER_US } from './clock.ts';
import { Histogram } from './histogram.ts';
import { Origin } from './origin.ts';
import { Pattern } from './pattern.ts';
import { Poll } from './poll.ts';
import type { Window } from './window.ts';

export interface Load {
  readonly sys: Sys;
  readonly poll: Poll;
  /** The origin that shares this thread's poll; it idles where the origin is a process of its own. */
  readonly origin: Origin;
  /** Scratch memory for what is sent (zeros) and received; LOAD_BUFFER_BYTES each. */
  readonly sendAddress: number;
  readonly received: Buffer;
  readonly receiveAddress: number;
  readonly pattern: Pattern;
  readonly patternAddress: number;
  readonly histogram: Histogram;
}

export const LOAD_BUFFER_BYTES = 262_144;

export interface LoadResult {
  /** Round trips, connections or bytes, by kind of load, inside the measured time. */
  readonly operations: number;
  /** Connections that could not be opened, or ended before their work was done. */
  readonly failures: number;
  readonly seconds: number;
  readonly cpuNs: number;
  readonly p50Us: number;
  readonly p99Us: number;
}

export function createLoad(sys: Sys): Load {
  const poll = new Poll(sys);
  const pattern = new Pattern();
  const received = Buffer.from(new ArrayBuffer(LOAD_BUFFER_BYTES));
  return {
    sys,
    poll,
    origin: new Origin(sys, poll),
    sendAddress: sys.addressOf(new Uint8Array(new ArrayBuffer(LOAD_BUFFER_BYTES))),
    received,
    receiveAddress: sys.addressOf(received),
    pattern,
    patternAddress: sys.addressOf(pattern.bytes),
    histogram: new Histogram(),
  };
}

export function resultOf(load: Load, window: Window, operations: number, failures: number): LoadResult {
  return {
    operations,
    failures,
    seconds: window.seconds,
    cpuNs: window.cpuNs,
    p50Us: load.histogram.quantile(0.5) / TICKS_PER_US,
    p99Us: load.histogram.quantile(0.99) / TICKS_PER_US,
  };
}
