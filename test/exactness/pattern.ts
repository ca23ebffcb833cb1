// The bytes that travel in tests of exactness: each direction of each connection reads a stretch of one fixed pattern, so
// that a byte that was lost, doubled or swapped with another connection's shows at once, and no copy of what was sent is
// kept. Neighbouring stretches differ at every place.

const PATTERN_BYTES = 1 << 22;
/** The most that one direction sends. */
const STRETCH_BYTES_MAX = 1_400_000;
/** Odd, and no multiple of a block or segment. */
const STRETCH_STEP = 7_919;

export const pattern = Buffer.from(new ArrayBuffer(PATTERN_BYTES));
let state = 1;
for (let word = 0; word < PATTERN_BYTES / 4; word++) {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
  pattern.writeInt32LE(state ^ (state >>> 15), word * 4);
}

/** Where the stretch of `index` begins. */
export function stretchAt(index: number): number {
  return (index * STRETCH_STEP) % (PATTERN_BYTES - STRETCH_BYTES_MAX);
}

/** Whether `bytes[start, end)` is the pattern from `at` on. */
export function isPattern(bytes: Uint8Array, start: number, end: number, at: number): boolean {
  return pattern.compare(bytes, start, end, at, at + end - start) === 0;
}
