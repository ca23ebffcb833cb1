// How a connection's ends travel: a FIN as a FIN, a reset as a reset, each only after every byte that came before it.
// Owner worker only. Functions answer 0 (the connection goes on) or the retire reason.
//
//   source ENDED ── backlog flushed ──► destination SHUT;  both ENDED and nothing left ──► finished
//   side BROKEN on reading ── backlog flushed, kernel's queue acknowledged (SLOT_RESETTING) ──► the other side is reset
//   side BROKEN on writing ── what it sent before is read to its end ──► as on reading

import {
  CLIENT_RESET,
  FINISHED,
  HALF_CLOSE_TIMEOUT,
  IDLE_TIMEOUT,
  SERVER_RESET,
} from '../../layout/reasons.ts';
import { CLIENT, SERVER, SLOT_RESETTING } from '../../layout/slot.ts';
import { EPOLLERR, SHUT_WR } from '../../sys/constants.ts';
import type { DataWorker } from '../data-worker.ts';
import { BLOCKED, BROKEN, DEAD, ENDED, READABLE, SHUT, SLOW } from '../flags.ts';
import { dropLeft, flushLeft } from './leftovers.ts';
import { flushPipe, stopSplicing } from './splice.ts';
import { DRY, FULL, queue } from './turn.ts';

/** One side has nothing more to say, or is gone: the shorter deadline holds. */
export const HALF_CLOSED = ((ENDED | BROKEN) << CLIENT) | ((ENDED | BROKEN) << SERVER);

/** How often a reset asks whether the kernel has delivered what came before it. */
const RESET_POLL_MS = 5;

/** The source of `direction` has sent its FIN, and everything before it has been read. */
export function ended(w: DataWorker, slot: number, direction: number): number {
  const table = w.table;
  const flags = table.flags(slot);
  if ((flags & (BROKEN << direction)) !== 0) return broken(w, slot, direction);
  table.setFlags(slot, (flags | (ENDED << direction)) & ~(READABLE << direction));
  // From here on the shorter deadline holds.
  w.reactor.wheel.arm(slot, (w.reactor.nowTick + w.halfCloseMs) | 0);
  return isEmpty(w, slot, direction) ? passEnd(w, slot, direction) : 0;
}

/** The source of `direction` has ENDED and its backlog is gone: says so to the destination, or finishes. */
export function passEnd(w: DataWorker, slot: number, direction: number): number {
  const table = w.table;
  const other = 1 - direction;
  const flags = table.flags(slot);
  if ((flags & (ENDED << other)) !== 0) {
    // Closing says FIN to both, so the second shutdown is spared.
    return isEmpty(w, slot, other) ? FINISHED : 0;
  }
  if ((flags & (SHUT << other)) !== 0) return 0;
  table.setFlags(slot, flags | (SHUT << other));
  return w.sys.shutdown(table.fd(slot, other), SHUT_WR) < 0 ? unsendable(w, slot, direction) : 0;
}

/** The reason of a relay that moved nothing until its deadline. */
export function whyStill(flags: number): number {
  if ((flags & (BROKEN << CLIENT)) !== 0) return CLIENT_RESET;
  if ((flags & (BROKEN << SERVER)) !== 0) return SERVER_RESET;
  return (flags & ((ENDED << CLIENT) | (ENDED << SERVER))) !== 0 ? HALF_CLOSE_TIMEOUT : IDLE_TIMEOUT;
}

/**
 * The deadline of a relay was reached without an event. But a slow reader raises none while the kernel still sends what it
 * took from us: as long as that comes nearer to its end from one deadline to the next, the connection lives, and is armed anew.
 */
