// The ring against a queue, also where its counts wrap around 32 bits.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Ring, ringBytes } from './ring.ts';

const CAPACITY = 8;
const WRITTEN_WORD = 0;
const TAKEN_WORD = 16;

/** Writer and reader with views of their own, after `before` values have come and gone. */
function setUp(before = 0, capacity = CAPACITY): { writer: Ring; reader: Ring } {
  const buffer = new SharedArrayBuffer(ringBytes(capacity));
  const words = new Int32Array(buffer);
  words[WRITTEN_WORD] = before;
  words[TAKEN_WORD] = before;
  return { writer: new Ring(buffer, capacity), reader: new Ring(buffer, capacity) };
}

describe('the ring', () => {
  it('agrees with a queue under any order of writing and reading, wherever its counts stand', () => {
    const step = fc.constantFrom('push', 'shift', 'claim', 'first');
    // At the sign's change, at the wrap to 0, anywhere.
    const before = fc.oneof(
      fc.integer({ min: 2 ** 31 - 20, max: 2 ** 31 + 20 }),
      fc.integer({ min: -20, max: 20 }),
      fc.integer(),
    );
    fc.assert(
      fc.property(before, fc.array(step, { maxLength: 100 }), (start, steps) => {
        const { writer, reader } = setUp(start | 0);
        const model: number[] = [];
        let pushed = 0;
        let taken = 0;
        for (const op of steps) {
          if (op === 'push') {
            const fits = model.length < CAPACITY;
            expect(writer.push(pushed - 50)).toBe(fits);
            if (fits) model.push(pushed++ - 50);
          } else if (op === 'shift' && model.length > 0) {
            expect(reader.shift()).toBe(model.shift());
            taken++;
          } else if (op === 'claim') {
            expect(writer.claim()).toBe(model.length < CAPACITY ? (start + pushed) & (CAPACITY - 1) : -1);
          } else if (op === 'first') {
            expect(reader.first()).toBe(model.length === 0 ? -1 : (start + taken) & (CAPACITY - 1));
          }
          expect([writer.count, reader.count]).toEqual([model.length, model.length]);
        }
      }),
    );
  });

  it('is full at its capacity, refuses without harm, and has room again for each that is taken', () => {
    for (const start of [0, 2 ** 31 - 3, -3]) {
      const { writer, reader } = setUp(start | 0);
      for (let value = 0; value < CAPACITY; value++) expect(writer.push(value)).toBe(true);
      expect([writer.push(99), writer.claim(), reader.count]).toEqual([false, -1, CAPACITY]);
      expect(reader.shift()).toBe(0);
      expect([writer.push(8), writer.push(9)]).toEqual([true, false]);
      expect(Array.from({ length: CAPACITY }, () => reader.shift())).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
      expect(reader.first()).toBe(-1);
    }
  });

  it('shows nothing of a claim before it is published, and keeps the position until it is released', () => {
    const { writer, reader } = setUp(0, 1);
    expect(writer.claim()).toBe(0);
    expect(reader.first()).toBe(-1);
    writer.publish();
    expect(reader.first()).toBe(0);
    expect(writer.claim()).toBe(-1);
    reader.release();
    expect(writer.claim()).toBe(0);
  });

  it('has a power of two of values', () => {
    for (const capacity of [0, 3, 12]) {
      expect(() => new Ring(new SharedArrayBuffer(ringBytes(16)), capacity)).toThrow(RangeError);
    }
  });
});
