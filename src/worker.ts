// The entry of a data worker's thread: composes it over the real system calls, warms it, says that it is ready, and turns
// until it is told to stop. An exception ends the thread, and nothing else: the supervisor replaces it.

import { workerData } from 'node:worker_threads';
import type { ControlMessage, WorkerMessage, WorkerStart } from './layout/messages.ts';
import { attachTables } from './layout/tables.ts';
import { WORKER_READY, WORKER_STOPPED } from './layout/worker.ts';
import { closeDataWorker, DEFAULT_BOUNDS, startDataWorker, turn } from './path/start.ts';
import { warm } from './path/warm.ts';
import { portMailbox } from './reactor/mailbox.ts';
import { createLibc } from './sys/libc/libc.ts';

const SLEEP_MS_MAX = 1_000;

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
warm(w);
w.row.setLife(w.index, WORKER_READY);
mailbox.post({ kind: 'ready' });
while (!w.stopped) turn(w, SLEEP_MS_MAX);
closeDataWorker(w);
w.row.setLife(w.index, WORKER_STOPPED);
start.port.close();
