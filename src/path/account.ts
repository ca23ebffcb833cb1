// Account: what was delivered, added to the connection, to whom it belongs, and to the worker. Plain additions: one
// writer, and readers that can bear a sum that is a moment old. A row that changes is marked dirty, so that the control
// thread looks at those that changed and at no others. Owner worker only.

import { UP } from '../layout/slot.ts';
import type { DataWorker } from './data-worker.ts';

/** `bytes` of a direction were taken by the kernel of the other side. */
export function account(w: DataWorker, slot: number, direction: number, bytes: number): void {
  w.table.addBytes(slot, direction, bytes);
  const row = w.table.usage(slot);
  if (direction === UP) {
    w.row.addUpBytes(w.index, bytes);
    w.usage.addUpBytes(row, bytes);
  } else {
    w.row.addDownBytes(w.index, bytes);
    w.usage.addDownBytes(row, bytes);
  }
  markDirty(w, row);
}

/** The control thread is to look at a row of counters: it hears of it once, until it has taken the mark away. */
export function markDirty(w: DataWorker, row: number): void {
  if (w.usage.dirty(row) !== 0) return;
  w.usage.setDirty(row, 1);
  // The ring has room for all rows, also for those whose mark was taken away before it was emptied (layout/tables.ts).
  if (!w.dirty.push(row)) throw new Error('the ring of dirty rows is full');
}
