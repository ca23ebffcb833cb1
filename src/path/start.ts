// Puts a data worker together: its tables, its reactor, its path. The same on the real and on the simulated network.

import type { ControlMessage, WorkerMessage } from '../layout/messages.ts';
import type { Tables } from '../layout/tables.ts';
import type { Mailbox } from '../reactor/mailbox.ts';
import { Reactor } from '../reactor/reactor.ts';
import type { Sys } from '../sys/sys.ts';
import { DataWorker } from './data-worker.ts';
import type { DataWorkerBounds } from './data-worker.ts';
import { evictionSleepMs, runEvictions } from './evict.ts';
import { readMail } from './mail.ts';
import { createPath } from './path.ts';

/** 32 MiB of leftover buffers a worker at most; further backlog stays in the kernel. */
export const DEFAULT_BOUNDS: DataWorkerBounds = { buffers: 512, candidates: 4096 };

/** @param wakeFd eventfd that the sender of mail signals; stays the caller's */
export function startDataWorker(
  sys: Sys,
  tables: Tables,
  index: number,
  mailbox: Mailbox<ControlMessage, WorkerMessage>,
  wakeFd: number,
  bounds: DataWorkerBounds,
): DataWorker {
  const w = new DataWorker(sys, tables, index, mailbox, bounds);
  const path = createPath(w, () => {
    if (!w.warming) readMail(w);
  });
  // A timer for each slot, and the listeners' (listen.ts).
  w.reactor = new Reactor(sys, path, wakeFd, w.table.count, w.table.count + 1);
  w.row.setOffline(index, 0);
  w.row.setWakeFd(index, wakeFd);
  w.row.setEpollFd(index, w.reactor.epollFd);
  w.spareFd = sys.eventfd();
  w.row.setSpareFd(index, w.spareFd);
  return w;
}

/** One turn of the worker. */
export function turn(w: DataWorker, sleepMsMax: number): void {
  w.reactor.turn(w.evictions.length === 0 ? sleepMsMax : evictionSleepMs(w, sleepMsMax));
  if (w.evictions.length > 0) runEvictions(w);
  w.row.addTurns(w.index, 1);
  if (w.draining && w.slots.live === 0 && !w.drained) {
    w.drained = true;
    w.mailbox.post({ kind: 'drained' });
  }
}

/** Gives back what the worker itself holds. All its connections have ended. */
export function closeDataWorker(w: DataWorker): void {
  w.pipes.closeIdle();
  w.sys.close(w.spareFd);
  w.row.setSpareFd(w.index, -1);
  w.sys.close(w.reactor.epollFd);
  w.row.setEpollFd(w.index, -1);
  w.row.setOffline(w.index, 1);
}
