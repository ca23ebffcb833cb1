// The head of a request that was sent in absolute form: the server gets our form of it. Owner worker only.
//
// What the server's socket does not take of it becomes a leftover. Where no buffer is free for one, the head is only
// looked at, and stays in the client's socket until all of it was sent: HEAD_DUE is set, and `leftStart` tells how much
// of our form the server has. The same bytes give the same form, so it is written anew when the server takes more; the
// head is bounded, and with it that work.

import { CLIENT_RESET, MALFORMED_HTTP, SERVER_RESET } from '../../layout/reasons.ts';
import { CLIENT, SERVER, UP } from '../../layout/slot.ts';
import { EAGAIN, EINTR } from '../../sys/constants.ts';
import { account } from '../account.ts';
import type { DataWorker } from '../data-worker.ts';
import {
  FRAMED_CHUNKED,
  FRAMED_LENGTH,
  HEAD_DUE,
  READABLE,
  REQUEST_OVER,
  SENT_ONCE,
  SLOW,
} from '../flags.ts';
import { rewriteHead } from '../identify/http-rewrite.ts';
import { parseHttpHead } from '../identify/http.ts';
import { HTTP_HEAD_BYTES_MAX } from '../identify/identify.ts';
import { BODY_CHUNKED, BODY_LENGTH } from '../identify/parsed.ts';
import { peekHead, takeHead } from '../identify/peek.ts';
import { BLOCK_BYTES } from './buffers.ts';
import { keepLeft } from './leftovers.ts';
import { block, queue } from './turn.ts';

/** The server is there: begins to send it the request's head, and notes where the request will end. @returns 0 or a reason */
export function startRequest(w: DataWorker, slot: number): number {
  w.table.setLeftStart(slot, UP, 0);
  w.table.setFlags(slot, w.table.flags(slot) | HEAD_DUE | (SLOW << UP));
  const failed = sendHead(w, slot);
  if (failed === 0) frame(w, slot);
  return failed;
}

/** HEAD_DUE is set: sends what the server has not been sent. @returns 0 (also where some is still due) or a reason */
export function sendHead(w: DataWorker, slot: number): number {
  const table = w.table;
  const headBytes = table.headBytes(slot);
  const isRoom = !w.buffers.exhausted;
  const missing = isRoom ? takeHead(w, slot, headBytes) : lookAtHead(w, slot, headBytes);
  if (missing !== 0) return missing;
  if (parseHttpHead(w.head, headBytes, HTTP_HEAD_BYTES_MAX, w.parsed) !== headBytes) return MALFORMED_HTTP;
  const length = rewriteHead(w.head, w.parsed, w.headOut);
  if (length < 0) return -length;
  const start = table.leftStart(slot, UP);
  const sent = w.sys.send(table.fd(slot, SERVER), w.headOutAddress + start, length - start, 0);
  if (sent < 0 && sent !== -EAGAIN && sent !== -EINTR) return SERVER_RESET;
  table.setFlags(slot, table.flags(slot) | SENT_ONCE);
  if (sent > 0) account(w, slot, UP, sent);
  const end = sent > 0 ? start + sent : start;
  if (end === length) {
    table.setFlags(slot, table.flags(slot) & ~HEAD_DUE);
    return isRoom ? 0 : takeHead(w, slot, headBytes);
  }
  if (isRoom) {
    const left = w.buffers.current * BLOCK_BYTES;
    for (let i = end; i < length; i++) w.buffers.bytes[left + i] = w.headOut[i] as number;
    keepLeft(w, slot, UP, end, length);
    table.setFlags(slot, table.flags(slot) & ~HEAD_DUE);
  } else {
    table.setLeftStart(slot, UP, end);
  }
  if (sent === -EINTR) queue(w, slot);
  else block(w, slot, UP);
  return 0;
}

/** The head is in `w.head` again, and in the socket as well. @returns 0 or a reason */
function lookAtHead(w: DataWorker, slot: number, headBytes: number): number {
  const peeked = peekHead(w, slot);
  if (peeked < 0) return -peeked;
  return peeked < headBytes ? CLIENT_RESET : 0;
}

/** Up to where the client's bytes belong to this request, as `w.parsed` says. */
function frame(w: DataWorker, slot: number): void {
  const table = w.table;
  const parsed = w.parsed;
  let flag = REQUEST_OVER;
  if (parsed.bodyKind === BODY_CHUNKED) {
    flag = FRAMED_CHUNKED;
    for (let word = 0; word < w.chunked.length; word++) table.setChunked(slot, word, 0);
  } else if (parsed.bodyKind === BODY_LENGTH && parsed.bodyBytes > 0) {
    flag = FRAMED_LENGTH;
    table.setFramedRemaining(slot, parsed.bodyBytes);
  }
  table.setFlags(slot, table.flags(slot) | flag | (READABLE << CLIENT));
}
