// The up direction of a request that was sent in absolute form: exactly one request goes to the server, body included,
// and what the client sends after it is read and dropped, so that it can neither reach the server nor turn our close
// into a reset. Owner worker only. Not a fast path: it always copies.
//
// The framing (`framedRemaining`, the words of the chunked scanner) stands behind the last byte that was taken out of the
// client's socket, whether that byte was sent or is a leftover.

import { SERVER_RESET } from '../../layout/reasons.ts';
import { UP } from '../../layout/slot.ts';
import { EAGAIN, EINTR, MSG_PEEK } from '../../sys/constants.ts';
import { account } from '../account.ts';
import type { DataWorker } from '../data-worker.ts';
import { FRAMED_CHUNKED, HEAD_DUE, READABLE, REQUEST_OVER } from '../flags.ts';
import { isChunkedDone, scanChunked } from '../identify/chunked.ts';
import { BLOCK_BYTES } from './buffers.ts';
import { broken, ended, unsendable } from './ends.ts';
import { keepLeft } from './leftovers.ts';
import { sendHead } from './request-head.ts';
import { beforeSend, block, queue } from './turn.ts';

const FRAMED_TURN_BYTES_MAX = 512 * 1024;

/** Moves body bytes up, or drops what follows the request. @returns 0 or the retire reason */
export function copyFramed(w: DataWorker, slot: number): number {
  const table = w.table;
  const from = table.fd(slot, UP);
  if ((table.flags(slot) & HEAD_DUE) !== 0) {
    const failed = sendHead(w, slot);
    if (failed === SERVER_RESET) return unsendable(w, slot, UP);
    if (failed !== 0) return failed;
    // Its rest is a leftover, or still due: the server's edge will tell.
    if (table.left(slot, UP) >= 0 || (table.flags(slot) & HEAD_DUE) !== 0) return 0;
  }
  for (let moved = 0; moved < FRAMED_TURN_BYTES_MAX; ) {
    // What is only dropped needs no buffer.
    if (w.buffers.exhausted && (table.flags(slot) & REQUEST_OVER) === 0) return copyFramedPeeking(w, slot);
    const address = w.buffers.addressOf(w.buffers.current);
    const got = w.sys.recv(from, address, BLOCK_BYTES, 0);
    if (got === -EINTR) continue;
    if (got === 0) return ended(w, slot, UP);
    if (got === -EAGAIN) {
      table.setFlags(slot, table.flags(slot) & ~(READABLE << UP));
      return 0;
    }
    if (got < 0) return broken(w, slot, UP);
    moved += got;
    const body = bodyBytes(w, slot, got);
    if (body < 0) return -body;
    if (body === 0) continue;
    advance(w, slot, body);
    beforeSend(w, slot, UP);
    const sent = w.sys.send(table.fd(slot, 1 - UP), address, body, 0);
    if (sent < 0 && sent !== -EAGAIN && sent !== -EINTR) return unsendable(w, slot, UP);
    if (sent > 0) account(w, slot, UP, sent);
    if (sent < body) {
      keepLeft(w, slot, UP, sent > 0 ? sent : 0, body);
      if (sent === -EINTR) queue(w, slot);
      else block(w, slot, UP);
      return 0;
    }
  }
  queue(w, slot);
  return 0;
}

/**
 * The same without room for leftovers: looks, sends what belongs to the body, and takes out exactly what was sent. One
 * block a turn. The request is not over.
 */
function copyFramedPeeking(w: DataWorker, slot: number): number {
  const sys = w.sys;
  const table = w.table;
  const from = table.fd(slot, UP);
  const address = w.buffers.addressOf(w.buffers.current);
  w.row.addPeekedReads(w.index, 1);
  const got = sys.recv(from, address, BLOCK_BYTES, MSG_PEEK);
  if (got === 0) return ended(w, slot, UP);
  if (got === -EAGAIN) {
    table.setFlags(slot, table.flags(slot) & ~(READABLE << UP));
    return 0;
  }
  if (got === -EINTR) {
    queue(w, slot);
    return 0;
  }
  if (got < 0) return broken(w, slot, UP);
  // What stands before a breach of the framing is still good. Halving finds a part of it at little cost, and the next
  // turn looks at the rest; a breach ends the connection when it is the first byte.
  let seen = got;
  let body = bodyBytes(w, slot, seen);
  while (body < 0 && seen > 1) {
    seen >>= 1;
    body = bodyBytes(w, slot, seen);
  }
  if (body < 0) return -body;
  beforeSend(w, slot, UP);
  const sent = sys.send(table.fd(slot, 1 - UP), address, body, 0);
  if (sent < 0 && sent !== -EAGAIN && sent !== -EINTR) return unsendable(w, slot, UP);
  for (let taken = 0; taken < sent; ) {
    const n = sys.recv(from, address + taken, sent - taken, 0);
    if (n === 0 || (n < 0 && n !== -EINTR)) return broken(w, slot, UP);
    if (n > 0) taken += n;
  }
  if (sent > 0) {
    account(w, slot, UP, sent);
    // The scanner stands behind all that was seen: again, as far as was sent.
    if (sent < body) bodyBytes(w, slot, sent);
    advance(w, slot, sent);
  }
  if (sent < body && sent !== -EINTR) block(w, slot, UP);
  else queue(w, slot);
  return 0;
}

/**
 * How many of the first `length` bytes in the current block belong to the request's body; or minus a reason. Changes
 * nothing but `w.chunked`, which then stands behind them.
 */
function bodyBytes(w: DataWorker, slot: number, length: number): number {
  const table = w.table;
  const flags = table.flags(slot);
  if ((flags & REQUEST_OVER) !== 0) return 0;
  if ((flags & FRAMED_CHUNKED) === 0) {
    const remaining = table.framedRemaining(slot);
    return remaining < length ? remaining : length;
  }
  const state = w.chunked;
  for (let word = 0; word < state.length; word++) state[word] = table.chunked(slot, word);
  const start = w.buffers.current * BLOCK_BYTES;
  return scanChunked(state, 0, w.buffers.bytes, start, start + length);
}

/** The request's body has gone on by `bytes`: exactly what `bodyBytes` answered last. */
function advance(w: DataWorker, slot: number, bytes: number): void {
  const table = w.table;
  const flags = table.flags(slot);
  let isOver = false;
  if ((flags & FRAMED_CHUNKED) === 0) {
    const remaining = table.framedRemaining(slot) - bytes;
    table.setFramedRemaining(slot, remaining);
    isOver = remaining === 0;
  } else {
    const state = w.chunked;
    for (let word = 0; word < state.length; word++) table.setChunked(slot, word, state[word] as number);
    isOver = isChunkedDone(state, 0);
  }
  if (isOver) table.setFlags(slot, flags | REQUEST_OVER);
}
