import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { matchesRegex, REGEX_KIND, REGEX_POSITIONS, REGEX_TABLE } from '../../match/regex.ts';
import { costMsOf } from '../../../test/cost.ts';
import { buildRegex, regexMistake } from './regex-machine.ts';
import { isRegexMistake } from './regex-reading.ts';

function build(pattern: string, statesMax?: number): Int32Array {
  const machine = tryToBuild(pattern, statesMax);
  if (machine === undefined) throw new Error(`${pattern}: too large`);
  return machine;
}

/** @returns undefined: too large */
function tryToBuild(pattern: string, statesMax?: number): Int32Array | undefined {
  const machine = buildRegex(pattern, statesMax);
  if (!isRegexMistake(machine)) return machine;
  if (machine.wrong !== 'too large') throw new Error(`${pattern}: ${machine.wrong} at ${machine.at}`);
  return undefined;
}

/** Not at the arena's beginning, and with more bytes behind the name. */
function matches(machine: Int32Array, name: string): boolean {
  const arena = new Int32Array(machine.length + 5).fill(-1);
  arena.set(machine, 5);
  const bytes = Buffer.from(`${name}a.b`, 'latin1');
  return matchesRegex(arena, 5, bytes, name.length);
}

const REPETITIONS_MAX = 6;

/** Patterns that JavaScript and RE2 read alike. */
const { pattern } = fc.letrec<{ pattern: string; sequence: string; repeated: string; atom: string }>(
  (tie) => ({
    pattern: fc.oneof(
      { depthSize: 'small', weight: 3, arbitrary: tie('sequence') },
      { weight: 1, arbitrary: fc.tuple(tie('sequence'), tie('pattern')).map(([a, b]) => `${a}|${b}`) },
    ),
    sequence: fc.array(tie('repeated'), { maxLength: 4 }).map((parts) => parts.join('')),
    repeated: fc
      .tuple(tie('atom'), fc.constantFrom('', '', '', '*', '+', '?', '*?', '{2}', '{1,3}', '{2,}', '{0}'))
      .map(([atom, repeat]) => (/^[\^$]$/.test(atom) ? atom : atom + repeat)),
    atom: fc.oneof(
      { maxDepth: 3, depthSize: 'medium' },
      fc.constantFrom(
        'a',
        'b',
        'A',
        '.',
        '\\.',
        '-',
        '1',
        '\\d',
        '\\w',
        '\\D',
        '\\W',
        '\\s',
        '\\S',
        '\\x61',
        '^',
        '$',
      ),
      fc.constantFrom('[ab]', '[^a]', '[a-c1]', '[^\\d.]', '[A-B-]', '[\\w-]', '[^\\W1]', '[.]'),
      tie('pattern').map((inner) => `(${inner})`),
      tie('pattern').map((inner) => `(?:${inner})`),
    ),
  }),
);
const names = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', 'c', '.', '-', '1'), maxLength: 8 }), {
  minLength: 8,
  maxLength: 8,
});