export function isStillDelivering(w: DataWorker, slot: number): boolean {
  const table = w.table;
  const unsent = unsentTo(w, slot, CLIENT) + unsentTo(w, slot, SERVER);
  if (unsent === 0) return false;
  const delivered = table.bytes(slot, CLIENT) + table.bytes(slot, SERVER) - unsent;
  if (delivered <= table.deliveredBefore(slot)) return false;
  table.setDeliveredBefore(slot, delivered);
  const halfClosed = (table.flags(slot) & HALF_CLOSED) !== 0;
  w.reactor.wheel.arm(slot, (w.reactor.nowTick + (halfClosed ? w.halfCloseMs : w.idleMs)) | 0);
  return true;
}

function unsentTo(w: DataWorker, slot: number, side: number): number {
  if ((w.table.flags(slot) & (BROKEN << side)) !== 0) return 0;
  const unsent = w.sys.unsentBytes(w.table.fd(slot, side));
  return unsent > 0 ? unsent : 0;
}

/** Nothing of `direction` waits in this process. */
function isEmpty(w: DataWorker, slot: number, direction: number): boolean {
  return w.table.left(slot, direction) < 0 && w.table.piped(slot, direction) === 0;
}

/** `side` has reset the connection (or the network has), and everything it sent before has been read. */
export function broken(w: DataWorker, slot: number, side: number): number {
  const table = w.table;
  const other = 1 - side;
  table.setFlags(slot, (table.flags(slot) | ((BROKEN | ENDED) << side)) & ~(READABLE << side));
  dropLeft(w, slot, other);
  stopSplicing(w, slot, other);
  table.setReason(slot, side === CLIENT ? CLIENT_RESET : SERVER_RESET);
  // Both sides are gone: there is nobody to wait for.
  if ((table.flags(slot) & (BROKEN << other)) !== 0) return table.reason(slot);
  table.setState(slot, SLOT_RESETTING);
  table.setFinalTick(slot, (w.reactor.nowTick + w.halfCloseMs) | 0);
  return resettingStep(w, slot);
}

/** Writing to the destination of `direction` failed: what waits for it is lost; what it sent may still be there. */
export function unsendable(w: DataWorker, slot: number, direction: number): number {
  const table = w.table;
  const other = 1 - direction;
  dropLeft(w, slot, direction);
  stopSplicing(w, slot, direction);
  const flags = table.flags(slot) | (BROKEN << other) | ((DEAD | SLOW) << direction);
  table.setFlags(slot, flags & ~(READABLE << direction));
  // It has been read to its end, or what it sends has nobody to go to either.
  if ((flags & ((ENDED | DEAD) << other)) !== 0) return broken(w, slot, other);
  table.setFlags(slot, table.flags(slot) | (READABLE << other));
  queue(w, slot);
  return 0;
}

/** An event while SLOT_RESETTING: `side` may have become writable. */
export function resettingEvent(w: DataWorker, slot: number, side: number, mask: number): number {
  const table = w.table;
  const reason = table.reason(slot);
  // Now the side that was still to be served is gone as well. (Its queue would look undelivered for ever.)
  if ((mask & EPOLLERR) !== 0 && side !== (reason === CLIENT_RESET ? CLIENT : SERVER)) return reason;
  table.setFlags(slot, table.flags(slot) & ~(BLOCKED << side));
  return resettingStep(w, slot);
}

/** Flushes what came before the reset; when the kernel has delivered it, the connection is over. */
export function resettingStep(w: DataWorker, slot: number): number {
  const table = w.table;
  const reason = table.reason(slot);
  const side = reason === CLIENT_RESET ? CLIENT : SERVER;
  const other = 1 - side;
  const now = w.reactor.nowTick;
  if (((now - table.finalTick(slot)) | 0) >= 0) return reason;
  let answer = DRY;
  if (table.left(slot, side) >= 0) answer = flushLeft(w, slot, side);
  else if (table.piped(slot, side) > 0) answer = flushPipe(w, slot, side);
  if (answer === DRY && w.sys.unsentBytes(table.fd(slot, other)) <= 0) return reason;
  if (answer !== DRY && answer !== FULL) return reason;
  w.reactor.wheel.arm(slot, (now + RESET_POLL_MS) | 0);
  return 0;
}
