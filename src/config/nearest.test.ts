import fc from 'fast-check';
import { expect, test } from 'vitest';
import { editDistance, nearest } from './nearest.ts';

test.each([
  ['lisen', 'listen', 1],
  ['alcie', 'alice', 1],
  ['abc', '', 3],
  ['', '', 0],
  ['socks', 'socks5', 1],
  ['kitten', 'sitting', 3],
])('%s to %s takes %i edits', (from, to, edits) => expect(editDistance(from, to)).toBe(edits));

test('the distance is symmetric, zero for equal texts only, and at most the longer length', () => {
  const word = fc.string({ maxLength: 12, unit: fc.constantFrom('a', 'b', 'c') });
  fc.assert(
    fc.property(word, word, (from, to) => {
      const distance = editDistance(from, to);
      expect(editDistance(to, from)).toBe(distance);
      expect(distance === 0).toBe(from === to);
      expect(distance).toBeLessThanOrEqual(Math.max(from.length, to.length));
      expect(distance).toBeGreaterThanOrEqual(Math.abs(from.length - to.length));
    }),
  );
});

test.each([
  ['lisen', ['tag', 'listen', 'lister'], 'listen'],
  ['Listen', ['listen'], 'listen'],
  ['ue', ['us', 'eu'], 'us'],
  ['eu', ['asia', 'direct'], undefined],
  ['something', [], undefined],
  ['x'.repeat(200), ['x'.repeat(201)], undefined],
])('%s among %j', (text, names, expected) => expect(nearest(text, names)).toBe(expected));
