// Bytes that were read and that the destination did not take: one buffer a direction at most, flushed before anything
// else is read. Owner worker only.

import { EAGAIN, EINTR } from '../../sys/constants.ts';
import { account } from '../account.ts';
import type { DataWorker } from '../data-worker.ts';
import { SLOW } from '../flags.ts';
import { beforeSend, DESTINATION_BROKEN, DRY, FULL } from './turn.ts';

/**
 * Keeps bytes [start, end) of the current block for `direction`. The caller read them only because a block was free.
 */
export function keepLeft(w: DataWorker, slot: number, direction: number, start: number, end: number): void {
  const block = w.buffers.keepCurrent();
  if (block < 0) throw new Error('relay: bytes were read that have no place');
  const table = w.table;
  table.setLeft(slot, direction, block);
  table.setLeftStart(slot, direction, start);
  table.setLeftEnd(slot, direction, end);
  table.setFlags(slot, table.flags(slot) | (SLOW << direction));
  const inUse = w.buffers.inUse;
  w.row.setLeftoversInUse(w.index, inUse);
  if (inUse > w.row.leftoversHighest(w.index)) w.row.setLeftoversHighest(w.index, inUse);
}

/** Sends what is left. @returns DRY (all of it; the buffer is given back), FULL or DESTINATION_BROKEN */
export function flushLeft(w: DataWorker, slot: number, direction: number): number {
  const table = w.table;
  const to = table.fd(slot, 1 - direction);
  const address = w.buffers.addressOf(table.left(slot, direction));
  for (;;) {
    const start = table.leftStart(slot, direction);
    const length = table.leftEnd(slot, direction) - start;
    beforeSend(w, slot, direction);
    const sent = w.sys.send(to, address + start, length, 0);
    if (sent === -EINTR) continue;
    if (sent === -EAGAIN) return FULL;
    if (sent < 0) return DESTINATION_BROKEN;
    account(w, slot, direction, sent);
    if (sent === length) {
      dropLeft(w, slot, direction);
      return DRY;
    }
    table.setLeftStart(slot, direction, start + sent);
    return FULL;
  }
}

/** Gives the buffer back, whatever is in it. */
export function dropLeft(w: DataWorker, slot: number, direction: number): void {
  const block = w.table.left(slot, direction);
  if (block < 0) return;
  w.buffers.release(block);
  w.table.setLeft(slot, direction, -1);
  w.row.setLeftoversInUse(w.index, w.buffers.inUse);
}