describe('machines agree with JavaScript', () => {
  test.each([
    ['tables', undefined],
    ['positions', 0],
  ])('%s', (_kind, statesMax) => {
    let cases = 0;
    fc.assert(
      fc.property(pattern, names, (text, some) => {
        // What costs us nothing may cost JavaScript minutes.
        fc.pre((text.match(/[*+?{]/g) ?? []).length <= REPETITIONS_MAX);
        const machine = tryToBuild(text, statesMax);
        // JavaScript writes repetitions out as it goes along; all at once they may be too many.
        fc.pre(machine !== undefined);
        if (machine === undefined) return;
        const reference = new RegExp(text, 'i');
        for (const name of some) {
          cases++;
          if (matches(machine, name) !== reference.test(name)) throw new Error(`/${text}/ of "${name}"`);
        }
      }),
      { numRuns: 4_000 },
    );
    expect(cases).toBeGreaterThanOrEqual(32_000);
  });
});

test.each([
  ['(^|\\.)ads?[0-9]*\\.example\\.com$', 'x.ad12.example.com', true],
  ['(^|\\.)ads?[0-9]*\\.example\\.com$', 'bad12.example.com', false],
  ['^$', '', true],
  ['^$', 'a', false],
  ['a$|^b', 'ba', true],
  ['x^y', 'xy', false],
  ['(?i)EXAMPLE', 'www.example', true],
  ['(?i-s:Ex)ample', 'example', true],
  ['(?P<name>ab)\\z', 'cab', true],
  ['\\Aab\\z', 'cab', false],
  ['[[:alpha:]]{3}[[:^digit:]]', 'abc.', true],
  ['[]a]x', ']x', true],
  ['a{,3}', 'a{,3}', true],
  ['[^a]', '\u00e9', true],
  ['\\x{2e}com', '.com', true],
])('%s of "%s": %s', (text, name, expected) => {
  expect(matches(build(text), name)).toBe(expected);
  if (name !== '') expect(matches(build(text, 0), name)).toBe(expected);
});

test.each([
  ['(a)\\1', 3, 'back-reference'],
  ['a(?=b)', 1, 'look-around'],
  ['a(?<!b)', 1, 'look-around'],
  ['(?>a)', 0, '"(?>"'],
  ['ab)', 2, 'without'],
  ['a(b', 1, 'nothing closes'],
  ['a[bc', 1, 'nothing closes'],
  ['[z-a]', 1, 'z-a'],
  ['[a-\\d]', 1, 'a-\\d'],
  ['*a', 0, 'behind nothing'],
  ['(|+)', 2, 'behind nothing'],
  ['a**', 2, 'repetition of a repetition'],
  ['a{3,2}', 1, '{3,2}'],
  ['a{1001}', 1, '{1001}'],
  ['\\bad', 0, 'word boundary'],
  ['\\pL', 0, '\\p'],
  ['a\\', 1, 'escapes nothing'],
  ['b\\xag', 1, '\\xag'],
  ['bücher', 1, 'ü'],
  ['[[:letters:]]', 1, 'letters'],
  ['('.repeat(65) + ')'.repeat(65), 64, 'inside each other'],
  ['((((a{1000}){1000}){1000}){1000})', 0, 'too large'],
  ['(a{1,90}b){90}', 0, 'too large'],
])('%s is refused at %i: %s', (text, at, wrong) => {
  const mistake = regexMistake(text);
  expect(mistake).toMatchObject({ at });
  expect(mistake?.wrong).toContain(wrong);
  expect(mistake?.expected).not.toBe('');
});

test('every text is either read or refused, and nothing is thrown', () => {
  const unit = fc.constantFrom(...'ab[]()^$|?*+{}\\-,.1:x<>=!Pi');
  fc.assert(
    fc.property(fc.string({ unit, maxLength: 24 }), (text) => {
      regexMistake(text);
    }),
    { numRuns: 5_000 },
  );
});

describe('nothing is catastrophic', () => {
  test.each([
    ['(a+)+$', REGEX_TABLE],
    ['^(a|aa)*$', REGEX_TABLE],
    ['(a|a?)+x$', REGEX_TABLE],
    ['(.*a){20}', REGEX_TABLE],
    ['^(([a-z])+.)+[A-Z]([a-z])+$', REGEX_TABLE],
    ['(([a-z0-9]*)*)*-$', REGEX_TABLE],
    ['a.{20}b', REGEX_POSITIONS],
    ['(a?){200}a{200}x', REGEX_TABLE],
    ['(a.{9}|b.{11}|.{13}c){14}x', REGEX_POSITIONS],
    ['([a-z0-9-]{1,63}\\.){6}x', REGEX_TABLE],
  ])('%s', async (text, kind) => {
    let machine: Int32Array = new Int32Array(0);
    const buildMs = await costMsOf(() => {
      machine = build(text);
    });
    expect(machine[REGEX_KIND]).toBe(kind);
    expect(buildMs).toBeLessThan(1_000);
    const name = Buffer.from(`${'a'.repeat(252)}!`);
    const runMs = await costMsOf(() => {
      for (let i = 0; i < 100; i++) matchesRegex(machine, 0, name, name.length);
    });
    // The largest machine costs half a millisecond a name.
    expect(runMs).toBeLessThan(300);
  });

  test('an expression of any shape is refused or built in bounded time', async () => {
    for (const text of [
      '(a?){2000}',
      '((a*)*b*){800}',
      `${'(a|b)?'.repeat(900)}c`,
      '(.{1,30}a){40}',
      '(a|b|c|d){1000}x',
    ]) {
      const costMs = await costMsOf(() => {
        regexMistake(text);
      });
      expect(costMs, text).toBeLessThan(2_000);
    }
  });
});
