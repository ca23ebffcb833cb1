// The entry of a data worker's thread: composes it over the real system calls and runs it (worker-life.ts). An exception
// ends the thread, and nothing else: the supervisor replaces it.

import { workerData } from 'node:worker_threads';
import type { ControlMessage, WorkerMessage, WorkerStart } from './layout/messages.ts';
import { attachTables } from './layout/tables.ts';
import { DEFAULT_BOUNDS, startDataWorker } from './path/start.ts';
import { portMailbox } from './reactor/mailbox.ts';
import { createLibc } from './sys/libc/libc.ts';
import { runDataWorker } from './worker-life.ts';

const start = workerData as WorkerStart;
const mailbox = portMailbox<ControlMessage, WorkerMessage>(start.port);
const w = startDataWorker(
  createLibc(),
  attachTables(start.tables),
  start.worker,
  mailbox,
  start.wakeFd,
  DEFAULT_BOUNDS,
);
runDataWorker(w);
start.port.close();
