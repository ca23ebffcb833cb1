// Silence: a rule drops a connection. The client hears nothing and nothing is read of it until its handshake would have had
// to be over; then it is reset. So somebody who looks for open doors waits for each. Bounded: by that deadline, and by a
// share of the slots, beyond which a drop is a reset at once. Owner worker only.

import { SLOT_SILENT } from '../layout/slot.ts';
import type { DataWorker } from './data-worker.ts';
import { leaveOwner } from './enroll.ts';
import { countRefusal, dropCandidates } from './retire.ts';

/** Of a worker's slots, those that may be kept for nothing: one in so many. */
const SILENT_SHARE = 4;

/** @returns 0, or `reason` where it is to end at once */
export function fallSilent(w: DataWorker, slot: number, reason: number): number {
  const table = w.table;
  if ((w.silent + 1) * SILENT_SHARE > table.count) return reason;
  w.silent++;
  dropCandidates(w, slot);
  // It is nobody's any more, as one that lingers.
  countRefusal(w, slot, reason);
  leaveOwner(w, slot);
  table.setReason(slot, reason);
  table.setState(slot, SLOT_SILENT);
  const leftMs = Math.trunc(w.handshakeMs - (w.reactor.nowMs - table.startedMs(slot)));
  w.reactor.wheel.arm(slot, (w.reactor.nowTick + Math.max(1, leftMs)) | 0);
  return 0;
}
