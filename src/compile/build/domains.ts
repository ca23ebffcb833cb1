// Builds a domain table (match/domains.ts has the layout): classes inherited from shorter ends, what they make superfluous
// left out, the ends that most names share written once, and then an open hash table over the records. Compiler thread.

import {
  DOMAIN_HEADER_WORDS,
  hashByte,
  levelBit,
  NAME_CODE_BITS,
  NAME_CODES,
  RECORD_BELOW,
  RECORD_ITSELF,
  SHARED_ENDS_MAX,
  slotOf,
  spread,
} from '../../match/domains.ts';
import type { Bits, Classes } from './classes.ts';
import { classOf, EMPTY_CLASS, withBit } from './classes.ts';

/** Share of slots in use: a name that is not there costs six looks on average, at 0.85 it would be twenty. */
const LOAD = 0.7;
/** A shared end saves its own bytes and a dot in each name. */
const SHARED_NAMES_MIN = 4;
const ENCODER = new TextEncoder();

/** What a name stands for: of itself, and of all below it. */
interface Entry {
  itself: Bits | undefined;
  below: Bits | undefined;
}

interface RecordOfName {
  readonly name: string;
  readonly labels: number;
  readonly itself: number;
  readonly below: number;
}

export class DomainTable {
  private readonly entries = new Map<string, Entry>();
  private readonly classes: Classes;

  constructor(classes: Classes) {
    this.classes = classes;
  }

  get size(): number {
    return this.entries.size;
  }

  /** @param name lower case, ASCII, without a dot at its ends */
  addItself(name: string, bit: number): void {
    const entry = this.entryOf(name);
    entry.itself = withBit(entry.itself, bit);
  }

  addBelow(name: string, bit: number): void {
    const entry = this.entryOf(name);
    entry.below = withBit(entry.below, bit);
  }

  private entryOf(name: string): Entry {
    let entry = this.entries.get(name);
    if (entry === undefined) {
      entry = { itself: undefined, below: undefined };
      this.entries.set(name, entry);
    }
    return entry;
  }

  /** @param seed of the hashes, the process's */
  words(seed: number): Int32Array {
    const records = this.inherited();
    const isOneClass = this.classes.count === 1;
    const ends = sharedEnds(records);
    const pool = new Pool(records, ends);
    const sharedAt = ends.map((end) => (pool.append(ENCODER.encode(end)) << 8) | end.length);
    const numbers = new Map(ends.map((end, index) => [end, index + 1]));
    const hashes = new Int32Array(records.length);
    const places = new Int32Array(records.length);
    let levels = 0;
    for (const [index, record] of records.entries()) {
      hashes[index] = hashOf(record.name, seed);
      levels |= levelBit(record.labels);
      places[index] = pool.record(record, numbers, isOneClass);
    }
    const slots = Math.ceil(records.length / LOAD) + 1;
    const placeBits = Math.ceil(Math.log2(pool.bytes + 2));
    const first = DOMAIN_HEADER_WORDS + ends.length;
    const words = new Int32Array(first + slots + Math.ceil(pool.bytes / 4));
    words[0] = slots;
    words[1] = first + slots;
    words[2] = placeBits;
    words[3] = isOneClass ? 1 : 0;
    words[4] = levels;
    words[5] = ends.length;
    words.set(sharedAt, DOMAIN_HEADER_WORDS);
    for (let index = 0; index < records.length; index++) {
      const hash = hashes[index] as number;
      let slot = slotOf(hash, slots);
      while (words[first + slot] !== 0) slot = slot + 1 === slots ? 0 : slot + 1;
      words[first + slot] = (hash << placeBits) | ((places[index] as number) + 1);
    }
    pool.copyTo(new Uint8Array(words.buffer, (first + slots) * 4));
    return words;
  }

  /** Every name with what shorter ends of it give; without names to which that is all. */
  private inherited(): RecordOfName[] {
    const { classes } = this;
    const byLabels: [string, Entry][][] = [];
    for (const entry of this.entries) (byLabels[labelsOf(entry[0])] ??= []).push(entry);
    const belows = new Map<string, number>();
    const records: RecordOfName[] = [];
    for (const [labels, entries] of byLabels.entries()) {
      for (const [name, entry] of entries ?? []) {
        const from = aboveOf(name, belows);
        const below =
          entry.below === undefined ? EMPTY_CLASS : classes.plus(from, classOf(entry.below, classes));
        const itself =
          entry.itself === undefined ? EMPTY_CLASS : classes.plus(from, classOf(entry.itself, classes));
        if (below !== EMPTY_CLASS) belows.set(name, below);
        const isBelowNeeded = below !== EMPTY_CLASS && below !== from;
        const isItselfNeeded = itself !== EMPTY_CLASS && itself !== from;
        if (!isBelowNeeded && !isItselfNeeded) continue;
        records.push({
          name,
          labels,
          // The whole name is asked for before its ends: a record that stands says all of it.
          itself: isItselfNeeded ? itself : EMPTY_CLASS,
          below: isBelowNeeded ? below : EMPTY_CLASS,
        });
      }
    }
    return records;
  }
}

