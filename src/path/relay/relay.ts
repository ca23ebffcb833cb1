// The relay: moves what one side sends to the other, both ways, until both have ended. Owner worker only.
//
// A direction is READABLE when an edge said so and no read has found the socket dry since; BLOCKED is said of the side
// that takes no more. Backpressure is not reading: the kernel's window does the rest.
//
//            read full, block by block                 streak of full reads
//   idle ──────────────────────────────► copying ───────────────────────────► spliced (splice.ts)
//                                          │ partial write                        │ streak of small ones
//                                          ▼                                      ▼
//                                   leftover: nothing is read until it is flushed; then copying
//
// A turn moves a bounded number of bytes a direction; then the slot waits in the ready list. How ends and resets
// travel: ends.ts. Functions here answer 0 (the connection goes on) or the retire reason.

import { CLIENT, SERVER, SLOT_RELAYING, UP } from '../../layout/slot.ts';
import {
  EAGAIN,
  EINTR,
  EPOLLERR,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  EPOLLPRI,
  EPOLLRDHUP,
  MSG_PEEK,
} from '../../sys/constants.ts';
import { account } from '../account.ts';
import type { DataWorker } from '../data-worker.ts';
import {
  BLOCKED,
  BROKEN,
  DEAD,
  ENDED,
  ENDING,
  FRAMED,
  READABLE,
  SLOW,
  SPLICED,
  UNSPLICEABLE,
  URGENT,
} from '../flags.ts';
import { BLOCK_BYTES } from './buffers.ts';
import { broken, ended, HALF_CLOSED, passEnd, unsendable } from './ends.ts';
import { copyFramed } from './framed.ts';
import { flushLeft, keepLeft } from './leftovers.ts';
import { BULK_STREAK, pumpPipe, startSplicing } from './splice.ts';
import {
  beforeSend,
  block,
  DESTINATION_BROKEN,
  DRY,
  FULL,
  MORE,
  queue,
  SOURCE_BROKEN,
  takeUrgentInline,
} from './turn.ts';

/** What one direction of one connection may move by copying before others have had their turn. */
const RELAY_TURN_BYTES_MAX = 512 * 1024;

const TO_READ = EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR;
const TO_WRITE = EPOLLOUT | EPOLLHUP | EPOLLERR;

/** Both sides are there, and whatever belongs before their bytes has been sent: from now on bytes move. */
export function startRelay(w: DataWorker, slot: number): number {
  w.table.setState(slot, SLOT_RELAYING);
  w.reactor.wheel.arm(slot, (w.reactor.nowTick + w.idleMs) | 0);
  return relayReady(w, slot);
}

/** An event of a relayed connection. */
export function relayEvent(w: DataWorker, slot: number, side: number, mask: number): number {
  const table = w.table;
  let flags = table.flags(slot);
  if ((mask & TO_READ) !== 0) {
    if ((flags & (ENDED << side)) === 0) flags |= READABLE << side;
    else if ((mask & EPOLLERR) !== 0) return broken(w, slot, side);
    if ((mask & EPOLLERR) !== 0) {
      // A reset also raises RDHUP, and what came before it is still to be read. So a short read is neither the end nor
      // the last one: there will be no other edge, and the error is found by reading on.
      flags = (flags | ((BROKEN | URGENT) << side)) & ~(ENDING << side);
    } else if ((mask & EPOLLRDHUP) !== 0) {
      flags |= ENDING << side;
    }
    if ((mask & EPOLLPRI) !== 0) {
      flags |= URGENT << side;
      if (side === SERVER) takeUrgentInline(w, slot);
    }
  }
  const unblocked = (flags & (BLOCKED << side)) !== 0 && (mask & TO_WRITE) !== 0;
  if (unblocked) flags &= ~(BLOCKED << side);
  table.setFlags(slot, flags);
  const halfClosed = (flags & HALF_CLOSED) !== 0;
  w.reactor.wheel.arm(slot, (w.reactor.nowTick + (halfClosed ? w.halfCloseMs : w.idleMs)) | 0);
  let reason = 0;
  if ((flags & (READABLE << side)) !== 0) reason = pump(w, slot, side);
  if (unblocked && reason === 0 && table.state(slot) === SLOT_RELAYING) reason = pump(w, slot, 1 - side);
  return reason;
}

/** The slot's turn in the ready list, and the first turn of all. */
export function relayReady(w: DataWorker, slot: number): number {
  const table = w.table;
  let reason = 0;
  if ((table.flags(slot) & (READABLE << CLIENT)) !== 0) reason = pump(w, slot, CLIENT);
  if (reason !== 0 || table.state(slot) !== SLOT_RELAYING) return reason;
  if ((table.flags(slot) & (READABLE << SERVER)) !== 0) reason = pump(w, slot, SERVER);
  return reason;
}

/** Moves what can be moved in one direction, named by the side that it comes from. */
function pump(w: DataWorker, slot: number, direction: number): number {
  if ((w.table.flags(slot) & (SLOW << direction)) !== 0) return pumpSlow(w, slot, direction);
  return copy(w, slot, direction);
}

