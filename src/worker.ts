// The entry of a data worker's thread: composes it over the real system calls and runs it (worker-life.ts). An exception
// ends the thread, and nothing else: the supervisor replaces it.

import { setPriority } from 'node:os';
import { workerData } from 'node:worker_threads';
import type { ControlMessage, WorkerMessage, WorkerStart } from './layout/messages.ts';
import { attachTables } from './layout/tables.ts';
import { DEFAULT_BOUNDS, startDataWorker } from './path/start.ts';
import { portMailbox } from './reactor/mailbox.ts';
import { createLibc } from './sys/libc/libc.ts';
import { runDataWorker } from './worker-life.ts';

/** The shortest that Linux takes. */
const SLICE_US = 100;

const start = workerData as WorkerStart;
const mailbox = portMailbox<ControlMessage, WorkerMessage>(start.port);
const sys = createLibc();
// Where the control thread has to share a core with this one, it must not keep a connection waiting for the 3 ms that the
// kernel would let it. Measured on one core with 1,000 evictions a second: this thread waits 40 % less.
sys.setThreadSlice(SLICE_US);
try {
  setPriority(start.nice);
} catch {
  // Not allowed: then it has the control thread's (control/priority.ts).
}
const w = startDataWorker(
  sys,
  attachTables(start.tables),
  start.worker,
  mailbox,
  start.wakeFd,
  DEFAULT_BOUNDS,
);
runDataWorker(w);
start.port.close();
