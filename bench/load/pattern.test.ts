import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PIECE_BYTES_MAX, Pattern } from './pattern.ts';

const pattern = new Pattern();

function streamAt(offset: number, length: number): Buffer {
  const from = pattern.position(offset);
  return Buffer.from(pattern.bytes.subarray(from, from + length));
}

const offset = fc.nat({ max: 2 ** 40 });
const length = fc.integer({ min: 64, max: PIECE_BYTES_MAX });

test('a piece of the stream matches at its own offset, wherever it was cut', () => {
  fc.assert(
    fc.property(offset, length, (at, size) => {
      expect(pattern.matches(streamAt(at, size), size, at)).toBe(true);
    }),
  );
});

test('a piece that was shifted by bytes, pages or pipes does not match', () => {
  const shift = fc.constantFrom(1, 2, 1448, 4096, 16_384, 65_536, 262_144, 1_048_576);
  fc.assert(
    fc.property(offset, length, shift, (at, size, by) => {
      expect(pattern.matches(streamAt(at + by, size), size, at)).toBe(false);
    }),
  );
});

test('one wrong bit does not match', () => {
  fc.assert(
    fc.property(offset, length, fc.nat(), fc.nat({ max: 7 }), (at, size, where, bit) => {
      const piece = streamAt(at, size);
      piece[where % size] = (piece[where % size] as number) ^ (1 << bit);
      expect(pattern.matches(piece, size, at)).toBe(false);
    }),
  );
});
