// The lists against plain arrays, under any order of linking, unlinking and walking: who stands where, in which order,
// how many; and what walks meet that are under way while the lists change under them.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LISTS_COUNT, ListHeads, listHeadsBytes, NO_SLOT, NOT_LINKED } from '../layout/lists.ts';
import { slotType } from '../layout/slot.ts';
import { CURSORS_MAX, Lists } from './lists.ts';

const SLOTS = 12;
const KEYS = 3;
const KEY_COUNTS = Array.from({ length: LISTS_COUNT }, () => KEYS);

interface Setup {
  readonly heads: ListHeads;
  readonly table: ReturnType<typeof slotType.attach>;
  readonly lists: Lists;
}

function setUp(): Setup {
  const heads = new ListHeads(new SharedArrayBuffer(listHeadsBytes(KEY_COUNTS)), KEY_COUNTS);
  const table = slotType.attach(new SharedArrayBuffer(slotType.recordBytes * SLOTS), 0, SLOTS);
  const lists = new Lists(table, heads);
  for (let slot = 0; slot < SLOTS; slot++) lists.clear(slot);
  return { heads, table, lists };
}

/** A walk of the model: who stood in the list when it began and has stayed, and whom it has met. */
interface Walk {
  readonly cursor: number;
  readonly kind: number;
  /** In the order in which they are to come. */
  due: number[];
}

/** By kind and key: slots, the newest first. */
type Model = number[][][];

function keyOf(model: Model, kind: number, slot: number): number {
  return (model[kind] as number[][]).findIndex((list) => list.includes(slot));
}

function expectAlike({ heads, table }: Setup, model: Model): void {
  for (let kind = 0; kind < LISTS_COUNT; kind++) {
    for (let key = 0; key < KEYS; key++) {
      const expected = model[kind]?.[key] as number[];
      const found: number[] = [];
      let previous = NO_SLOT;
      for (let slot = heads.first(kind, key); slot !== NO_SLOT; slot = table.linkNext(slot, kind)) {
        expect(table.linkPrevious(slot, kind)).toBe(previous);
        previous = slot;
        found.push(slot);
        expect(found.length).toBeLessThanOrEqual(SLOTS);
      }
      expect(found).toEqual(expected);
      expect(heads.count(kind, key)).toBe(expected.length);
    }
  }
}

const step = fc.record({
  op: fc.constantFrom('link', 'link', 'link', 'unlink', 'unlink-next', 'open', 'advance', 'advance', 'close'),
  kind: fc.nat(LISTS_COUNT - 1),
  key: fc.nat(KEYS - 1),
  slot: fc.nat(SLOTS - 1),
  walk: fc.nat(CURSORS_MAX),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** One step on both sides; what the walk at hand answers is compared at once. */
function take(setup: Setup, model: Model, walks: Walk[], { op, kind, key, slot, walk }: Step): void {
  const { lists } = setup;
  const at = walks.length === 0 ? undefined : walks[walk % walks.length];
  switch (op) {
    case 'link':
      expect(lists.isLinked(kind, slot)).toBe(keyOf(model, kind, slot) >= 0);
      if (lists.isLinked(kind, slot)) return;
      lists.link(kind, key, slot);
      model[kind]?.[key]?.unshift(slot);
      return;
    case 'unlink':
      unlink(setup, model, walks, kind, slot);
      return;
    case 'unlink-next':
      // The very slot that a cursor stands on.
      if (at?.due[0] !== undefined) unlink(setup, model, walks, at.kind, at.due[0]);
      return;
    case 'open': {
      const cursor = lists.openCursor(kind, key);
      expect(cursor >= 0).toBe(walks.length < CURSORS_MAX);
      if (cursor >= 0) walks.push({ cursor, kind, due: [...((model[kind] as number[][])[key] as number[])] });
      return;
    }
    case 'advance':
      if (at !== undefined) expect(lists.advance(at.cursor)).toBe(at.due.shift() ?? NO_SLOT);
      return;
    case 'close':
      if (at === undefined) return;
      lists.closeCursor(at.cursor);
      walks.splice(walks.indexOf(at), 1);
  }
}

function unlink({ lists, table }: Setup, model: Model, walks: Walk[], kind: number, slot: number): void {
  const key = keyOf(model, kind, slot);
  if (key < 0) return;
  lists.unlink(kind, key, slot);
  const list = model[kind]?.[key] as number[];
  list.splice(list.indexOf(slot), 1);
  expect(table.linkPrevious(slot, kind)).toBe(NOT_LINKED);
  for (const walk of walks) {
    if (walk.kind === kind) walk.due = walk.due.filter((due) => due !== slot);
  }
}

describe('the lists through the slots', () => {
  it('agree with arrays, and every walk meets exactly those that stay', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const setup = setUp();
        const model: Model = Array.from({ length: LISTS_COUNT }, () =>
          Array.from({ length: KEYS }, () => []),
        );
        const walks: Walk[] = [];
        for (const one of steps) take(setup, model, walks, one);
        expectAlike(setup, model);
        for (const { cursor, due } of walks) {
          for (const slot of due) expect(setup.lists.advance(cursor)).toBe(slot);
          expect(setup.lists.advance(cursor)).toBe(NO_SLOT);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('lead a walk past whoever left and came back: it came after the walk began', () => {
    const { lists } = setUp();
    for (const slot of [1, 2, 3]) lists.link(0, 0, slot);
    const cursor = lists.openCursor(0, 0);
    expect(lists.advance(cursor)).toBe(3);
    lists.unlink(0, 0, 1);
    lists.link(0, 0, 1);
    lists.unlink(0, 0, 3);
    lists.link(0, 1, 3);
    expect([lists.advance(cursor), lists.advance(cursor)]).toEqual([2, NO_SLOT]);
  });

  it('refuse one walk too many, until another is over', () => {
    const { lists } = setUp();
    lists.link(0, 0, 5);
    const cursors = Array.from({ length: CURSORS_MAX }, () => lists.openCursor(0, 0));
    expect(new Set(cursors).size).toBe(CURSORS_MAX);
    expect(lists.openCursor(0, 0)).toBe(-1);
    lists.closeCursor(cursors[7] as number);
    expect(lists.openCursor(0, 0)).toBe(cursors[7]);
  });

  it('are all empty after the worker has gone', () => {
    const { lists, heads } = setUp();
    lists.link(2, 1, 4);
    lists.link(5, 2, 4);
    heads.clear();
    expect([heads.first(2, 1), heads.count(2, 1), heads.first(5, 2), heads.count(5, 2)]).toEqual([
      NO_SLOT,
      0,
      NO_SLOT,
      0,
    ]);
  });
});
