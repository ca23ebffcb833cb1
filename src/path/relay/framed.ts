// The up direction of a request that was sent in absolute form: exactly one request goes to the server, body included,
// and what the client sends after it is read and dropped, so that it can neither reach the server nor turn our close
// into a reset. Owner worker only. Not a fast path: it always copies.

import { BUFFERS_EXHAUSTED } from '../../layout/reasons.ts';
import { UP } from '../../layout/slot.ts';
import { EAGAIN, EINTR } from '../../sys/constants.ts';
import { account } from '../account.ts';
import type { DataWorker } from '../data-worker.ts';
import { FRAMED_CHUNKED, READABLE, REQUEST_OVER } from '../flags.ts';
import { isChunkedDone, scanChunked } from '../identify/chunked.ts';
import { BLOCK_BYTES } from './buffers.ts';
import { broken, ended, unsendable } from './ends.ts';
import { keepLeft } from './leftovers.ts';
import { beforeSend, block, queue } from './turn.ts';

const FRAMED_TURN_BYTES_MAX = 512 * 1024;

/** Moves body bytes up, or drops what follows the request. @returns 0 or the retire reason */
export function copyFramed(w: DataWorker, slot: number): number {
  const table = w.table;
  const from = table.fd(slot, UP);
  for (let moved = 0; moved < FRAMED_TURN_BYTES_MAX; ) {
    // What is only dropped needs no buffer.
    if (w.buffers.exhausted && (table.flags(slot) & REQUEST_OVER) === 0) return BUFFERS_EXHAUSTED;
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

/** How many of the `got` bytes in the current block belong to the request's body; or minus a reason. */
function bodyBytes(w: DataWorker, slot: number, got: number): number {
  const table = w.table;
  const flags = table.flags(slot);
  if ((flags & REQUEST_OVER) !== 0) return 0;
  if ((flags & FRAMED_CHUNKED) === 0) {
    const remaining = table.framedRemaining(slot);
    const body = remaining < got ? remaining : got;
    table.setFramedRemaining(slot, remaining - body);
    if (remaining <= got) table.setFlags(slot, flags | REQUEST_OVER);
    return body;
  }
  const state = w.chunked;
  for (let word = 0; word < state.length; word++) state[word] = table.chunked(slot, word);
  const start = w.buffers.current * BLOCK_BYTES;
  const body = scanChunked(state, 0, w.buffers.bytes, start, start + got);
  if (body < 0) return body;
  for (let word = 0; word < state.length; word++) table.setChunked(slot, word, state[word] as number);
  if (isChunkedDone(state, 0)) table.setFlags(slot, flags | REQUEST_OVER);
  return body;
}
