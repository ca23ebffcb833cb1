import fc from 'fast-check';
import { expect, test } from 'vitest';
import { scanKeywords } from '../../match/keywords.ts';
import { costMsOf } from '../../../test/cost.ts';
import { buildKeywords, type Keyword } from './keywords.ts';

/** Not at the beginning of the arena, and with something in `out` from before. */
function scan(patterns: readonly Keyword[], predicates: number, name: string): number[] {
  const machine = buildKeywords(patterns, predicates);
  const arena = new Int32Array(machine.length + 7).fill(-1);
  arena.set(machine, 7);
  const bytes = Buffer.from(`${name}trailing`);
  const out = new Int32Array(Math.ceil(predicates / 32)).fill(-1);
  scanKeywords(arena, 7, bytes, bytes.length - 'trailing'.length, out);
  return [...Array(predicates).keys()].filter(
    (predicate) => ((out[predicate >> 5] as number) >>> (predicate & 31)) & 1,
  );
}

test('finds what String.includes finds', () => {
  const text = (minLength: number, maxLength: number) =>
    fc.string({ unit: fc.constantFrom('a', 'b', 'c', '.', 'ü'), minLength, maxLength });
  fc.assert(
    fc.property(fc.array(text(1, 6), { maxLength: 80 }), text(0, 60), fc.nat(), (keywords, name, salt) => {
      const predicates = Math.max(1, Math.ceil(keywords.length / 2));
      const patterns = keywords.map((keyword, i) => ({
        text: keyword,
        predicate: (i * 7 + salt) % predicates,
      }));
      const expected = new Set(
        patterns.filter((pattern) => name.includes(pattern.text)).map(({ predicate }) => predicate),
      );
      expect(scan(patterns, predicates, name)).toEqual([...expected].sort((a, b) => a - b));
    }),
    { numRuns: 3_000 },
  );
});

test('keywords inside each other are all found', () => {
  const patterns = ['tracker.example', 'ack', 'racker', 'ker.ex', 'e', 'x.y'].map((text, predicate) => ({
    text,
    predicate,
  }));
  expect(scan(patterns, 6, 'www.tracker.example')).toEqual([0, 1, 2, 3, 4]);
});

test('an empty keyword and too many predicates are refused', () => {
  expect(() => buildKeywords([{ text: '', predicate: 0 }], 1)).toThrow('empty keyword');
  expect(() => buildKeywords([], 32_769)).toThrow('32769 keyword predicates');
});

test('a name of a keyword that nearly matches everywhere costs no more than its length', async () => {
  const patterns = Array.from({ length: 200 }, (_, i) => ({ text: `${'a'.repeat(i)}b`, predicate: i }));
  const machine = buildKeywords(patterns, 200);
  const bytes = Buffer.alloc(250, 'a');
  const out = new Int32Array(7);
  const costMs = await costMsOf(() => {
    for (let i = 0; i < 2_000; i++) scanKeywords(machine, 0, bytes, bytes.length, out);
  });
  // 500,000 bytes; quadratic work would be 100 times as much.
  expect(costMs).toBeLessThan(500);
  expect(out.every((word) => word === 0)).toBe(true);
});

test('a keyword of many rules is entered once a name, however often it is in it', async () => {
  // 60 lengths, all of which end with most bytes; 500 predicates each.
  const patterns = Array.from({ length: 30_000 }, (_, predicate) => ({
    text: 'a'.repeat(1 + (predicate % 60)),
    predicate,
  }));
  const machine = buildKeywords(patterns, patterns.length);
  const bytes = Buffer.from('a'.repeat(253));
  const out = new Int32Array(Math.ceil(patterns.length / 32));
  const costMs = await costMsOf(() => {
    for (let i = 0; i < 50; i++) scanKeywords(machine, 0, bytes, bytes.length, out);
  });
  expect(out.subarray(0, -1).every((word) => word === -1)).toBe(true);
  // Entered at every byte, 30,000 of them would take milliseconds a name.
  expect(costMs / 50).toBeLessThan(1);
});
