import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readDocument } from './document.ts';
import type { Complaint } from './mistakes.ts';

const complaint = (path: Complaint['path'], atKey = false): Complaint => {
  return { path, atKey, found: 'x', expected: 'y' };
};

/** A comment makes it YAML, and changes no position. */
const throughYaml = (text: string) => readDocument(`${text} # no JSON`);

const places = (positioned: ReturnType<typeof readDocument>, complaints: readonly Complaint[]) =>
  positioned.locate(complaints).map(({ line, column }) => `${line}:${column}`);

/** Few keys, so that paths often lead somewhere; some that are written with escapes, or like indexes. */
const keys = fc.constantFrom(
  'a',
  'b',
  'name',
  '0',
  '1',
  'q"',
  'back\\',
  '\u0007',
  'é',
  '😀',
  '{',
  ']',
  '',
  ':',
);
const { value: values } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.oneof(
      keys,
      fc.integer(),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.boolean(),
      fc.constant(null),
    ),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(keys, tie('value'), { maxKeys: 4 }),
  ),
}));
const paths = fc.array(fc.oneof(keys, fc.integer({ min: -1, max: 3 })), { maxLength: 5 });
const complaints = fc.array(fc.record({ path: paths, atKey: fc.boolean() }), { minLength: 1, maxLength: 8 });
const mappings = fc.dictionary(keys, values, { maxKeys: 4 });

describe('positions in plain JSON', () => {
  it('are those that the YAML library tells', () => {
    fc.assert(
      fc.property(
        mappings,
        complaints,
        fc.constantFrom(0, 1, 2),
        fc.boolean(),
        (value, asked, indent, isDos) => {
          const unixText = JSON.stringify(value, undefined, indent);
          const text = isDos ? unixText.replaceAll('\n', '\r\n') : unixText;
          const wanted = asked.map(({ path, atKey }) => complaint(path, atKey));
          expect(places(readDocument(text), wanted)).toEqual(places(throughYaml(text), wanted));
        },
      ),
      { numRuns: 1_000 },
    );
  });

  it('are those of the nearest thing above where the path ends early', () => {
    const text = '{\n  "list": [1, {"key" : true}],\n  "none": null\n}';
    const asked = [
      complaint([]),
      complaint(['list', 1, 'key']),
      complaint(['list', 1, 'key'], true),
      complaint(['list', 1, 'other', 'below']),
      complaint(['list', 2], true),
      complaint(['list', '1']),
      complaint(['none', 'below']),
      complaint(['none'], true),
      complaint(['absent'], true),
    ];
    const expected = ['1:1', '2:24', '2:16', '2:15', '2:11', '2:11', '3:11', '3:3', '1:1'];
    expect(places(readDocument(text), asked)).toEqual(expected);
    expect(places(throughYaml(text), asked)).toEqual(expected);
  });

  it('are found in the order of the text whatever the order of the questions', () => {
    const count = 2_000;
    const text = JSON.stringify(
      { list: Array.from({ length: count }, (_, index) => ({ [`k${index}`]: 1 })) },
      null,
      1,
    );
    const asked = Array.from({ length: count }, (_, index) =>
      complaint(['list', count - 1 - index, `k${count - 1 - index}`], true),
    );
    const lines = readDocument(text)
      .locate(asked)
      .map(({ line }) => line);
    expect(lines).toEqual(Array.from({ length: count }, (_, index) => 4 + 3 * (count - 1 - index)));
  });
});
