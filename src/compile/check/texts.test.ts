import { expect, test } from 'vitest';
import { checkRules } from './check-rules.ts';

const names = {
  inbounds: new Set<string>(),
  outbounds: new Set(['direct']),
  ruleSets: new Set<string>(),
  hasGeoip: false,
  hasAsn: false,
};
const HEAVY = Array.from({ length: 30 }, (_, i) => `[a-z].{${60 + i}}[b-d].{60}[0-9]`);

test('expressions that are too much together are told at the first of them that is', () => {
  const { mistakes } = checkRules({
    apiRules: [{ domain_regex: HEAVY.slice(0, 3), action: 'reject' }],
    fileRules: [
      { domain_regex: 'ads[0-9]', action: 'reject' },
      { type: 'logical', mode: 'or', rules: [{ port: 1 }, { domain_regex: HEAVY }], action: 'reject' },
    ],
    names,
  });
  expect(mistakes).toHaveLength(1);
  const path = mistakes[0]?.path ?? [];
  expect(mistakes[0]).toMatchObject({ owner: 'file', message: expect.stringContaining('together') });
  expect(path.slice(0, 5)).toEqual(['rules', 1, 'rules', 1, 'domain_regex']);
  const fewer = HEAVY.slice(0, path[5] as number);
  expect(
    checkRules({ apiRules: [], fileRules: [{ domain_regex: fewer, action: 'reject' }], names }).mistakes,
  ).toEqual([]);
});

test('keywords of more bytes than an automaton is built of are a mistake', () => {
  const fileRules = Array.from({ length: 6 }, (_, rule) => ({
    domain_keyword: Array.from({ length: 1_000 }, (_, i) => `${rule}-${i}`.padStart(200, 'k')),
    action: 'reject',
  }));
  const { mistakes } = checkRules({ apiRules: [], fileRules, names });
  expect(mistakes.map(({ path }) => path)).toEqual([['rules', 5, 'domain_keyword']]);
});
