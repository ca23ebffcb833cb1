// The lists through one worker's slots: the registry's index. A slot stands in at most one list of each kind, so linking,
// unlinking and finding the neighbour cost the same however many connections there are. Owner worker only.
//
//   head ──► newest ⇄ ... ⇄ oldest            new ones come in at the head
//
// A walk that is spread over several turns keeps a cursor: when its slot leaves the list the cursor moves on to the next
// one, so that a walk meets every slot that stays, never one twice, and none that came after it began.

import { LISTS_COUNT, NO_SLOT, NOT_LINKED } from '../layout/lists.ts';
import type { ListHeads } from '../layout/lists.ts';
import type { SlotTable } from '../layout/slot.ts';

/** Walks that may be under way at one time. */
export const CURSORS_MAX = 128;
const CLOSED = -1;

export class Lists {
  private readonly table: SlotTable;
  private readonly heads: ListHeads;
  /** By cursor: the kind of list, or CLOSED; and the slot that is visited next. */
  private readonly cursorKind = new Int32Array(CURSORS_MAX).fill(CLOSED);
  private readonly cursorSlot = new Int32Array(CURSORS_MAX);
  private cursorsOpen = 0;

  constructor(table: SlotTable, heads: ListHeads) {
    this.table = table;
    this.heads = heads;
  }

  /** A new connection stands in no list. */
  clear(slot: number): void {
    for (let kind = 0; kind < LISTS_COUNT; kind++) this.table.setLinkPrevious(slot, kind, NOT_LINKED);
  }

  isLinked(kind: number, slot: number): boolean {
    return this.table.linkPrevious(slot, kind) !== NOT_LINKED;
  }

  /** Puts a slot, which stands in no list of this kind, at the head of the list of `key`. */
  link(kind: number, key: number, slot: number): void {
    const table = this.table;
    const first = this.heads.first(kind, key);
    table.setLinkNext(slot, kind, first);
    table.setLinkPrevious(slot, kind, NO_SLOT);
    if (first !== NO_SLOT) table.setLinkPrevious(first, kind, slot);
    this.heads.setFirst(kind, key, slot);
    this.heads.addCount(kind, key, 1);
  }

  /** Takes a slot out of the list of `key`, where it stands. */
  unlink(kind: number, key: number, slot: number): void {
    const table = this.table;
    if (this.cursorsOpen > 0) this.passBy(kind, slot);
    const next = table.linkNext(slot, kind);
    const previous = table.linkPrevious(slot, kind);
    if (previous === NO_SLOT) this.heads.setFirst(kind, key, next);
    else table.setLinkNext(previous, kind, next);
    if (next !== NO_SLOT) table.setLinkPrevious(next, kind, previous);
    table.setLinkPrevious(slot, kind, NOT_LINKED);
    this.heads.addCount(kind, key, -1);
  }

  /** @returns a cursor before the first slot of a list, or -1 where too many walks are under way */
  openCursor(kind: number, key: number): number {
    for (let cursor = 0; cursor < CURSORS_MAX; cursor++) {
      if (this.cursorKind[cursor] !== CLOSED) continue;
      this.cursorKind[cursor] = kind;
      this.cursorSlot[cursor] = this.heads.first(kind, key);
      this.cursorsOpen++;
      return cursor;
    }
    return -1;
  }

  /** @returns the slot that is visited next, or NO_SLOT at the end */
  peek(cursor: number): number {
    return this.cursorSlot[cursor] as number;
  }

  /** Visits the next slot. @returns it, or NO_SLOT at the end */
  advance(cursor: number): number {
    const slot = this.cursorSlot[cursor] as number;
    if (slot !== NO_SLOT)
      this.cursorSlot[cursor] = this.table.linkNext(slot, this.cursorKind[cursor] as number);
    return slot;
  }

  closeCursor(cursor: number): void {
    this.cursorKind[cursor] = CLOSED;
    this.cursorsOpen--;
  }

  private passBy(kind: number, slot: number): void {
    for (let cursor = 0; cursor < CURSORS_MAX; cursor++) {
      if (this.cursorKind[cursor] !== kind || this.cursorSlot[cursor] !== slot) continue;
      this.cursorSlot[cursor] = this.table.linkNext(slot, kind);
    }
  }
}
