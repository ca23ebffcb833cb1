// A client's first bytes, looked at where they lie: in the kernel. Nothing is kept here for a client that is slow to say
// who it is, and what is not ours to consume (a ClientHello, a body) stays in the socket for the relay. Owner worker only.

import { CLIENT_CLOSED, CLIENT_RESET, HEADER_TOO_LARGE } from '../../layout/reasons.ts';
import { CLIENT } from '../../layout/slot.ts';
import { EAGAIN, EINTR, MSG_PEEK } from '../../sys/constants.ts';
import { HEAD_BYTES_MAX } from '../data-worker.ts';
import type { DataWorker } from '../data-worker.ts';
import { ENDING, WAIT } from '../flags.ts';

/**
 * Fills `w.head` with what the client has sent so far, up to HEAD_BYTES_MAX.
 * @returns its bytes, 0 where there are none yet, or minus a reason
 */
export function peekHead(w: DataWorker, slot: number): number {
  for (;;) {
    const got = w.sys.recv(w.table.fd(slot, CLIENT), w.headAddress, HEAD_BYTES_MAX, MSG_PEEK);
    if (got > 0) return got;
    if (got === 0) return -CLIENT_CLOSED;
    if (got === -EAGAIN) return 0;
    if (got !== -EINTR) return -CLIENT_RESET;
  }
}

/**
 * The parser wants more than the `length` bytes that are there.
 * @returns WAIT, or the reason why more can't come
 */
export function needMore(w: DataWorker, slot: number, length: number): number {
  if (length >= HEAD_BYTES_MAX) return HEADER_TOO_LARGE;
  return (w.table.flags(slot) & (ENDING << CLIENT)) !== 0 ? CLIENT_CLOSED : WAIT;
}

/** Takes `length` bytes that were peeked at out of the socket; they are in `w.head` again. @returns 0 or a reason */
export function takeHead(w: DataWorker, slot: number, length: number): number {
  for (let taken = 0; taken < length; ) {
    const got = w.sys.recv(w.table.fd(slot, CLIENT), w.headAddress + taken, length - taken, 0);
    if (got === 0 || (got < 0 && got !== -EINTR)) return CLIENT_RESET;
    if (got > 0) taken += got;
  }
  return 0;
}
