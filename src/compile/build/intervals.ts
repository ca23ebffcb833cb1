// Ranges of values, each with bits, flattened into intervals: every bound begins a stretch of values that are in the same
// ranges. A sweep over the ends of all ranges; nested and overlapping ones are as good as any. Compiler thread.

import { INTERVAL_INDEX_WORDS } from '../../match/intervals.ts';
import { Classes, EMPTY_CLASS } from './classes.ts';

/** An index by the upper bits pays from here on. */
const INDEXED_MIN = 2_048;
const BIAS = 0x80000000 | 0;
/** Ranges that begin or end at one bound, of which each has a step of its own, which is likely to be known. */
const MOVES_ONE_BY_ONE = 4;

/** [from, to], and the bits of who has it, ascending. */
export interface BitRange<Value> {
  readonly from: Value;
  readonly to: Value;
  readonly bits: readonly number[];
}

type HasBits = Pick<BitRange<unknown>, 'bits'>;

interface Flat<Value> {
  readonly bounds: Value[];
  readonly classes: number[];
}

/** @param ranges of numbers in [0, 2^32) */
export function wordIntervals(ranges: readonly BitRange<number>[], classes: Classes): Int32Array {
  const { bounds, classes: found } = flatten(ranges, 0, 2 ** 32 - 1, (value) => value + 1, classes);
  const count = bounds.length;
  const isIndexed = count >= INDEXED_MIN;
  const first = 2 + (isIndexed ? INTERVAL_INDEX_WORDS : 0);
  const words = new Int32Array(first + count * 2);
  words[0] = count;
  words[1] = isIndexed ? 1 : 0;
  if (isIndexed) {
    let bound = 0;
    for (let upper = 0; upper <= 65_536; upper++) {
      while (bound + 1 < count && (bounds[bound + 1] as number) <= upper * 65_536) bound++;
      words[2 + upper] = bound;
    }
  }
  for (let i = 0; i < count; i++) {
    words[first + i] = (bounds[i] as number) ^ BIAS;
    words[first + count + i] = (found[i] as number) + 1;
  }
  return words;
}

/** @param ranges of IPv6 addresses as numbers of 128 bits */
export function addressIntervals(ranges: readonly BitRange<bigint>[], classes: Classes): Int32Array {
  const { bounds, classes: found } = flatten(ranges, 0n, 2n ** 128n - 1n, (value) => value + 1n, classes);
  const count = bounds.length;
  const words = new Int32Array(2 + count * 5);
  words[0] = count;
  for (const [i, bound] of bounds.entries()) {
    for (let word = 0; word < 4; word++) {
      words[2 + i * 4 + word] = Number((bound >> BigInt(96 - word * 32)) & 0xffffffffn) ^ BIAS;
    }
    words[2 + count * 4 + i] = (found[i] as number) + 1;
  }
  return words;
}

/** Bounds ascend, the first is `lowest`; neighbours differ in their class. */
function flatten<Value extends number | bigint>(
  ranges: readonly BitRange<Value>[],
  lowest: Value,
  highest: Value,
  next: (value: Value) => Value,
  classes: Classes,
): Flat<Value> {
  const begins = ranges.toSorted((a, b) => compare(a.from, b.from));
  const ends = ranges.toSorted((a, b) => compare(a.to, b.to));
  const open = new OpenBits();
  const bounds: Value[] = [];
  const found: number[] = [];
  let begin = 0;
  let end = 0;
  let at: Value | undefined = lowest;
  while (at !== undefined) {
    const firstEnd = end;
    const firstBegin = begin;
    while (end < ends.length && (ends[end] as BitRange<Value>).to < at) end++;
    while (begin < begins.length && (begins[begin] as BitRange<Value>).from <= at) begin++;
    open.move(ends.slice(firstEnd, end), begins.slice(firstBegin, begin));
    const number = open.classIn(classes);
    if (number !== found.at(-1)) {
      bounds.push(at);
      found.push(number);
    }
    const nextBegin = begins[begin]?.from;
    const lastEnd = ends[end]?.to;
    const nextEnd = lastEnd === undefined || lastEnd >= highest ? undefined : next(lastEnd);
    at = nextBegin === undefined || (nextEnd !== undefined && nextEnd < nextBegin) ? nextEnd : nextBegin;
  }
  return { bounds, classes: found };
}

/** The bits of ranges that are open: how many each has, and the class of them all, which most steps find in a table. */
class OpenBits {
  private readonly counts = new Map<number, number>();
  /** Those on the way from bound to bound, most of which no bound has. */
  private readonly scratch = new Classes();
  private now = EMPTY_CLASS;
  private readonly inTheirs = new Map<number, number>();

  /** At one bound: where much happens at once, what it comes to is made anew, and not what it was on the way. */
  move(closed: readonly HasBits[], opened: readonly HasBits[]): void {
    const isMuch = closed.length + opened.length > MOVES_ONE_BY_ONE;
    for (const { bits } of closed) this.remove(bits, isMuch);
    for (const { bits } of opened) this.add(bits, isMuch);
    if (isMuch) this.now = this.scratch.of([...this.counts.keys()].sort((a, b) => a - b));
  }

  private add(bits: readonly number[], isCountedOnly: boolean): void {
    for (const bit of bits) this.counts.set(bit, (this.counts.get(bit) ?? 0) + 1);
    if (!isCountedOnly) this.now = this.scratch.plus(this.now, this.scratch.of(bits));
  }

  private remove(bits: readonly number[], isCountedOnly: boolean): void {
    let gone: number[] | undefined;
    let kept = 0;
    for (const [index, bit] of bits.entries()) {
      const left = (this.counts.get(bit) as number) - 1;
      if (left > 0) {
        if (kept++ === 0) gone = bits.slice(0, index);
        this.counts.set(bit, left);
      } else {
        this.counts.delete(bit);
        gone?.push(bit);
      }
    }
    if (isCountedOnly || kept === bits.length) return;
    this.now = this.scratch.minus(this.now, this.scratch.of(gone ?? bits));
  }

  /** The same class among others. */
  classIn(classes: Classes): number {
    let number = this.inTheirs.get(this.now);
    if (number === undefined) {
      number = classes.of(this.scratch.bitsOf(this.now));
      this.inTheirs.set(this.now, number);
    }
    return number;
  }
}

function compare<Value extends number | bigint>(a: Value, b: Value): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
