import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HashTable, hashTableBytes } from './hash-table.ts';

// Few bucket bits differ, so that keys collide and probes wrap.
function keyOf(id: number): Int32Array {
  return Int32Array.of(id & 3, id, id * 7, ~id);
}

describe('hash table', () => {
  test('agrees with a Map under any history', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ op: fc.constantFrom('set', 'delete'), id: fc.nat(20), value: fc.nat(1000) }), {
          maxLength: 200,
        }),
        (history) => {
          const table = new HashTable(new SharedArrayBuffer(hashTableBytes(12)), 0, 12);
          const model = new Map<number, number>();
          for (const { op, id, value } of history) {
            if (op === 'set') {
              const fits = model.has(id) || model.size < 12;
              expect(table.set(keyOf(id), 0, value)).toBe(fits);
              if (fits) model.set(id, value);
            } else {
              expect(table.delete(keyOf(id), 0)).toBe(model.delete(id));
            }
            expect(table.size).toBe(model.size);
            for (let probe = 0; probe <= 20; probe++)
              expect(table.get(keyOf(probe), 0)).toBe(model.get(probe) ?? -1);
          }
        },
      ),
    );
  });

  test('churn leaves no tombstones that lengthen probes for ever', () => {
    const table = new HashTable(new SharedArrayBuffer(hashTableBytes(8)), 0, 8);
    for (let id = 0; id < 10_000; id++) {
      expect(table.set(keyOf(id), 0, id)).toBe(true);
      expect(table.delete(keyOf(id), 0)).toBe(true);
    }
    expect(table.get(keyOf(1), 0)).toBe(-1);
    expect(table.size).toBe(0);
  });
});
