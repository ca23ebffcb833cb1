// CPU time of a daemon's threads by what they are: they differ in how far they step back (src/control/priority.ts). Threads that
// ended meanwhile are left out, so it is for short spans.
//
// @source proc(5); setpriority(2), of threads on Linux

import { readdirSync, readFileSync } from 'node:fs';
import { getPriority } from 'node:os';

export interface ThreadTimes {
  /** Nanoseconds of the threads that do not step back, of those that do, and of those that step back furthest. */
  readonly workersNs: number;
  readonly controlNs: number;
  readonly compilerNs: number;
}

const CONTROL_STEP_BACK = 5;
const COMPILER_STEP_BACK = 10;

/** @param nice what the process was started with */
export function threadTimes(pids: readonly number[], nice = getPriority()): ThreadTimes {
  let workersNs = 0;
  let controlNs = 0;
  let compilerNs = 0;
  for (const pid of pids) {
    for (const task of tasksOf(pid)) {
      const stepBack = stepBackOf(task, nice);
      if (stepBack >= COMPILER_STEP_BACK) compilerNs += timeOf(pid, task);
      else if (stepBack >= CONTROL_STEP_BACK) controlNs += timeOf(pid, task);
      else workersNs += timeOf(pid, task);
    }
  }
  return { workersNs, controlNs, compilerNs };
}

export function difference(before: ThreadTimes, after: ThreadTimes): ThreadTimes {
  return {
    workersNs: after.workersNs - before.workersNs,
    controlNs: after.controlNs - before.controlNs,
    compilerNs: after.compilerNs - before.compilerNs,
  };
}

function tasksOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map(Number);
  } catch {
    return [];
  }
}

function stepBackOf(task: number, nice: number): number {
  try {
    return getPriority(task) - nice;
  } catch {
    return 0; // It ended between two looks, and has no time either.
  }
}

function timeOf(pid: number, task: number): number {
  try {
    const line = readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'latin1');
    return Number(line.slice(0, line.indexOf(' ')));
  } catch {
    return 0;
  }
}
