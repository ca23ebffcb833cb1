// Linger: a client that was told no gets the time to read it. We say FIN after the answer and go on reading, and
// dropping, what it still sends: closing with unread bytes would send a reset, and a reset may overtake the answer.
// Owner worker only. Bounded by LINGER_MS, whatever the client does.

import { CLIENT, SERVER, SLOT_LINGERING } from '../layout/slot.ts';
import { EAGAIN, EINTR, SHUT_WR } from '../sys/constants.ts';
import type { DataWorker } from './data-worker.ts';
import { leaveOwner } from './enroll.ts';
import { countRefusal, dropCandidates } from './retire.ts';
import { BLOCK_BYTES } from './relay/buffers.ts';
import { queue } from './relay/turn.ts';

const LINGER_MS = 2_000;
const READS_PER_TURN_MAX = 4;

/** The answer has been sent. @returns 0, or `reason` where the client is gone already */
export function startLinger(w: DataWorker, slot: number, reason: number): number {
  const table = w.table;
  const server = table.fd(slot, SERVER);
  if (server >= 0) {
    // It may have been sent a part of a request, which must not look like all of it.
    w.sys.resetOnClose(server);
    w.sys.close(server);
    table.setFd(slot, SERVER, -1);
  }
  dropCandidates(w, slot);
  // It is nobody's any more: what it belonged to may be removed, and its index given away, while it lingers.
  countRefusal(w, slot, reason);
  leaveOwner(w, slot);
  table.setReason(slot, reason);
  table.setState(slot, SLOT_LINGERING);
  w.sys.shutdown(table.fd(slot, CLIENT), SHUT_WR);
  w.reactor.wheel.arm(slot, (w.reactor.nowTick + LINGER_MS) | 0);
  return linger(w, slot);
}

/** Reads and drops. @returns 0 (it may still send), or the retire reason kept in the slot */
export function linger(w: DataWorker, slot: number): number {
  const fd = w.table.fd(slot, CLIENT);
  for (let reads = 0; reads < READS_PER_TURN_MAX; reads++) {
    const got = w.sys.recv(fd, w.buffers.addressOf(w.buffers.current), BLOCK_BYTES, 0);
    if (got === -EAGAIN) return 0;
    if (got <= 0 && got !== -EINTR) return w.table.reason(slot);
  }
  queue(w, slot);
  return 0;
}
