// Sets of bytes that an expression speaks of: the 128 of ASCII, and one symbol for all others, which no name holds but
// which a worker might be given all the same. Any thread.

/** Symbol of every byte beyond ASCII. */
export const BEYOND_ASCII = 128;
export const SYMBOLS_COUNT = 129;

/** By symbol: 1 where it belongs to the set. */
export type ByteSet = Readonly<Uint8Array>;

export function bytesOf(...ranges: readonly (readonly [number, number])[]): Uint8Array {
  const set = new Uint8Array(SYMBOLS_COUNT);
  for (const [from, to] of ranges) set.fill(1, from, to + 1);
  return set;
}

export function complement(set: ByteSet): Uint8Array {
  return set.map((has) => 1 - has);
}

/** A letter of either case is that of names, the lower one, too. */
export function withLowerCase(set: Uint8Array): Uint8Array {
  for (let upper = 0x41; upper <= 0x5a; upper++) if (set[upper] === 1) set[upper + 0x20] = 1;
  return set;
}

export function oneByte(code: number): ByteSet {
  return withLowerCase(bytesOf([code, code]));
}

export const ANY_BUT_NEWLINE: ByteSet = complement(bytesOf([0x0a, 0x0a]));
