// SipHash-2-4 with 128 bits of output: the keyed hash under which credentials and addresses are stored in shared
// tables. A client that does not know the key cannot aim at a bucket, and equal hashes stand for equal inputs. On 32-bit
// halves, because BigInt allocates; the rounds stand once, in the loop that also runs the two finalisations.
//
// Any thread; allocates nothing. Keys and results are words in little-endian order of the reference's bytes: word 0 is
// bytes 0 to 3.
// @source Aumasson and Bernstein, "SipHash: a fast short-input PRF"; vectors checked with `openssl mac SIPHASH`

/** Words of a key, and of a result. */
export const SIPHASH_WORDS = 4;

/**
 * Hashes `bytes[start .. start + length)`.
 * @param key    Int32Array with the key in [keyAt, keyAt + 4)
 * @param result Int32Array that receives four words from `resultAt`
 */
export function sipHash(
  key: Int32Array,
  keyAt: number,
  bytes: Uint8Array,
  start: number,
  length: number,
  result: Int32Array,
  resultAt: number,
): void {
  const key0 = key[keyAt] as number;
  const key1 = key[keyAt + 1] as number;
  const key2 = key[keyAt + 2] as number;
  const key3 = key[keyAt + 3] as number;
  let v0Low = key0 ^ 0x70736575;
  let v0High = key1 ^ 0x736f6d65;
  // The reference flips the low byte of v1 by 0xee where 128 bits are asked for.
  let v1Low = key2 ^ 0x6e646f6d ^ 0xee;
  let v1High = key3 ^ 0x646f7261;
  let v2Low = key0 ^ 0x6e657261;
  let v2High = key1 ^ 0x6c796765;
  let v3Low = key2 ^ 0x79746573;
  let v3High = key3 ^ 0x74656462;

  const tailStart = start + (length & ~7);
  const blocks = (length >>> 3) + 1;
  for (let step = 0; step < blocks + 2; step++) {
    let low = 0;
    let high = 0;
    let rounds = 2;
    if (step < blocks) {
      const at = start + step * 8;
      if (at < tailStart) {
        low = word(bytes, at);
        high = word(bytes, at + 4);
      } else {
        low = tailWord(bytes, tailStart, length & 7);
        high = tailWord(bytes, tailStart + 4, (length & 7) - 4) | (length << 24);
      }
      v3Low ^= low;
      v3High ^= high;
    } else {
      rounds = 4;
      if (step === blocks) v2Low ^= 0xee;
      else v1Low ^= 0xdd;
    }
    while (rounds-- > 0) {
      v0Low = (v0Low + v1Low) | 0;
      v0High = (v0High + v1High + (v0Low >>> 0 < v1Low >>> 0 ? 1 : 0)) | 0;
      v2Low = (v2Low + v3Low) | 0;
      v2High = (v2High + v3High + (v2Low >>> 0 < v3Low >>> 0 ? 1 : 0)) | 0;
      let swap = ((v1Low << 13) | (v1High >>> 19)) ^ v0Low;
      v1High = ((v1High << 13) | (v1Low >>> 19)) ^ v0High;
      v1Low = swap;
      swap = ((v3Low << 16) | (v3High >>> 16)) ^ v2Low;
      v3High = ((v3High << 16) | (v3Low >>> 16)) ^ v2High;
      v3Low = swap;
      swap = v0Low;
      v0Low = v0High;
      v0High = swap;
      v2Low = (v2Low + v1Low) | 0;
      v2High = (v2High + v1High + (v2Low >>> 0 < v1Low >>> 0 ? 1 : 0)) | 0;
      v0Low = (v0Low + v3Low) | 0;
      v0High = (v0High + v3High + (v0Low >>> 0 < v3Low >>> 0 ? 1 : 0)) | 0;
      swap = ((v1Low << 17) | (v1High >>> 15)) ^ v2Low;
      v1High = ((v1High << 17) | (v1Low >>> 15)) ^ v2High;
      v1Low = swap;
      swap = ((v3Low << 21) | (v3High >>> 11)) ^ v0Low;
      v3High = ((v3High << 21) | (v3Low >>> 11)) ^ v0High;
      v3Low = swap;
      swap = v2Low;
      v2Low = v2High;
      v2High = swap;
    }
    if (step < blocks) {
      v0Low ^= low;
      v0High ^= high;
    } else {
      const at = resultAt + (step === blocks ? 0 : 2);
      result[at] = v0Low ^ v1Low ^ v2Low ^ v3Low;
      result[at + 1] = v0High ^ v1High ^ v2High ^ v3High;
    }
  }
}

function word(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  );
}

/** The first `count` bytes of a word; never reads past the window. */
function tailWord(bytes: Uint8Array, at: number, count: number): number {
  let value = 0;
  if (count > 0) value |= bytes[at] as number;
  if (count > 1) value |= (bytes[at + 1] as number) << 8;
  if (count > 2) value |= (bytes[at + 2] as number) << 16;
  if (count > 3) value |= (bytes[at + 3] as number) << 24;
  return value;
}

/** Compares two results in a time that does not depend on where they differ. */
export function hashesEqual(a: Int32Array, aAt: number, b: Int32Array, bAt: number): boolean {
  return (
    (((a[aAt] as number) ^ (b[bAt] as number)) |
      ((a[aAt + 1] as number) ^ (b[bAt + 1] as number)) |
      ((a[aAt + 2] as number) ^ (b[bAt + 2] as number)) |
      ((a[aAt + 3] as number) ^ (b[bAt + 3] as number))) ===
    0
  );
}
