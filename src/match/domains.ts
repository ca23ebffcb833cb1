// Domain tables: which class a name belongs to, by its longest end that the table holds. Names are read from the right, label
// by label; each end has a hash, and one probe finds its record or finds none. A record is compared byte by byte, so that a
// hash decides nothing. Ends that many names share (`com`, `co.uk`) are written once and referred to by number.
//
//   word 0  slots               [slots] 0: free; else place in the pool + 1, and above it bits of the hash
//   word 1  offset of the pool, in words
//   word 2  bits of a place
//   word 3  1: all records are of class 0, and say none
//   word 4  bits: numbers of labels that records have (bit 31: 32 and more)
//   word 5  shared ends: count; then for each: place in the pool << 8 | bytes
//
//   record: characters of the rest · shared end << 2 | kind · [class itself] · [class below] · the rest, 6 bits each
//
// Classes are inherited: a record's class has those of the ends of it that are in the table as well, so that the longest
// alone is asked. Any thread; allocates nothing.

import type { Query } from './query.ts';

export const DOMAIN_HEADER_WORDS = 6;
/** Kinds of a record: it matches the name itself; it matches whatever is below it. */
export const RECORD_ITSELF = 1;
export const RECORD_BELOW = 2;
/** Numbers of shared ends: 0 is none. */
export const SHARED_ENDS_MAX = 63;

/** What names are made of (RFC 1123, and the underscore of service names), by 6 bits; 0 is none of them. */
export const NAME_CODES = new Uint8Array(256);
for (const [index, byte] of Buffer.from('abcdefghijklmnopqrstuvwxyz0123456789-_.').entries()) {
  NAME_CODES[byte] = index + 1;
}
export const NAME_CODE_BITS = 6;

const DOT = 0x2e;
const LEVEL_BITS_MAX = 31;
const FNV_PRIME = 0x01000193;

/** One byte further to the left. */
export function hashByte(hash: number, byte: number): number {
  return Math.imul(hash ^ byte, FNV_PRIME);
}

/** Spreads what `hashByte` came to over all bits. */
export function spread(hash: number): number {
  let h = hash;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** Where a probe begins. */
export function slotOf(hash: number, slots: number): number {
  return ((hash >>> 0) * slots * 2 ** -32) | 0;
}

/** The bit of `word 4` for names of so many labels. */
export function levelBit(labels: number): number {
  return 1 << (labels > LEVEL_BITS_MAX ? LEVEL_BITS_MAX : labels - 1);
}

/** Hashes all ends of the query's name, once for all tables. */
function hashLevels(query: Query, seed: number): void {
  const { name, nameBytes, levelHashes, levelStarts } = query;
  let hash = seed;
  let count = 0;
  for (let i = nameBytes - 1; i >= 0; i--) {
    const byte = name[i] as number;
    if (byte === DOT && count < levelStarts.length - 1) {
      levelHashes[count] = spread(hash);
      levelStarts[count++] = i + 1;
    }
    hash = hashByte(hash, byte);
  }
  levelHashes[count] = spread(hash);
  levelStarts[count++] = 0;
  query.levelsCount = count;
}

/** @param at of the table @param bytes the arena as bytes @returns class of the query's name, or -1 */
export function classOfName(
  arena: Int32Array,
  bytes: Uint8Array,
  at: number,
  seed: number,
  query: Query,
): number {
  if (query.nameBytes === 0) return -1;
  if (query.levelsCount < 0) hashLevels(query, seed);
  const whole = query.levelsCount - 1;
  const levels = arena[at + 4] as number;
  for (let level = whole; level >= 0; level--) {
    if ((levels & levelBit(level + 1)) === 0) continue;
    const found = probe(arena, bytes, at, query, level, level === whole ? RECORD_ITSELF : RECORD_BELOW);
    if (found >= 0) return found;
  }
  return -1;
}

/** @returns class of the record of this end, if it has one of this kind; else -1 */
function probe(
  arena: Int32Array,
  bytes: Uint8Array,
  at: number,
  query: Query,
  level: number,
  kind: number,
): number {
  const hash = query.levelHashes[level] as number;
  const slots = arena[at] as number;
  const placeBits = arena[at + 2] as number;
  const first = at + DOMAIN_HEADER_WORDS + (arena[at + 5] as number);
  const tag = (hash << placeBits) >>> placeBits;
  for (let i = slotOf(hash, slots); ; i = i + 1 === slots ? 0 : i + 1) {
    const slot = arena[first + i] as number;
    if (slot === 0) return -1;
    if (slot >>> placeBits !== tag) continue;
    const place = (slot & ((1 << placeBits) - 1)) - 1;
    const found = compare(arena, bytes, at, place, query, level, kind);
    if (found !== ANOTHER) return found;
  }
}

const ANOTHER = -2;

/** @returns class; -1: this end, but not of this kind; ANOTHER: another name */
function compare(
  arena: Int32Array,
  bytes: Uint8Array,
  at: number,
  place: number,
  query: Query,
  level: number,
  wanted: number,
): number {
  const pool = (at + (arena[at + 1] as number)) * 4;
  let p = pool + place;
  const rest = bytes[p] as number;
  const second = bytes[p + 1] as number;
  p += 2;
  const kind = second & 3;
  let found = 0;
  if (arena[at + 3] === 0) {
    for (let bit = RECORD_ITSELF; bit <= RECORD_BELOW; bit <<= 1) {
      if ((kind & bit) === 0) continue;
      let value = 0;
      let shift = 0;
      let byte = 0;
      do {
        byte = bytes[p++] as number;
        value |= (byte & 0x7f) << shift;
        shift += 7;
      } while (byte >= 0x80);
      if (bit === wanted) found = value;
    }
  }
  const name = query.name;
  const start = query.levelStarts[level] as number;
  const shared = second >>> 2;
  let length = query.nameBytes - start;
  if (shared !== 0) {
    const end = arena[at + DOMAIN_HEADER_WORDS + shared - 1] as number;
    const endBytes = end & 0xff;
    if (length !== rest + 1 + endBytes) return ANOTHER;
    const endAt = pool + (end >>> 8);
    const nameAt = start + rest + 1;
    if (name[nameAt - 1] !== DOT) return ANOTHER;
    for (let i = 0; i < endBytes; i++) if (bytes[endAt + i] !== name[nameAt + i]) return ANOTHER;
    length = rest;
  }
  if (length !== rest) return ANOTHER;
  for (let i = 0, bit = 0; i < rest; i++, bit += NAME_CODE_BITS) {
    const at8 = p + (bit >>> 3);
    const code = (((bytes[at8] as number) | ((bytes[at8 + 1] as number) << 8)) >>> (bit & 7)) & 0x3f;
    if (code !== NAME_CODES[name[start + i] as number]) return ANOTHER;
  }
  return (kind & wanted) === 0 ? -1 : found;
}
