import { describe, expect, it } from 'vitest';
import type { CompiledRule } from '../layout/compiler-messages.ts';
import { patchedRules, replacedRules } from './rule-writing.ts';
import type { KnownRules } from './rule-writing.ts';

function known(api: readonly string[], file: readonly string[] = []): KnownRules {
  const compiled = (owner: 'api' | 'file') => (id: string) => ({ id, owner }) as CompiledRule;
  const rules = [...api.map(compiled('api')), ...file.map(compiled('file'))];
  return { apiRules: api.map((id) => ({ id })), rules };
}

const idsOf = (rules: readonly unknown[]) => rules.map((rule) => (rule as { id: string }).id).join('');

describe('a patch of rules', () => {
  it('puts, moves and takes out in its order', () => {
    const rule = {};
    const cases: [patch: Parameters<typeof patchedRules>[0], ids: string][] = [
      [[], 'abc'],
      [[{ id: 'b', rule: null }], 'ac'],
      [[{ id: 'd', rule }], 'abcd'],
      [[{ id: 'd', rule, before: 'a' }], 'dabc'],
      [[{ id: 'c', rule, before: 'a' }], 'cab'],
      [[{ id: 'a', rule, before: null }], 'bca'],
      [[{ id: 'b', rule, before: 'b' }], 'abc'],
      [
        [
          { id: 'a', rule: null },
          { id: 'b', rule: null },
          { id: 'c', rule: null },
        ],
        '',
      ],
      [
        [
          { id: 'a', rule: null },
          { id: 'a', rule },
          { id: 'x', rule, before: 'a' },
        ],
        'bcxa',
      ],
    ];
    for (const [patch, ids] of cases) expect(idsOf(patchedRules(patch, known(['a', 'b', 'c'])))).toBe(ids);
    const moved = () => patchedRules([{ id: 'a', rule, before: 'z' }], known(['a']));
    expect(moved).toThrow('no rule "z"');
    expect(() => patchedRules([{ id: 'f', rule }], known(['a'], ['f']))).toThrow('configuration file');
  });
});

it('looks at each of many rules once', () => {
  const ids = (letter: string) => Array.from({ length: 60_000 }, (_, place) => `${letter}${place}`);
  const there = known(ids('a'), ids('f'));
  const beganMs = performance.now();
  const rules = ids('b').map((id) => ({ id }));
  expect(replacedRules(rules, there)).toHaveLength(60_000);
  const patch = ids('a').map((id, place) => ({ id, rule: place % 2 === 0 ? null : {}, before: null }));
  expect(patchedRules(patch, there)).toHaveLength(30_000);
  // One with another each, it would be a minute.
  expect(performance.now() - beganMs).toBeLessThan(5_000);
});
