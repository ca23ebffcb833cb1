// Classes while they are built: sets of bits, each of them once, and what a value belongs to is the number of one. A class
// is made when all bits of a value are known: what it would have been on the way is nobody's. Compiler thread.

import { CLASS_DENSE } from '../../layout/rules.ts';

/** The class without bits: no class at all for those who look up. */
export const EMPTY_CLASS = -1;

/**
 * Bits of all classes together that a block may have. Rules that overlap in thousands of ways are told so; no list that
 * people keep comes near it.
 */
const BITS_MAX = 2 ** 24;

export class Classes {
  private readonly sets: (readonly number[])[] = [];
  private readonly numbers = new Map<string, number>();
  private bits = 0;
  /** By class: what it becomes with another class, and without it. */
  private readonly sums: Map<number, number>[] = [];
  private readonly differences: Map<number, number>[] = [];

  get count(): number {
    return this.sets.length;
  }

  /** @param bits ascending, each once @throws RangeError where there are too many in all */
  of(bits: readonly number[]): number {
    if (bits.length === 0) return EMPTY_CLASS;
    const key = bits.length === 1 ? String(bits[0]) : bits.join();
    const known = this.numbers.get(key);
    if (known !== undefined) return known;
    this.bits += bits.length;
    if (this.bits > BITS_MAX) {
      throw new RangeError(
        'conditions of rules overlap in too many ways; put values of one rule into one list',
      );
    }
    this.numbers.set(key, this.sets.length);
    return this.sets.push(bits) - 1;
  }

  bitsOf(number: number): readonly number[] {
    return number === EMPTY_CLASS ? [] : (this.sets[number] as readonly number[]);
  }

  plus(one: number, other: number): number {
    if (one === EMPTY_CLASS || one === other) return other;
    if (other === EMPTY_CLASS) return one;
    const table = (this.sums[one] ??= new Map());
    let sum = table.get(other);
    if (sum === undefined) {
      sum = this.of(union(this.bitsOf(one), this.bitsOf(other)));
      table.set(other, sum);
    }
    return sum;
  }

  minus(one: number, other: number): number {
    if (one === EMPTY_CLASS || other === EMPTY_CLASS) return one;
    if (one === other) return EMPTY_CLASS;
    const table = (this.differences[one] ??= new Map());
    let difference = table.get(other);
    if (difference === undefined) {
      const without = new Set(this.bitsOf(other));
      difference = this.of(this.bitsOf(one).filter((bit) => !without.has(bit)));
      table.set(other, difference);
    }
    return difference;
  }

  /** As words (layout/rules.ts): pairs, or a whole vector where that is shorter. */
  words(number: number, vectorWords: number): Int32Array {
    const pairs = new Map<number, number>();
    for (const bit of this.bitsOf(number)) {
      pairs.set(bit >>> 5, (pairs.get(bit >>> 5) ?? 0) | (1 << (bit & 31)));
    }
    if (pairs.size * 2 > vectorWords) {
      const dense = new Int32Array(1 + vectorWords);
      dense[0] = CLASS_DENSE;
      for (const [word, bits] of pairs) dense[1 + word] = bits;
      return dense;
    }
    const sparse = new Int32Array(1 + pairs.size * 2);
    sparse[0] = pairs.size;
    let at = 1;
    // Bits ascend, so that words do.
    for (const [word, bits] of pairs) {
      sparse[at++] = word;
      sparse[at++] = bits;
    }
    return sparse;
  }
}

/** The bits that a value collects: one, which is what nearly all have, or a list. */
export type Bits = number | number[];

/** @returns `bits` with one more */
export function withBit(bits: Bits | undefined, bit: number): Bits {
  if (bits === undefined) return bit;
  if (typeof bits === 'number') return bits === bit ? bits : [bits, bit];
  if (bits.at(-1) !== bit) bits.push(bit);
  return bits;
}

/** The class of what a value has collected. */
export function classOf(bits: Bits | undefined, classes: Classes): number {
  if (bits === undefined) return EMPTY_CLASS;
  if (typeof bits === 'number') return classes.of([bits]);
  return classes.of([...new Set(bits)].sort((a, b) => a - b));
}

/** Both ascending. */
function union(a: readonly number[], b: readonly number[]): number[] {
  const sum: number[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    const left = a[i] ?? Number.POSITIVE_INFINITY;
    const right = b[j] ?? Number.POSITIVE_INFINITY;
    sum.push(Math.min(left, right));
    if (left <= right) i++;
    if (right <= left) j++;
  }
  return sum;
}
