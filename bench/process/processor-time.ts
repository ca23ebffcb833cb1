// CPU time of processes as the scheduler counts it: nanoseconds on a core of every thread, from
// /proc/PID/task/TID/schedstat (ticks of 10 ms would be too coarse). A thread that ends takes its line along, so its
// last reading is kept, and where one ended between two readings, the process's own total in ticks judges instead.
//
// @source proc(5); Documentation/scheduler/sched-stats.rst

import { readdirSync, readFileSync } from 'node:fs';

/** USER_HZ is 100 on every Linux that Node runs on. */
const TICK_NS = 1e7;

/** `pid` and all that descend from it. */
export function processTree(pid: number): number[] {
  const tree = [pid];
  for (let index = 0; index < tree.length; index++) {
    for (const task of listTasks(tree[index] as number)) {
      const children = readText(`/proc/${tree[index]}/task/${task}/children`).split(' ');
      for (const child of children) if (child !== '') tree.push(Number(child));
    }
  }
  return tree;
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return ''; // It ended between two looks.
  }
}

function listTasks(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

/** User and system time of a whole process, its ended threads included, in steps of 10 ms. */
function ticksNs(pid: number): number {
  const stat = readText(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * TICK_NS;
}

interface Reading {
  readonly threads: Map<string, number>;
  readonly ticksNs: number;
}

function read(pids: readonly number[]): Reading {
  const threads = new Map<string, number>();
  let ticks = 0;
  for (const pid of pids) {
    for (const task of listTasks(pid)) {
      const line = readText(`/proc/${pid}/task/${task}/schedstat`);
      if (line !== '') threads.set(task, Number(line.slice(0, line.indexOf(' '))));
    }
    ticks += ticksNs(pid);
  }
  return { threads, ticksNs: ticks };
}

/** Measures from `start` to `stop`. */
export class ProcessorTime {
  private readonly pids: readonly number[];
  private before: Reading = { threads: new Map(), ticksNs: 0 };

  constructor(pids: readonly number[]) {
    this.pids = pids;
  }

  start(): void {
    this.before = read(this.pids);
  }

  /** @returns nanoseconds since `start` */
  stop(): number {
    const after = read(this.pids);
    let total = 0;
    for (const [task, ns] of after.threads) total += ns - (this.before.threads.get(task) ?? 0);
    for (const task of this.before.threads.keys()) {
      if (!after.threads.has(task)) return after.ticksNs - this.before.ticksNs;
    }
    return total;
  }
}
