import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createArena } from './arena.ts';

describe('arena', () => {
  it('answers blocks that never overlap, and joins what is free again', () => {
    const commands = fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 300 })), { maxLength: 200 });
    fc.assert(
      fc.property(fc.integer({ min: 8, max: 1_500 }), commands, (words, steps) => {
        const arena = createArena(words);
        const owner = new Int32Array(words).fill(-1);
        const live: { start: number; words: number }[] = [];
        for (const [isRelease, size] of steps) {
          const block = isRelease ? live.splice(size % Math.max(1, live.length), 1)[0] : undefined;
          if (block !== undefined) {
            arena.release(block.start);
            owner.fill(-1, block.start, block.start + block.words);
            continue;
          }
          const start = arena.allocate(size);
          if (start < 0) continue;
          expect(start + size).toBeLessThanOrEqual(words);
          expect(owner.subarray(start, start + size).every((word) => word === -1)).toBe(true);
          owner.fill(1, start, start + size);
          live.push({ start, words: size });
        }
        for (const { start } of live) arena.release(start);
        expect(arena.wordsUsed).toBe(0);
        // Everything has come together again: the largest block that there was at first is there.
        expect(arena.allocate(2 ** Math.floor(Math.log2(words)))).toBe(0);
      }),
    );
  });

  it('refuses what does not fit, and what it did not give', () => {
    const arena = createArena(64);
    expect(arena.allocate(65)).toBe(-1);
    const block = arena.allocate(33);
    expect(block).toBe(0);
    expect(arena.allocate(1)).toBe(-1);
    arena.release(block);
    expect(() => arena.release(block)).toThrow(RangeError);
    expect(Array.from({ length: 9 }, () => arena.allocate(1)).sort((a, b) => a - b)).toEqual([
      -1, 0, 8, 16, 24, 32, 40, 48, 56,
    ]);
  });

  it('takes what another arena of the same range has given, and nothing that lies on it', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 200 }), { maxLength: 40 });
    fc.assert(
      fc.property(fc.integer({ min: 64, max: 1_500 }), sizes, (words, wanted) => {
        const first = createArena(words);
        const blocks = wanted
          .map((size) => ({ size, start: first.allocate(size) }))
          .filter(({ start }) => start >= 0);
        const second = createArena(words);
        for (const { start, size } of [...blocks].reverse()) expect(second.reserve(start, size)).toBe(true);
        expect(second.wordsUsed).toBe(first.wordsUsed);
        for (const { start, size } of blocks) expect(second.reserve(start, size)).toBe(false);
        // What is free in one is free in the other.
        for (let size = 8; size <= words; size *= 2) {
          const one = first.allocate(size);
          const other = second.allocate(size);
          expect(other >= 0).toBe(one >= 0);
        }
        for (const { start } of blocks) second.release(start);
      }),
    );
  });
});
