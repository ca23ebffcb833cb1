// Retire: the only way out of the path, whatever went wrong. It closes, gives back and counts; after it the connection's
// name finds nothing. Owner worker only.
//
// A connection that ended as both sides wished is closed with FINs. Any other is reset on the sides that live: a stream
// that was cut short must never look like one that was complete. (It also leaves no TIME_WAIT behind.)

import { forgetFacts } from '../layout/facts.ts';
import { CLIENT_CLOSED, FINISHED, REFUSAL_OF_REASON } from '../layout/reasons.ts';
import { CLIENT, DOWN, SERVER, SLOT_LINGERING, SLOT_SILENT, UP } from '../layout/slot.ts';
import type { DataWorker } from './data-worker.ts';
import { expel } from './enroll.ts';
import { BROKEN, HAS_FACTS, QUEUED } from './flags.ts';
import { dropLeft } from './relay/leftovers.ts';
import { stopSplicing } from './relay/splice.ts';

/** Descriptors that a connection reserves: its two sockets. */
export const CONNECTION_DESCRIPTORS = 2;

/** Ends the connection in `slot`, which lives. */
export function retire(w: DataWorker, slot: number, reason: number): void {
  const table = w.table;
  const flags = table.flags(slot);
  const orderly =
    reason === FINISHED || reason === CLIENT_CLOSED || table.state(slot) === SLOT_LINGERING || w.evictOrderly;
  w.reactor.wheel.cancel(slot);
  close(w, slot, SERVER, orderly || (flags & (BROKEN << SERVER)) !== 0);
  close(w, slot, CLIENT, orderly || (flags & (BROKEN << CLIENT)) !== 0);
  dropLeft(w, slot, UP);
  dropLeft(w, slot, DOWN);
  stopSplicing(w, slot, UP);
  stopSplicing(w, slot, DOWN);
  dropCandidates(w, slot);
  if ((flags & HAS_FACTS) !== 0) forgetFacts(w.facts, w.tables.snapshots, slot);
  if (table.state(slot) === SLOT_SILENT) w.silent--;
  w.budget.give(CONNECTION_DESCRIPTORS);
  if (!w.warming) w.receipts.write(slot, w.reactor.nowMs, reason, w.evictionId);
  countRefusal(w, slot, reason);
  expel(w, slot);
  w.row.addEnded(w.index, reason, 1);
  w.slots.end(slot);
  w.row.setConnections(w.index, w.slots.live);
  if ((flags & QUEUED) === 0) w.slots.recycle(slot);
}

/** A connection of a known service that never came to a server, and why. */
export function countRefusal(w: DataWorker, slot: number, reason: number): void {
  const refusal = REFUSAL_OF_REASON[reason] as number;
  const usage = w.table.usage(slot);
  if (refusal < 0 || usage < 0 || w.table.connectMs(slot) >= 0) return;
  w.usage.setRefused(usage, refusal, (w.usage.refused(usage, refusal) + 1) | 0);
}

function close(w: DataWorker, slot: number, side: number, orderly: boolean): void {
  const fd = w.table.fd(slot, side);
  if (fd < 0) return;
  if (!orderly) w.sys.resetOnClose(fd);
  w.sys.close(fd);
  w.table.setFd(slot, side, -1);
}

/** Forgets further addresses of the target. */
export function dropCandidates(w: DataWorker, slot: number): void {
  const block = w.table.candidates(slot);
  if (block < 0) return;
  w.candidates.release(block);
  w.table.setCandidates(slot, -1);
}
