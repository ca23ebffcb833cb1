import { expect, it } from 'vitest';
import type { CompiledRule } from '../layout/compiler-messages.ts';
import { RULE_KEY_FINAL } from '../layout/rules.ts';
import { ruleDifference } from './rule-difference.ts';

const KEYS = 'abcdefgh';

/** `a1 b! `: ids with versions, `!` for those that do not decide. */
function rules(text: string): CompiledRule[] {
  return text
    .split(' ')
    .filter((word) => word !== '')
    .map((word) => ({
      id: word.charAt(0),
      key: KEYS.indexOf(word.charAt(0)) + 1,
      owner: 'api',
      path: 'rules',
      version: word.slice(1),
      action: word.endsWith('!') ? 'limit' : 'reject',
    }));
}

const CASES: [before: string, after: string, told: string, keys: readonly number[]][] = [
  ['', '', '', []],
  ['', 'a b', '+ab', [RULE_KEY_FINAL]],
  ['a b c', 'a x b c', '+x', [2, 3, RULE_KEY_FINAL]],
  ['a b c', 'a b1 c', '~b', [2, 3, RULE_KEY_FINAL]],
  ['a b c', 'a c', '-b', [2]],
  ['a b! c', 'a c', '-b', [2, 3, RULE_KEY_FINAL]],
  ['a b c', 'c b a', '>ca', [1, 2, 3, RULE_KEY_FINAL]],
  ['a b c d', 'a c b1 d', '~b>cb', [2, 3, 4, RULE_KEY_FINAL]],
  ['a b c d', 'd a b c', '>dabc', [1, 2, 3, 4, RULE_KEY_FINAL]],
];

it.each(CASES)('from "%s" to "%s": %s', (before, after, told, keys) => {
  const difference = ruleDifference(rules(before), rules(after));
  const { added, changed, removed, moved } = difference;
  const words = [
    ['+', added],
    ['~', changed],
    ['-', removed],
    ['>', moved],
  ] as const;
  const text = words.map(([sign, ids]) => (ids.length === 0 ? '' : `${sign}${ids.join('')}`)).join('');
  expect([text, difference.keys]).toEqual([told, keys]);
});
