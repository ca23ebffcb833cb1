import fc from 'fast-check';
import { expect, test } from 'vitest';
import { matchesRegex } from '../../match/regex.ts';
import { buildRegex } from './regex-machine.ts';
import { isRegexMistake } from './regex-reading.ts';
import { literalsOf } from './regex-work.ts';

test.each([
  ['(^|\\.)ad17[0-9]*\\.', ['ad17']],
  ['^ADS?\\.Example\\.com$', ['.example.com']],
  ['(ads|track)[0-9]', ['ads', 'track']],
  ['(ads|tr[a-z]ck)', ['ads', 'tr']],
  ['(xad|yad)[0-9]+', ['xad', 'yad']],
  ['(xad|yad)s', ['ads']],
  ['(ab){2,3}c', ['ababc']],
  ['(ab){2}c', ['ababc']],
  ['(?:ab)+[0-9]?example', ['example']],
  ['a*b?c', []],
  ['(ads)?x', []],
  ['(ads|)x', []],
  ['(ads){0}track', ['track']],
  ['[a-z]+', []],
  ['[aA]d', ['ad']],
  ['[ab]d', []],
  ['', []],
  ['x{253}', ['x'.repeat(32)]],
])('%s wants %j', (text, literals) => {
  expect(literalsOf(text)).toEqual(literals);
});

test('what matches holds one of the texts', () => {
  const { pattern } = fc.letrec<{ pattern: string; part: string }>((tie) => ({
    pattern: fc
      .array(fc.array(tie('part'), { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 2 })
      .map((choices) => choices.map((parts) => parts.join('')).join('|')),
    part: fc
      .tuple(
        fc.oneof(
          { maxDepth: 2, depthSize: 'xsmall' },
          {
            weight: 6,
            arbitrary: fc.constantFrom('a', 'b', 'B', 'ab', 'ba', '[ab]', '[bB]', '.', '\\.', '^', '$'),
          },
          { weight: 1, arbitrary: tie('pattern').map((inner) => `(${inner})`) },
        ),
        fc.constantFrom('', '', '', '+', '?', '*', '{2}', '{2,}', '{0}'),
      )
      .map(([atom, repeat]) => (/^[\^$]$/.test(atom) ? atom : `(${atom})${repeat}`)),
  }));
  const name = fc.string({ unit: fc.constantFrom('a', 'b', '.'), maxLength: 10 });
  let wanted = 0;
  fc.assert(
    fc.property(pattern, fc.array(name, { minLength: 10, maxLength: 10 }), (text, names) => {
      const literals = literalsOf(text);
      fc.pre(literals.length > 0);
      // Which is held to JavaScript in its own test.
      const machine = buildRegex(text);
      if (isRegexMistake(machine)) return;
      for (const one of names) {
        if (!matchesRegex(machine, 0, Buffer.from(one), one.length)) continue;
        wanted++;
        if (!literals.some((literal) => one.includes(literal))) {
          throw new Error(`/${text}/ matches "${one}", which holds none of ${literals.join()}`);
        }
      }
    }),
    { numRuns: 1_500 },
  );
  expect(wanted).toBeGreaterThan(500);
});
