// What the parts of the relay tell each other about one try to move bytes, and the marks they leave for the next turn.
// Owner worker only.

import { IPPROTO_TCP, SO_OOBINLINE, SOL_SOCKET, TCP_NODELAY } from '../../sys/constants.ts';
import { SERVER, UP } from '../../layout/slot.ts';
import type { DataWorker } from '../data-worker.ts';
import { BLOCKED, NODELAY_SET, QUEUED, SENT_ONCE } from '../flags.ts';

/** Everything that was there has been moved; an edge will tell of more. */
export const DRY = 0;
/** There may be more, but the turn's share is used up. */
export const MORE = 1;
/** The destination takes no more; an edge will tell when it does. */
export const FULL = 2;
export const SOURCE_BROKEN = 3;
export const DESTINATION_BROKEN = 4;
/** The pipe was given back: the direction is to be copied. */
export const TO_COPYING = 5;

/** Puts the slot into the ready list, once. */
export function queue(w: DataWorker, slot: number): void {
  const flags = w.table.flags(slot);
  if ((flags & QUEUED) !== 0) return;
  w.table.setFlags(slot, flags | QUEUED);
  w.reactor.ready.push(slot);
}

/** The destination of `direction` takes no more. */
export function block(w: DataWorker, slot: number, direction: number): void {
  w.table.setFlags(slot, w.table.flags(slot) | (BLOCKED << (1 - direction)));
}

/**
 * Before bytes go up: the first segment never waits for an acknowledgement, so a connection of one request is spared the
 * option; from the second on Nagle's algorithm would hold small ones back. (Accepted sockets inherit it.)
 */
export function beforeSend(w: DataWorker, slot: number, direction: number): void {
  if (direction !== UP) return;
  const flags = w.table.flags(slot);
  if ((flags & NODELAY_SET) !== 0) return;
  if ((flags & SENT_ONCE) === 0) {
    w.table.setFlags(slot, flags | SENT_ONCE);
    return;
  }
  w.table.setFlags(slot, flags | NODELAY_SET);
  // A Unix socket refuses it, and needs it as little.
  w.sys.setOptionInt(w.table.fd(slot, SERVER), IPPROTO_TCP, TCP_NODELAY, 1);
}

/**
 * The server has sent urgent data: its urgent byte is to stay in the stream, where the client's does (accepted sockets
 * inherit the option). Set when the mark is first seen, before the read that would drop the byte.
 */
export function takeUrgentInline(w: DataWorker, slot: number): void {
  w.sys.setOptionInt(w.table.fd(slot, SERVER), SOL_SOCKET, SO_OOBINLINE, 1);
}