function copy(w: DataWorker, slot: number, direction: number): number {
  const table = w.table;
  const sys = w.sys;
  const buffers = w.buffers;
  const from = table.fd(slot, direction);
  const to = table.fd(slot, 1 - direction);
  let moved = 0;
  for (;;) {
    if (buffers.exhausted) return copyPeeking(w, slot, direction);
    const address = buffers.addressOf(buffers.current);
    const got = sys.recv(from, address, BLOCK_BYTES, 0);
    if (got <= 0) {
      if (got === -EINTR) continue;
      if (got === 0) return ended(w, slot, direction);
      if (got !== -EAGAIN) return broken(w, slot, direction);
      table.setFlags(slot, table.flags(slot) & ~(READABLE << direction));
      return 0;
    }
    beforeSend(w, slot, direction);
    const sent = sys.send(to, address, got, 0);
    if (sent !== got) return sendPartly(w, slot, direction, sent, got);
    account(w, slot, direction, got);
    if (got < BLOCK_BYTES) {
      const flags = table.flags(slot);
      if ((flags & (URGENT << direction)) !== 0) {
        moved += got;
        if (moved < RELAY_TURN_BYTES_MAX) continue;
        queue(w, slot);
        return 0;
      }
      table.setStreak(slot, direction, 0);
      // The kernel gives less than asked only when there is no more: the next byte comes with another edge, and a FIN
      // that is in already makes this the end.
      if ((flags & (ENDING << direction)) !== 0) return ended(w, slot, direction);
      table.setFlags(slot, flags & ~(READABLE << direction));
      return 0;
    }
    moved += got;
    const streak = table.streak(slot, direction) + 1;
    table.setStreak(slot, direction, streak);
    if (
      streak >= BULK_STREAK &&
      isSpliceable(table.flags(slot), direction) &&
      startSplicing(w, slot, direction)
    ) {
      return pumpSlow(w, slot, direction);
    }
    if (moved >= RELAY_TURN_BYTES_MAX) {
      queue(w, slot);
      return 0;
    }
  }
}

function isSpliceable(flags: number, direction: number): boolean {
  return (
    (flags & ((UNSPLICEABLE | URGENT) << direction)) === 0 && (direction !== UP || (flags & FRAMED) === 0)
  );
}

/** The destination took `sent` of the `got` bytes in the current block, or answered with an error. */
function sendPartly(w: DataWorker, slot: number, direction: number, sent: number, got: number): number {
  if (sent < 0 && sent !== -EAGAIN && sent !== -EINTR) return unsendable(w, slot, direction);
  if (sent > 0) account(w, slot, direction, sent);
  keepLeft(w, slot, direction, sent > 0 ? sent : 0, got);
  if (sent === -EINTR) queue(w, slot);
  else block(w, slot, direction);
  return 0;
}

/** Copies without room for leftovers: looks, sends, and takes out exactly what was sent. One block a turn. */
function copyPeeking(w: DataWorker, slot: number, direction: number): number {
  const sys = w.sys;
  const from = w.table.fd(slot, direction);
  const address = w.buffers.addressOf(w.buffers.current);
  w.row.addPeekedReads(w.index, 1);
  const got = sys.recv(from, address, BLOCK_BYTES, MSG_PEEK);
  if (got === 0) return ended(w, slot, direction);
  if (got === -EAGAIN) {
    w.table.setFlags(slot, w.table.flags(slot) & ~(READABLE << direction));
    return 0;
  }
  if (got < 0 && got !== -EINTR) return broken(w, slot, direction);
  let sent = 0;
  if (got > 0) {
    beforeSend(w, slot, direction);
    sent = sys.send(w.table.fd(slot, 1 - direction), address, got, 0);
    if (sent < 0 && sent !== -EAGAIN && sent !== -EINTR) return unsendable(w, slot, direction);
  }
  for (let taken = 0; taken < sent; ) {
    const n = sys.recv(from, address, sent - taken, 0);
    if (n === 0 || (n < 0 && n !== -EINTR)) return broken(w, slot, direction);
    if (n > 0) taken += n;
  }
  if (sent > 0) account(w, slot, direction, sent);
  if (got > 0 && sent < got && sent !== -EINTR) block(w, slot, direction);
  else queue(w, slot);
  return 0;
}

/** Directions that are more than copying; see SLOW. */
function pumpSlow(w: DataWorker, slot: number, direction: number): number {
  const table = w.table;
  const flags = table.flags(slot);
  if ((flags & (DEAD << direction)) !== 0 || (flags & (BLOCKED << (1 - direction))) !== 0) return 0;
  if (table.left(slot, direction) >= 0) return flush(w, slot, direction);
  if ((flags & (SPLICED << direction)) !== 0) return splice(w, slot, direction);
  if (direction === UP && (flags & FRAMED) !== 0) return copyFramed(w, slot);
  throw new Error(`relay: flags ${flags} make direction ${direction} slow without a cause`);
}

/** Sends leftover bytes; when they are gone, the direction goes on where it stood. */
function flush(w: DataWorker, slot: number, direction: number): number {
  const table = w.table;
  const answer = flushLeft(w, slot, direction);
  if (answer === FULL) {
    block(w, slot, direction);
    return 0;
  }
  if (answer === DESTINATION_BROKEN) return unsendable(w, slot, direction);
  const flags = table.flags(slot);
  if (direction !== UP || (flags & FRAMED) === 0) table.setFlags(slot, flags & ~(SLOW << direction));
  if ((flags & (ENDED << direction)) !== 0) return passEnd(w, slot, direction);
  return (flags & (READABLE << direction)) !== 0 ? pump(w, slot, direction) : 0;
}

function splice(w: DataWorker, slot: number, direction: number): number {
  const table = w.table;
  if ((table.flags(slot) & (ENDED << direction)) !== 0 && table.piped(slot, direction) === 0) return 0;
  switch (pumpPipe(w, slot, direction)) {
    case DRY:
      table.setFlags(slot, table.flags(slot) & ~(READABLE << direction));
      return 0;
    case MORE:
      queue(w, slot);
      return 0;
    case FULL:
      block(w, slot, direction);
      return 0;
    case SOURCE_BROKEN:
      return broken(w, slot, direction);
    case DESTINATION_BROKEN:
      return unsendable(w, slot, direction);
    default:
      return copy(w, slot, direction);
  }
}
