// Account: what was delivered, added to the connection and to the worker. Plain additions: one writer, and readers that
// can bear a sum that is a moment old. Owner worker only.

import { UP } from '../layout/slot.ts';
import type { DataWorker } from './data-worker.ts';

/** `bytes` of a direction were taken by the kernel of the other side. */
export function account(w: DataWorker, slot: number, direction: number, bytes: number): void {
  w.table.addBytes(slot, direction, bytes);
  if (direction === UP) w.row.addUpBytes(w.index, bytes);
  else w.row.addDownBytes(w.index, bytes);
}
