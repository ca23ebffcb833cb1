// How much of a core others took away while something was measured on it: a shared machine, a hypervisor, a forgotten
// build. Figures of a disturbed run are not wrong (CPU time is the proxy's own), but its caches were not its own.
//
// @source proc(5) on /proc/stat

import { readFileSync } from 'node:fs';
import { ProcessorTime } from './processor-time.ts';

const TICK_NS = 1e7;
/** The kernel counts in ticks: less than so many of them says nothing. */
const TICKS_MIN = 5;

/** Nanoseconds that `core` was not idle, the time that the hypervisor gave to others included. */
function busyNs(core: number): number {
  const line = new RegExp(`^cpu${core} (.*)$`, 'm').exec(readFileSync('/proc/stat', 'latin1'))?.[1] ?? '';
  const [user = 0, nice = 0, system = 0, , , interrupt = 0, soft = 0, stolen = 0] = line
    .split(' ')
    .map(Number);
  return (user + nice + system + interrupt + soft + stolen) * TICK_NS;
}

/** Watches `core` from now on. @returns a function that says which share of it went elsewhere than to `pids` */
export function watchCore(core: number | undefined, pids: readonly number[]): () => number {
  if (core === undefined) return () => 0;
  const processor = new ProcessorTime(pids);
  const startMs = performance.now();
  const busyBefore = busyNs(core);
  processor.start();
  return () => {
    const othersNs = busyNs(core) - busyBefore - processor.stop();
    const elapsedNs = (performance.now() - startMs) * 1e6;
    return othersNs < TICKS_MIN * TICK_NS ? 0 : othersNs / elapsedNs;
  };
}
