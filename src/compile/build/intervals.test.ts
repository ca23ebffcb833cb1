import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { classOfAddress, classOfWord } from '../../match/intervals.ts';
import { Classes } from './classes.ts';
import { addressIntervals, wordIntervals } from './intervals.ts';
import { createRandom } from './random-rules.ts';

const AT = 5;

function placed(words: Int32Array): Int32Array {
  const arena = new Int32Array(AT + words.length);
  arena.set(words, AT);
  return arena;
}

function bitsOf<Value extends number | bigint>(
  ranges: readonly { from: Value; to: Value; bits: readonly number[] }[],
  value: Value,
): number[] {
  const bits = ranges.filter(({ from, to }) => from <= value && value <= to).flatMap(({ bits: all }) => all);
  return [...new Set(bits)].sort((a, b) => a - b);
}

const LAST = 2 ** 32 - 1;
const edge = fc.oneof(
  fc.constantFrom(0, 1, 2, 2 ** 31 - 1, 2 ** 31, 2 ** 31 + 1, LAST - 1, LAST),
  fc.nat(20),
);

describe('intervals of one word', () => {
  it('say which ranges hold a value, however these overlap', () => {
    const range = fc.tuple(edge, edge, fc.nat(5)).map(([a, b, bit]) => ({
      from: Math.min(a, b),
      to: Math.max(a, b),
      bits: [bit],
    }));
    fc.assert(
      fc.property(fc.array(range, { minLength: 1, maxLength: 20 }), fc.array(edge), (ranges, values) => {
        const classes = new Classes();
        const arena = placed(wordIntervals(ranges, classes));
        for (const value of [...values, ...ranges.flatMap(({ from, to }) => [from, to])]) {
          expect(classes.bitsOf(classOfWord(arena, AT, value | 0))).toEqual(bitsOf(ranges, value));
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('say the same where they are many, and have an index', () => {
    const random = createRandom(3);
    const ranges = Array.from({ length: 5_000 }, () => {
      const from = random.below(2 ** 32);
      return { from, to: Math.min(LAST, from + random.below(100_000)), bits: [random.below(2)] };
    });
    const classes = new Classes();
    const arena = placed(wordIntervals(ranges, classes));
    expect(arena[AT + 1]).toBe(1);
    const values = [
      0,
      LAST,
      65_535,
      65_536,
      ...ranges.slice(0, 300).flatMap(({ from, to }) => [from, to, to + 1]),
    ];
    for (const value of values.filter((each) => each <= LAST)) {
      expect(classes.bitsOf(classOfWord(arena, AT, value | 0))).toEqual(bitsOf(ranges, value));
    }
  });
});

describe('intervals of four words', () => {
  it('say which ranges hold an address', () => {
    const values = [0n, 1n, 2n ** 32n, 2n ** 63n, 2n ** 64n - 1n, 2n ** 64n, 2n ** 127n, 2n ** 128n - 1n];
    const value = fc.constantFrom(...values);
    const range = fc.tuple(value, value, fc.nat(5)).map(([a, b, bit]) => ({
      from: a < b ? a : b,
      to: a < b ? b : a,
      bits: [bit],
    }));
    fc.assert(
      fc.property(fc.array(range, { minLength: 1, maxLength: 10 }), (ranges) => {
        const classes = new Classes();
        const arena = placed(addressIntervals(ranges, classes));
        for (const one of [...values, ...values.map((each) => (each + 1n) % 2n ** 128n)]) {
          const words = Int32Array.from([96n, 64n, 32n, 0n], (shift) => Number((one >> shift) & 0xffffffffn));
          expect(classes.bitsOf(classOfAddress(arena, AT, words, 0))).toEqual(bitsOf(ranges, one));
        }
      }),
      { numRuns: 500 },
    );
  });
});
