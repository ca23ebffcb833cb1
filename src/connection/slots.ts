// The slots of one worker: where connections live, and their names. Owner worker only, but for the generation words,
// which the control thread reads. Free slots form a list through `next`; slots that were never used have untouched memory,
// so a table for many connections costs what the highest number at one time has touched.

import { SLOT_ENDED, SLOT_FREE } from '../layout/slot.ts';
import type { SlotTable } from '../layout/slot.ts';

const NONE = -1;

export class Slots {
  readonly table: SlotTable;
  private free = NONE;
  private fresh = 0;
  private liveCount = 0;

  /**
   * @param table  the worker's own table. After a death the slots are all free again, with generations that went on, so
   *               that an old name finds nothing.
   */
  constructor(table: SlotTable) {
    this.table = table;
  }

  /** Connections that live. */
  get live(): number {
    return this.liveCount;
  }

  /** Slots in [0, touched) have been used at some time. */
  get touched(): number {
    return this.fresh;
  }

  /** @returns a slot whose generation is odd now and whose other words are stale, or -1 where all are in use */
  take(): number {
    const table = this.table;
    let slot = this.free;
    if (slot !== NONE) {
      this.free = table.next(slot);
    } else {
      if (this.fresh === table.count) return NONE;
      slot = this.fresh++;
    }
    table.setGeneration(slot, (table.generation(slot) + 1) | 0);
    this.liveCount++;
    return slot;
  }

  /** Ends the connection in `slot`: from here on its name finds nothing. The slot is not free yet. */
  end(slot: number): void {
    const table = this.table;
    table.setState(slot, SLOT_ENDED);
    table.setGeneration(slot, (table.generation(slot) + 1) | 0);
    this.liveCount--;
  }

  /** Gives an ended slot back for another connection: nothing may hold its number any more. */
  recycle(slot: number): void {
    const table = this.table;
    table.setState(slot, SLOT_FREE);
    table.setNext(slot, this.free);
    this.free = slot;
  }

  /** True while `generation` is the one of a living connection in `slot`. */
  isLive(slot: number, generation: number): boolean {
    return slot < this.fresh && (generation & 1) === 1 && this.table.generation(slot) === generation;
  }
}
