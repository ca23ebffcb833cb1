// Classes while they are built: sets of bits, each of them once. What a value belongs to is the number of a class, so adding
// a bit to a hundred thousand values that are in the same class costs two sums a value. Compiler thread.

import { CLASS_DENSE } from '../../layout/rules.ts';

/** The class without bits: no class at all for those who look up. */
export const EMPTY_CLASS = -1;

export class Classes {
  private readonly sets: (readonly number[])[] = [];
  private readonly numbers = new Map<string, number>();
  /** By class: what it becomes with one bit more, and with another class. */
  private readonly withBit: Map<number, number>[] = [];
  private readonly withClass: Map<number, number>[] = [];
  private readonly firsts = new Map<number, number>();

  get count(): number {
    return this.sets.length;
  }

  /** @param bits ascending, each once */
  of(bits: readonly number[]): number {
    if (bits.length === 0) return EMPTY_CLASS;
    const key = bits.join();
    const known = this.numbers.get(key);
    if (known !== undefined) return known;
    this.numbers.set(key, this.sets.length);
    return this.sets.push(bits) - 1;
  }

  bitsOf(number: number): readonly number[] {
    return number === EMPTY_CLASS ? [] : (this.sets[number] as readonly number[]);
  }

  plusBit(number: number, bit: number): number {
    const table = number === EMPTY_CLASS ? this.firsts : (this.withBit[number] ??= new Map());
    let sum = table.get(bit);
    if (sum === undefined) {
      sum = this.of(union(this.bitsOf(number), [bit]));
      table.set(bit, sum);
    }
    return sum;
  }

  plus(one: number, other: number): number {
    if (one === EMPTY_CLASS || one === other) return other;
    if (other === EMPTY_CLASS) return one;
    const table = (this.withClass[one] ??= new Map());
    let sum = table.get(other);
    if (sum === undefined) {
      sum = this.of(union(this.bitsOf(one), this.bitsOf(other)));
      table.set(other, sum);
    }
    return sum;
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
