// User memory of processes: anonymous plus shared-memory pages that are resident, as the page tables show them
// (/proc/PID/smaps_rollup: Pss_Anon + Pss_Shmem; a page that several processes share counts in parts, and code and
// files on disk do not count). Kernel memory (socket buffers and the like) is about the same for every proxy and is not
// in it.
//
// @source proc(5), Documentation/filesystems/proc.rst

import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

const LOOK_EVERY_MS = 100;
/** Readings within this share of each other are settled. */
const SETTLED_SHARE = 0.002;

/** @returns bytes */
function residentBytes(pids: readonly number[]): number {
  let kilobytes = 0;
  for (const pid of pids) {
    const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
    for (const field of ['Pss_Anon', 'Pss_Shmem']) {
      const found = new RegExp(`^${field}: +(\\d+) kB`, 'm').exec(rollup);
      if (found === null) throw new Error(`/proc/PID/smaps_rollup has no ${field} on this kernel`);
      kilobytes += Number(found[1]);
    }
  }
  return kilobytes * 1024;
}

/** Looks until three readings in a row agree, at most `waitMs`. @returns bytes */
export async function settledResidentBytes(pids: readonly number[], waitMs: number): Promise<number> {
  let last = residentBytes(pids);
  let agreed = 0;
  for (let waited = 0; waited < waitMs && agreed < 2; waited += LOOK_EVERY_MS) {
    await delay(LOOK_EVERY_MS);
    const now = residentBytes(pids);
    agreed = Math.abs(now - last) <= last * SETTLED_SHARE ? agreed + 1 : 0;
    last = now;
  }
  return last;
}
