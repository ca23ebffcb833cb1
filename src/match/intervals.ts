// Intervals: a value belongs to the last bound that is not above it, and the bound to a class. So nested prefixes and
// overlapping ranges cost nothing when they are looked up: the compiler has flattened them. Layout: layout/rules.ts.
// Any thread; allocates nothing.

/** Turns the upper bit: unsigned order becomes signed order. */
const BIAS = 0x80000000 | 0;
/** Words of the index by the upper 16 bits. */
export const INTERVAL_INDEX_WORDS = 65_537;

/** @param at of intervals of one word @returns class, or -1 */
export function classOfWord(arena: Int32Array, at: number, value: number): number {
  const count = arena[at] as number;
  const biased = value ^ BIAS;
  let bounds = at + 2;
  let low = 0;
  let high = count;
  if (arena[at + 1] !== 0) {
    const upper = bounds + (value >>> 16);
    low = arena[upper] as number;
    high = (arena[upper + 1] as number) + 1;
    bounds += INTERVAL_INDEX_WORDS;
  }
  // bound[low] is not above the value; bound[high], if there is one, is.
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if ((arena[bounds + middle] as number) <= biased) low = middle;
    else high = middle;
  }
  return (arena[bounds + count + low] as number) - 1;
}

/** @param at of intervals of four words @param words the value, from `wordsAt` @returns class, or -1 */
export function classOfAddress(arena: Int32Array, at: number, words: Int32Array, wordsAt: number): number {
  const count = arena[at] as number;
  const a = (words[wordsAt] as number) ^ BIAS;
  const b = (words[wordsAt + 1] as number) ^ BIAS;
  const c = (words[wordsAt + 2] as number) ^ BIAS;
  const d = (words[wordsAt + 3] as number) ^ BIAS;
  const bounds = at + 2;
  let low = 0;
  let high = count;
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if (isAbove(arena, bounds + middle * 4, a, b, c, d)) high = middle;
    else low = middle;
  }
  return (arena[bounds + count * 4 + low] as number) - 1;
}

function isAbove(arena: Int32Array, at: number, a: number, b: number, c: number, d: number): boolean {
  if (arena[at] !== a) return (arena[at] as number) > a;
  if (arena[at + 1] !== b) return (arena[at + 1] as number) > b;
  if (arena[at + 2] !== c) return (arena[at + 2] as number) > c;
  return (arena[at + 3] as number) > d;
}

/** @param at of hashes (layout/rules.ts) @returns class, or -1 */
export function classOfHash(arena: Int32Array, at: number, hash0: number, hash1: number): number {
  if ((hash0 | hash1) === 0) return -1;
  const mask = arena[at] as number;
  for (let i = hash0 & mask; ; i = (i + 1) & mask) {
    const entry = at + 1 + i * 3;
    const found = arena[entry + 2] as number;
    if (found === 0) return -1;
    if (arena[entry] === hash0 && arena[entry + 1] === hash1) return found - 1;
  }
}
