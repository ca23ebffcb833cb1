import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createIndexPool } from './index-pool.ts';

describe('index pool', () => {
  it('never gives out an index that is in use or released since the last settle', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('acquire', 'release', 'settle'), { maxLength: 100 }),
        (history) => {
          const pool = createIndexPool(5);
          const used = new Set<number>();
          const released = new Set<number>();
          for (const step of history) {
            if (step === 'acquire' && pool.room > 0) {
              const index = pool.acquire();
              expect(used.has(index) || released.has(index)).toBe(false);
              used.add(index);
            } else if (step === 'release' && used.size > 0) {
              const index = [...used][0] as number;
              pool.release(index);
              used.delete(index);
              released.add(index);
            } else if (step === 'settle') {
              pool.settle();
              released.clear();
            }
            expect(pool.room).toBe(5 - used.size - released.size);
          }
        },
      ),
    );
  });

  it('says so when it is empty', () => {
    const pool = createIndexPool(1);
    pool.acquire();
    expect(() => pool.acquire()).toThrow(RangeError);
  });
});
