// Rules of the file and of the API together: whose mistake it is, what they are called, whether they changed. The words of
// the mistakes are in mistakes.test.ts.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EXTERNALS_MAX, RULES_MAX } from '../../layout/rules.ts';
import { checkRules } from './check-rules.ts';
import { ruleVersion } from './identity.ts';

const names = {
  inbounds: new Set(['socks']),
  outbounds: new Set(['direct', 'proxy']),
  ruleSets: new Set(['ads']),
  hasGeoip: true,
  hasAsn: true,
};

function check(fileRules: readonly unknown[], apiRules: readonly unknown[] = []) {
  return checkRules({ apiRules, fileRules, names });
}

function ids(fileRules: readonly unknown[], apiRules: readonly unknown[] = []): string[] {
  const { rules, mistakes } = check(fileRules, apiRules);
  expect(mistakes).toEqual([]);
  return rules.map(({ id }) => id);
}

describe('rules of the API', () => {
  test('come before those of the file, with paths of their own', () => {
    const { rules } = check(
      [{ id: 'f', port: 1, action: 'reject' }],
      [{ id: 'a', port: 2, outbound: 'proxy' }],
    );
    expect(rules.map(({ id, owner, path }) => [id, owner, path])).toEqual([
      ['a', 'api', 'rules[0]'],
      ['f', 'file', 'rules[0]'],
    ]);
  });

  test('are told what a file is told, also of their shape, and whose it is', () => {
    const { mistakes } = check(
      [{ port: 1 }],
      [{ domian: 'a.example', action: 'reject' }, { port: 'x', outbound: 'prox' }, 7],
    );
    expect(mistakes.map(({ owner, path, nearest }) => [owner, path.join('.'), nearest])).toEqual([
      ['api', 'rules.0.domian', 'domain'],
      ['api', 'rules.1.port', undefined],
      ['api', 'rules.2', undefined],
      ['api', 'rules.1.outbound', 'proxy'],
      ['file', 'rules.0', undefined],
    ]);
  });

  test('may not take an id of the file', () => {
    const { mistakes } = check(
      [{ id: 'x', port: 1, action: 'reject' }],
      [{ id: 'x', port: 2, action: 'reject' }],
    );
    expect(mistakes.map(({ owner, path, message }) => [owner, path, message])).toEqual([
      ['file', ['rules', 0, 'id'], 'id "x" is already used at rules[0] of the API'],
    ]);
  });

  test('are left as they were given', () => {
    const given = [{ domian: 'a.example', port: 'x', action: 'reject' }];
    const before = structuredClone(given);
    check([], given);
    expect(given).toEqual(before);
  });

  test('that nest without end are refused, not followed', () => {
    let nested: object = { port: 1 };
    for (let depth = 0; depth < 50_000; depth++) nested = { type: 'logical', mode: 'or', rules: [nested] };
    const { mistakes } = check([], [nested]);
    expect(mistakes.map(({ message }) => message)).toEqual(['is nested too deep']);
  });
});

describe('ids', () => {
  test('are made of the words, whatever their order and place', () => {
    const [one] = ids([{ port: 1, action: 'reject' }]);
    expect(one).toMatch(/^r[0-9a-f]{8}$/);
    expect(
      ids([
        { port: 2, action: 'reject' },
        { action: 'reject', port: 1 },
      ])[1],
    ).toBe(one);
    expect(ids([{ port: 3, action: 'reject' }])[0]).not.toBe(one);
  });

  test('of the same words are counted', () => {
    const rule = { port: 1, action: 'reject' };
    const [one] = ids([rule]);
    expect(ids([rule, rule], [rule])).toEqual([one, `${one}-2`, `${one}-3`]);
  });

  test('that were given win over those that were made', () => {
    const rule = { port: 1, action: 'reject' };
    const [made] = ids([rule]);
    expect(
      ids([rule, { id: made, port: 2, action: 'reject' }, { id: `${made}-2`, port: 3, action: 'reject' }]),
    ).toEqual([`${made}-3`, made, `${made}-2`]);
  });
});

test('a version changes with what a rule says and with nothing else', () => {
  const version = (rule: object, before: readonly object[] = []) => {
    const { rules, mistakes } = check([...before, rule]);
    expect(mistakes).toEqual([]);
    return ruleVersion(rules[before.length] as (typeof rules)[number]);
  };
  const rule = { id: 'a', domain: 'a.example', outbound: 'proxy' };
  const same = [
    version({ ...rule, id: 'b' }),
    version({ ...rule, domain: ['A.example'] }),
    version({ ...rule, action: 'route', on_timeout: 'skip' }),
    version(rule, [{ port: 1, action: 'reject' }]),
  ];
  expect(new Set([...same, version(rule)]).size).toBe(1);
  const others = [
    version({ ...rule, outbound: 'direct' }),
    version({ ...rule, invert: true }),
    version({ ...rule, override_port: 80 }),
    version({ ...rule, on_timeout: 'reject' }),
    version({ ...rule, timeout: '2s' }),
    version({ ...rule, domain: 'b.example' }),
  ];
  expect(new Set([...others, version(rule)]).size).toBe(others.length + 1);
});

test('what a look-up may take', () => {
  const { rules } = check([
    { action: 'sniff' },
    { action: 'resolve' },
    { process_name: 'curl', action: 'reject' },
    { external: 'https://a.example', outbound: 'proxy', timeout: '3s', on_timeout: 'allow' },
  ]);
  expect(rules.map(({ timeoutMs, onTimeout }) => [timeoutMs, onTimeout])).toEqual([
    [300, 0],
    [5_000, 0],
    [1_000, 0],
    [3_000, 2],
  ]);
});

describe('bounds', () => {
  test('of judges', () => {
    const asking = (count: number) =>
      Array.from({ length: count }, (_, i) => ({ external: `https://a.example/${i}`, action: 'reject' }));
    const { mistakes } = check([...asking(EXTERNALS_MAX), ...asking(EXTERNALS_MAX)]);
    expect(mistakes).toEqual([]);
    expect(check(asking(EXTERNALS_MAX + 3)).mistakes.map(({ path }) => path)).toEqual([
      ['rules', EXTERNALS_MAX],
    ]);
  });

  test('of rules', () => {
    const rules = Array.from({ length: RULES_MAX + 1 }, (_, i) => ({
      domain: `${i}.example`,
      action: 'reject',
    }));
    expect(check(rules.slice(1)).mistakes).toEqual([]);
    expect(check(rules).mistakes.map(({ path }) => path)).toEqual([['rules', RULES_MAX]]);
  });
});

test('nothing is thrown, whatever the API sends', () => {
  const keys = [
    'domain',
    'port',
    'ip_cidr',
    'time',
    'rules',
    'type',
    'mode',
    'action',
    'rate',
    'geoip',
    'external',
  ];
  const value = fc.oneof(
    fc.jsonValue({ maxDepth: 3 }),
    fc.constantFrom('logical', 'or', 'limit', 'sniff', 'mon', ''),
  );
  const rule = fc.dictionary(fc.constantFrom(...keys, 'id', 'invert', 'user_id', 'domain_regex', 'x'), value);
  fc.assert(
    fc.property(fc.array(fc.oneof(rule, value), { maxLength: 5 }), (apiRules) => {
      const { rules, mistakes } = check([], apiRules);
      if (mistakes.length === 0) expect(rules.length).toBe(apiRules.length);
      for (const { owner, message = '' } of mistakes) {
        expect(owner).toBe('api');
        expect(message).not.toContain('undefined');
      }
    }),
    { numRuns: 500 },
  );
});