/** The class that the longest proper end of a name gives it. */
function aboveOf(name: string, belows: ReadonlyMap<string, number>): number {
  for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
    const below = belows.get(name.slice(dot + 1));
    if (below !== undefined) return below;
  }
  return EMPTY_CLASS;
}

function labelsOf(name: string): number {
  let labels = 1;
  for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) labels++;
  return labels;
}

/** What a record stands with is lower case ASCII. */
function hashOf(name: string, seed: number): number {
  let hash = seed;
  for (let i = name.length - 1; i >= 0; i--) hash = hashByte(hash, name.charCodeAt(i));
  return spread(hash);
}

/** The ends of one or two labels, and of one, by the bytes that they save. */
function sharedEnds(records: readonly RecordOfName[]): string[] {
  const counts = new Map<string, number>();
  const count = (end: string) => counts.set(end, (counts.get(end) ?? 0) + 1);
  for (const { name } of records) {
    const dot = name.lastIndexOf('.');
    if (dot < 0) continue;
    count(name.slice(dot + 1));
    const second = name.lastIndexOf('.', dot - 1);
    if (second >= 0) count(name.slice(second + 1));
  }
  return [...counts]
    .filter(([, names]) => names >= SHARED_NAMES_MIN)
    .sort(([a, countA], [b, countB]) => (b.length + 1) * countB - (a.length + 1) * countA)
    .slice(0, SHARED_ENDS_MAX)
    .map(([end]) => end);
}

/** Records, one behind the other. */
class Pool {
  bytes = 0;
  private readonly buffer: Uint8Array;

  constructor(records: readonly RecordOfName[], ends: readonly string[]) {
    let room = 8;
    for (const end of ends) room += end.length;
    // Two bytes before it, two classes of up to four bytes: there are fewer than 2^28 of them.
    for (const { name } of records) room += name.length + 10;
    this.buffer = new Uint8Array(room);
  }

  append(bytes: Uint8Array): number {
    const at = this.bytes;
    this.buffer.set(bytes, at);
    this.bytes += bytes.length;
    return at;
  }

  /** @returns its place */
  record(record: RecordOfName, numbers: ReadonlyMap<string, number>, isOneClass: boolean): number {
    const { name, itself, below } = record;
    const at = this.bytes;
    const dot = name.lastIndexOf('.');
    const second = dot < 0 ? -1 : name.lastIndexOf('.', dot - 1);
    const two = second < 0 ? undefined : numbers.get(name.slice(second + 1));
    const one = dot < 0 ? undefined : numbers.get(name.slice(dot + 1));
    const restBytes = two !== undefined ? second : one !== undefined ? dot : name.length;
    const kind = (itself === EMPTY_CLASS ? 0 : RECORD_ITSELF) | (below === EMPTY_CLASS ? 0 : RECORD_BELOW);
    this.buffer[this.bytes++] = restBytes;
    this.buffer[this.bytes++] = ((two ?? one ?? 0) << 2) | kind;
    if (!isOneClass) {
      if (itself !== EMPTY_CLASS) this.varint(itself);
      if (below !== EMPTY_CLASS) this.varint(below);
    }
    this.text(name, restBytes);
    return at;
  }

  copyTo(target: Uint8Array): void {
    target.set(this.buffer.subarray(0, this.bytes));
  }

  /** Six bits a character, the lower ones first. */
  private text(name: string, length: number): void {
    let bits = 0;
    let held = 0;
    for (let i = 0; i < length; i++) {
      const code = NAME_CODES[name.charCodeAt(i)];
      if (code === undefined || code === 0) throw new RangeError(`${name} is not a name`);
      held |= code << bits;
      bits += NAME_CODE_BITS;
      for (; bits >= 8; bits -= 8) {
        this.buffer[this.bytes++] = held & 0xff;
        held >>>= 8;
      }
    }
    if (bits > 0) this.buffer[this.bytes++] = held;
  }

  private varint(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.buffer[this.bytes++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.buffer[this.bytes++] = rest;
  }
}
