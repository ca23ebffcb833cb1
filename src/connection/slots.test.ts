// Slots against a model: which are free, which live, and that an old name never finds a new connection.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SLOT_ENDED, SLOT_FREE, slotType } from '../layout/slot.ts';
import { Slots } from './slots.ts';

const SLOTS = 5;

function createSlots(): Slots {
  const bytes = new SharedArrayBuffer(slotType.recordBytes * SLOTS);
  return new Slots(slotType.attach(bytes, 0, SLOTS));
}

describe('slots', () => {
  it('agree with a model under any order of taking, ending and recycling', () => {
    const step = fc.record({ op: fc.constantFrom('take', 'end', 'recycle'), pick: fc.nat(SLOTS) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const slots = createSlots();
        const live = new Map<number, number>();
        const ended: number[] = [];
        const old: [slot: number, generation: number][] = [];
        for (const { op, pick } of steps) {
          if (op === 'take') {
            const slot = slots.take();
            expect(slot >= 0).toBe(live.size + ended.length < SLOTS);
            if (slot < 0) continue;
            expect(live.has(slot) || ended.includes(slot)).toBe(false);
            live.set(slot, slots.table.generation(slot));
          } else if (op === 'end' && live.size > 0) {
            const [slot, generation] = [...live][pick % live.size] as [number, number];
            slots.end(slot);
            live.delete(slot);
            ended.push(slot);
            old.push([slot, generation]);
            expect(slots.table.state(slot)).toBe(SLOT_ENDED);
          } else if (op === 'recycle' && ended.length > 0) {
            const slot = ended.splice(pick % ended.length, 1)[0] as number;
            slots.recycle(slot);
            expect(slots.table.state(slot)).toBe(SLOT_FREE);
          }
          expect(slots.live).toBe(live.size);
          for (const [slot, generation] of live) {
            expect(generation & 1).toBe(1);
            expect(slots.isLive(slot, generation)).toBe(true);
          }
          for (const [slot, generation] of old) expect(slots.isLive(slot, generation)).toBe(false);
        }
      }),
    );
  });

  it('touch no more of the table than was ever needed at one time', () => {
    const slots = createSlots();
    for (let i = 0; i < 20; i++) {
      const first = slots.take();
      const second = slots.take();
      for (const slot of [first, second]) {
        slots.end(slot);
        slots.recycle(slot);
      }
    }
    expect(slots.touched).toBe(2);
  });

  it('go on with their generations after another took over the table, also where they wrap around', () => {
    const slots = createSlots();
    const slot = slots.take();
    slots.table.setGeneration(slot, 0x7fffffff);
    slots.end(slot);
    slots.recycle(slot);
    const successor = new Slots(slots.table);
    expect(successor.take()).toBe(slot);
    const generation = successor.table.generation(slot);
    expect(generation).toBe(-0x80000000 + 1);
    expect(successor.isLive(slot, generation)).toBe(true);
    expect(successor.isLive(slot, 0x7fffffff)).toBe(false);
  });

  it('know no names that were never given', () => {
    const slots = createSlots();
    expect(slots.isLive(0, 1)).toBe(false);
    expect(slots.isLive(99, 1)).toBe(false);
    slots.take();
    expect(slots.isLive(0, 0)).toBe(false);
  });
});
