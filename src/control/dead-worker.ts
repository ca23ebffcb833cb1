// What a worker leaves behind when its thread dies: descriptors outlive threads, so the control thread closes them from
// the shared tables, settles the counts, and makes the records ready for the replacement. Listening sockets and the wake
// descriptor live on: they are the control thread's own.
//
// To be called after the thread has ended (its `exit` event), never earlier: a thread that still ran could have closed a
// descriptor already, and its number could be somebody else's by now.

import { WORKER_DIED } from '../layout/reasons.ts';
import { forgetFacts } from '../layout/facts.ts';
import { ReceiptWriter } from '../layout/receipt-writer.ts';
import { CLIENT, SERVER, SLOT_FREE } from '../layout/slot.ts';
import type { Tables } from '../layout/tables.ts';
import { WORKER_STARTING } from '../layout/worker.ts';
import type { Sys } from '../sys/sys.ts';

/** 0 to 2 are the process's own streams, and what a record holds that nobody has ever written. */
const LOWEST_FD = 3;

export interface Remains {
  readonly connections: number;
  readonly descriptors: number;
}

/** @returns what was there to settle */
export function settleDeadWorker(
  sys: Sys,
  tables: Tables,
  worker: number,
  releaseSource: (entry: number) => void = () => {},
): Remains {
  const { machine, workers } = tables;
  let closed = 0;
  const close = (fd: number) => {
    if (fd >= LOWEST_FD && sys.close(fd) >= 0) closed++;
  };
  // First the poller: no event of the dead worker's can reach anybody after this.
  close(workers.epollFd(worker));
  close(workers.spareFd(worker));
  workers.setEpollFd(worker, -1);
  workers.setSpareFd(worker, -1);
  const connections = settleSlots(sys, tables, worker, close, releaseSource);
  settlePipes(tables, worker, close);

  machine.addDescriptors(0, -workers.descriptors(worker));
  workers.setDescriptors(worker, 0);
  workers.addEnded(worker, WORKER_DIED, connections);
  workers.setConnections(worker, 0);
  workers.setLeftoversInUse(worker, 0);
  workers.setPipesOpen(worker, 0);
  workers.setPlan(worker, 0);
  workers.setMail(worker, 0);
  workers.setLife(worker, WORKER_STARTING);
  workers.setOffline(worker, 1);
  return { connections, descriptors: closed };
}

/** @returns how many connections had not ended */
function settleSlots(
  sys: Sys,
  tables: Tables,
  worker: number,
  close: (fd: number) => void,
  releaseSource: (entry: number) => void,
): number {
  const slots = tables.slots[worker];
  if (slots === undefined) return 0;
  const receipts = new ReceiptWriter(tables, worker);
  const facts = tables.facts[worker];
  let connections = 0;
  for (let slot = 0; slot < slots.count; slot++) {
    const generation = slots.generation(slot);
    // Only what lives names its descriptors; the words of a free or ended slot are stale.
    if (generation % 2 !== 0) {
      close(slots.fd(slot, CLIENT));
      close(slots.fd(slot, SERVER));
      receipts.write(slot, sys.nowMs(), WORKER_DIED, 0);
      if (slots.sourceEntry(slot) >= 0) releaseSource(slots.sourceEntry(slot));
      slots.setSourceEntry(slot, -1);
      markDirty(tables, worker, slots.usage(slot));
      if (facts !== undefined) forgetFacts(facts, tables.snapshots, slot);
      slots.setGeneration(slot, (generation + 1) | 0);
      connections++;
    } else if (slots.state(slot) === SLOT_FREE) {
      continue;
    }
    slots.setFd(slot, CLIENT, -1);
    slots.setFd(slot, SERVER, -1);
    slots.setState(slot, SLOT_FREE);
  }
  // Its thread may have ended in the middle of a list.
  tables.lists[worker]?.clear();
  return connections;
}

/** As the worker would have done at an end (path/account.ts): whoever has lost all connections with it is offline now. */
function markDirty({ usage, dirty }: Tables, worker: number, row: number): void {
  if (row < 0 || usage[worker]?.dirty(row) !== 0) return;
  usage[worker]?.setDirty(row, 1);
  dirty[worker]?.push(row);
}

function settlePipes(tables: Tables, worker: number, close: (fd: number) => void): void {
  const pipes = tables.pipes[worker];
  if (pipes === undefined) return;
  for (let pipe = 0; pipe < pipes.count; pipe++) {
    if (pipes.readFd(pipe) < LOWEST_FD && pipes.writeFd(pipe) < LOWEST_FD) continue;
    close(pipes.readFd(pipe));
    close(pipes.writeFd(pipe));
    pipes.setReadFd(pipe, -1);
    pipes.setWriteFd(pipe, -1);
  }
}
