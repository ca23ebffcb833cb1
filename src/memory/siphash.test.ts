import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hashesEqual, sipHash } from './siphash.ts';

function wordsOf(hex: string): Int32Array {
  const bytes = Buffer.from(hex, 'hex');
  return Int32Array.from({ length: 4 }, (_, i) => bytes.readInt32LE(i * 4));
}

function hexOf(words: Int32Array): string {
  const bytes = Buffer.alloc(16);
  for (const [i, word] of words.entries()) bytes.writeInt32LE(word, i * 4);
  return bytes.toString('hex').toUpperCase();
}

function hashHex(keyHex: string, message: Uint8Array): string {
  const result = new Int32Array(4);
  sipHash(wordsOf(keyHex), 0, message, 0, message.length, result, 0);
  return hexOf(result);
}

const REFERENCE_KEY = '000102030405060708090a0b0c0d0e0f';

describe('SipHash-2-4-128', () => {
  // Messages are 00 01 02 ...; these are the reference's vectors, as `openssl mac SIPHASH` prints them too.
  it.each([
    [0, 'A3817F04BA25A8E66DF67214C7550293'],
    [1, 'DA87C1D86B99AF44347659119B22FC45'],
    [2, '8177228DA4A45DC7FCA38BDEF60AFFE4'],
    [7, 'A1F1EBBED8DBC153C0B84AA61FF08239'],
    [8, '3B62A9BA6258F5610F83E264F31497B4'],
    [15, '5493E99933B0A8117E08EC0F97CFC3D9'],
    [16, '6EE2A4CA67B054BBFD3315BF85230577'],
    [31, '2939B0183223FAFC1723DE4F52C43D35'],
    [63, '5150D1772F50834A503E069A973FBD7C'],
  ])('hashes the first %d reference bytes', (length, expected) => {
    expect(
      hashHex(
        REFERENCE_KEY,
        Uint8Array.from({ length }, (_, i) => i),
      ),
    ).toBe(expected);
  });

  it('hashes under a key whose words are negative', () => {
    expect(hashHex('fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0', Buffer.from('password'))).toBe(
      'A3773051C6EBA40965A9B9AFBAD896D7',
    );
  });

  it('agrees with 64-bit arithmetic, and reads and writes only its windows', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 16, maxLength: 16 }),
        fc.uint8Array({ maxLength: 80 }),
        fc.nat(9),
        (keyBytes, message, offset) => {
          const key = new Int32Array(6);
          key.set(wordsOf(Buffer.from(keyBytes).toString('hex')), 2);
          const framed = new Uint8Array(message.length + offset + 9).fill(0xa5);
          framed.set(message, offset);
          const result = new Int32Array(8).fill(77);
          sipHash(key, 2, framed, offset, message.length, result, 3);
          expect(hexOf(result.slice(3, 7))).toBe(reference(keyBytes, message));
          expect([...result.slice(0, 3), result[7]]).toEqual([77, 77, 77, 77]);
        },
      ),
    );
  });

  it('compares every bit of a hash', () => {
    const a = Int32Array.of(9, 1, -2, 3, -4);
    const b = Int32Array.of(1, -2, 3, -4);
    expect(hashesEqual(a, 1, b, 0)).toBe(true);
    for (let bit = 0; bit < 128; bit++) {
      const other = b.slice();
      other[bit >> 5] = (other[bit >> 5] as number) ^ (1 << (bit & 31));
      expect(hashesEqual(a, 1, other, 0)).toBe(false);
    }
  });
});

/** The reference as its paper writes it. */
function reference(key: Uint8Array, message: Uint8Array): string {
  const mask = (1n << 64n) - 1n;
  const rotate = (value: bigint, bits: bigint): bigint => ((value << bits) | (value >> (64n - bits))) & mask;
  const keys = Buffer.from(key);
  const [k0, k1] = [keys.readBigUInt64LE(0), keys.readBigUInt64LE(8)];
  let v0 = k0 ^ 0x736f6d6570736575n;
  let v1 = k1 ^ 0x646f72616e646f6dn ^ 0xeen;
  let v2 = k0 ^ 0x6c7967656e657261n;
  let v3 = k1 ^ 0x7465646279746573n;
  const rounds = (count: number): void => {
    for (let i = 0; i < count; i++) {
      v0 = (v0 + v1) & mask;
      v1 = rotate(v1, 13n) ^ v0;
      v0 = rotate(v0, 32n);
      v2 = (v2 + v3) & mask;
      v3 = rotate(v3, 16n) ^ v2;
      v0 = (v0 + v3) & mask;
      v3 = rotate(v3, 21n) ^ v0;
      v2 = (v2 + v1) & mask;
      v1 = rotate(v1, 17n) ^ v2;
      v2 = rotate(v2, 32n);
    }
  };
  const padded = Buffer.alloc((message.length & ~7) + 8);
  padded.set(message);
  padded[padded.length - 1] = message.length & 0xff;
  for (let at = 0; at < padded.length; at += 8) {
    const block = padded.readBigUInt64LE(at);
    v3 ^= block;
    rounds(2);
    v0 ^= block;
  }
  const result = Buffer.alloc(16);
  v2 ^= 0xeen;
  rounds(4);
  result.writeBigUInt64LE(v0 ^ v1 ^ v2 ^ v3, 0);
  v1 ^= 0xddn;
  rounds(4);
  result.writeBigUInt64LE(v0 ^ v1 ^ v2 ^ v3, 8);
  return result.toString('hex').toUpperCase();
}
