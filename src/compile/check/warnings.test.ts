// What is warned of: rules that never match, and above all none that do.

import { describe, expect, test } from 'vitest';
import {
  createRandom,
  networksOf,
  randomConnection,
  randomMetadata,
  randomRules,
  randomSets,
} from '../build/random-rules.ts';
import { interpret } from '../interpret.ts';
import { MAPPED_WORD } from '../../sys/socket-address.ts';
import { type Condition, type Network, NO_ITEMS } from '../rule.ts';
import { checkRules, type RulesInit } from './check-rules.ts';
import { covers } from './covers.ts';
import { newComparing } from './listed.ts';
import { isLookedUp } from './placed-rule.ts';
import { findShadowed } from './shadow.ts';

const names = {
  inbounds: new Set(['socks', 'web', 'tls']),
  outbounds: new Set(['direct']),
  ruleSets: new Set(['ads', 'cn']),
  hasGeoip: true,
  hasAsn: true,
};

function warningsOf(fileRules: readonly object[], init: Partial<RulesInit> = {}): string[] {
  const written = fileRules.map((rule) => ({ action: 'reject', ...rule }));
  const { warnings, mistakes } = checkRules({ apiRules: [], fileRules: written, names, ...init });
  expect(mistakes).toEqual([]);
  return warnings.map(({ path, message }) => `${path.join('.')}: ${message}`);
}

describe('a rule behind one that decides for it', () => {
  const logical = (mode: string, ...rules: object[]) => ({ type: 'logical', mode, rules });
  /** The rule before, the rule behind it; and whether the one behind never matches. */
  const rows: readonly (readonly [object, object, boolean])[] = [
    [{}, { port: 1 }, true],
    [{}, { rule_set: 'ads', invert: true }, true],
    [{ port: 1 }, {}, false],
    [{ port: 1 }, { port: 1 }, true],
    [{ port: 1 }, { port: 1, service: 'a' }, true],
    [{ port: 1, service: 'a' }, { port: 1 }, false],
    [{ port_range: '1:9' }, { port: [3, 9] }, true],
    [{ port_range: '1:9' }, { port_range: '9:10' }, false],
    [{ domain_suffix: 'a.example' }, { domain: ['a.example', 'b.a.example'] }, true],
    [{ domain_suffix: 'a.example' }, { domain: 'ba.example' }, false],
    [{ domain_suffix: 'a.example' }, { domain_suffix: ['.a.example', 'b.a.example'] }, true],
    [{ domain_suffix: '.a.example' }, { domain_suffix: 'a.example' }, false],
    [{ domain_suffix: '.a.example' }, { domain: 'a.example' }, false],
    [{ domain_suffix: 'a.example' }, { domain: 'a.example', ip_cidr: '10.0.0.0/8' }, false],
    [{ domain: 'a.example' }, { domain_suffix: 'a.example' }, false],
    [{ domain_keyword: 'ads' }, { domain: 'roads.example' }, true],
    [{ domain_keyword: 'ads' }, { domain_suffix: 'ads.example', port: 1 }, true],
    [{ domain_keyword: 'ad' }, { domain_keyword: 'ads' }, true],
    [{ domain_keyword: 'ads' }, { domain_keyword: 'ad' }, false],
    [{ domain_regex: 'a+' }, { domain_regex: 'a+', port: 1 }, true],
    [{ domain_regex: 'a+' }, { domain: 'a.example' }, false],
    [{ ip_cidr: '10.0.0.0/8' }, { ip_cidr: ['10.1.0.0/16', '10.2.3.4'] }, true],
    [{ ip_cidr: '10.1.0.0/16' }, { ip_cidr: '10.0.0.0/8' }, false],
    [{ ip_cidr: '::/0' }, { ip_cidr: '10.0.0.0/8' }, false],
    [{ ip_is_private: true }, { ip_cidr: '192.168.1.0/24' }, true],
    [{ ip_is_private: true }, { ip_cidr: '192.0.2.0/24' }, false],
    [{ ip_cidr: ['10.0.0.0/8'] }, { ip_is_private: true }, false],
    [{ source_ip_cidr: '10.0.0.0/8' }, { source_ip_cidr: '10.1.0.0/16' }, true],
    [{ source_ip_cidr: '10.0.0.0/8' }, { ip_cidr: '10.1.0.0/16' }, false],
    [{ geoip: ['DE', 'FR'] }, { geoip: 'de' }, true],
    [{ rule_set: ['ads', 'cn'] }, { rule_set: 'ads', service: 'a' }, true],
    [{ rule_set: 'ads' }, { rule_set: ['ads', 'cn'] }, false],
    // The set may stand in for the port of the rule that names it.
    [{ port: 1 }, { port: 1, rule_set: 'ads' }, false],
    [{ port: 1, rule_set: 'ads' }, { port: 1, rule_set: 'ads', domain: 'a.example' }, false],
    [{ service: 'a' }, { service: 'a', rule_set: 'ads' }, true],
    [{ port: 1, invert: true }, { port: 2 }, false],
    [{ port: 1, invert: true }, { port: 1, invert: true }, true],
    [logical('or', { port: 1 }, { service: 'a' }), { port: 1 }, true],
    [logical('and', { port: 1 }, { service: 'a' }), { port: 1 }, false],
    [logical('and', { port: 1 }, { service: 'a' }), { port: 1, service: 'a' }, true],
    [{ port: 1 }, logical('and', { port: 1 }, { service: 'a' }), true],
    [{ port: 1 }, logical('or', { port: 1 }, { service: 'a' }), false],
    [{ port: 1, action: 'sniff' }, { port: 1 }, false],
    // What is looked up may fail, and the time passes.
    [{ process_name: 'curl' }, { process_name: 'curl', port: 1 }, false],
    [{ process_name: 'curl' }, { process_name: 'curl' }, false],
    [{ external: 'https://a.example' }, { external: 'https://a.example', on_timeout: 'reject' }, false],
    [{ port: 1 }, { port: 1, process_name: 'curl', on_timeout: 'reject' }, true],
    [{ rule_set: 'ads' }, { rule_set: 'ads', on_timeout: 'reject' }, false],
    [
      { rule_set: 'ads', on_timeout: 'reject' },
      { rule_set: 'ads', service: 'a', on_timeout: 'reject' },
      true,
    ],
    [{ time: 'mon' }, { time: 'mon', port: 1 }, false],
    [{ time: 'mon' }, { time: 'mon' }, true],
  ];
  test.each(rows)('%j, then %j: %j', (before, behind, isShadowed) => {
    const shadowed = warningsOf([before, { id: 'behind', ...behind }]).filter((text) =>
      text.includes('can never match'),
    );
    expect(shadowed.length).toBe(isShadowed ? 1 : 0);
  });

  test('is told which one, and whose', () => {
    const apiRules = [{ id: 'wide', domain_suffix: 'example', action: 'reject' }];
    expect(warningsOf([{ domain: 'a.example' }], { apiRules })).toEqual([
      'rules.0: can never match: rule "wide" (rules[0] of the API) decides before it',
    ]);
  });

  test('may match after all where something was found out between them', () => {
    const between = (action: string, before: object, behind: object) =>
      warningsOf([before, { action }, behind]).filter((text) => text.includes('can never match')).length;
    expect(between('resolve', { ip_cidr: '10.0.0.0/8' }, { ip_cidr: '10.0.0.0/8', port: 1 })).toBe(0);
    expect(between('sniff', { domain: 'a.example' }, { domain: 'a.example' })).toBe(0);
    expect(between('resolve', { port: 1 }, { port: 1, domain: 'a.example' })).toBe(1);
  });

  test('never decides after all: random rules and connections', () => {
    const seed = Number(process.env['SLUICE_SEED'] ?? Date.now() % 2 ** 30);
    const random = createRandom(seed);
    const beyond = { networksOf, matchesRegex: (text: string, name: string) => new RegExp(text).test(name) };
    let found = 0;
    for (let round = 0; round < 400; round++) {
      const rules = randomRules(random, 30);
      const sets = randomSets(random);
      const shadowed = findShadowed(rules.map((rule, index) => ({ rule, path: ['rules', index] })));
      // Looked for without those that everything is behind of.
      const places = new Set(shadowed.map(({ path }) => path[1]));
      found += places.size;
      for (let i = 0; i < 50; i++) {
        const connection = { ...randomConnection(random), ...randomMetadata(random) };
        const { rule } = interpret(rules, sets, connection, beyond);
        expect(places.has(rule), `SLUICE_SEED=${seed}: ${JSON.stringify(rules[rule])}`).toBe(false);
      }
    }
    expect(found).toBeGreaterThan(400);
  });

  test('is found by what it is filed under: all that a comparison of all pairs finds', () => {
    const seed = Number(process.env['SLUICE_SEED'] ?? Date.now() % 2 ** 30);
    const random = createRandom(seed);
    const isPlain = (condition: Condition): boolean =>
      condition.kind === 'logical'
        ? condition.rules.every(isPlain)
        : condition.time.length === 0 && !isLookedUp(condition, false);
    let found = 0;
    for (let round = 0; round < 300; round++) {
      // Of one or two groups each, so that many are comparable and few hold for everything.
      const rules = randomRules(random, 40).map((rule) => ({
        ...rule,
        condition: narrowed(random, rule.condition),
      }));
      const shadowed = new Set(
        findShadowed(rules.map((rule, index) => ({ rule, path: ['rules', index] }))).map(
          ({ path }) => path[1],
        ),
      );
      const deciding = rules.map((_, index) => !shadowed.has(index));
      for (const [index, { condition }] of rules.entries()) {
        const before = rules.slice(0, index).filter((rule, at) => deciding[at] && isPlain(rule.condition));
        const isShadowed = before.some((rule) => covers(rule.condition, condition, newComparing(100_000)));
        if (isShadowed) found++;
        if (isShadowed !== shadowed.has(index)) {
          const same = rules
            .slice(0, index)
            .some((rule) => JSON.stringify(rule.condition) === JSON.stringify(condition));
          expect(shadowed.has(index) && same, `SLUICE_SEED=${seed}: ${JSON.stringify(condition)}`).toBe(true);
        }
      }
    }
    expect(found).toBeGreaterThan(300);
  });

  test('is not looked for while something was cut out of a rule', () => {
    const shadowed = (wrong: object) =>
      checkRules({
        apiRules: [],
        fileRules: [
          { action: 'reject', ...wrong },
          { port: 1, action: 'reject' },
          { port: 1, outbound: 'direct' },
        ],
        names,
      }).warnings;
    expect(shadowed({ domain: '*.example' })).toEqual([]);
    expect(shadowed({ domian: 'a.example' })).toEqual([]);
    expect(shadowed({ rule_set: 'ads', user_id: 'x', timeout: '1s' })).toEqual([]);
    expect(shadowed({ domain: 'a.example' })).toHaveLength(1);
  });

  describe('is looked for in a bounded time', () => {
    /** Where each is compared with each it takes several times as long, on any machine. */
    const BOUNDED_MS = 5_000;
    const shadowsIn = (rules: readonly Condition[]) => {
      const [rule] = checkRules({ apiRules: [], fileRules: [{ action: 'reject' }], names }).rules;
      if (rule === undefined) throw new Error('no rule');
      const beganMs = performance.now();
      const found = findShadowed(
        rules.map((condition, index) => ({ rule: { ...rule, condition }, path: ['rules', index] })),
      ).length;
      return { found, tookMs: performance.now() - beganMs };
    };
    const port = [{ from: 443, to: 443 }];
    const names40k = Array.from({ length: 40_000 }, (_, i) => `n${i}.example.com`);
    const networks: Network[] = Array.from({ length: 30_000 }, (_, i) => ({
      words: [0, 0, MAPPED_WORD, (i + 256) << 10],
      bits: 118,
    }));
    const further: Network = { words: [0, 0, MAPPED_WORD, 1], bits: 128 };

    test('thirty thousand networks in as many', () => {
      const [narrow, wide] = [networks.slice(5), [further, ...networks]];
      const { found, tookMs } = shadowsIn([
        { ...NO_ITEMS, ipCidr: wide },
        { ...NO_ITEMS, ipCidr: narrow, port },
        { ...NO_ITEMS, ipCidr: [...narrow, { words: [0, 0, MAPPED_WORD, 2], bits: 128 }] },
      ]);
      expect(found).toBe(1);
      expect(tookMs).toBeLessThan(BOUNDED_MS);
    });

    test('names that nobody lists, ranges, many rules of keywords', () => {
      const lists = [0, 1, 2, 3].map((at) => [...names40k.slice(at), `x${at}.org`]);
      const odd = Array.from({ length: 30_000 }, (_, i) => ({ from: 2 * i, to: 2 * i }));
      for (const rules of [
        lists.map((domain) => ({ ...NO_ITEMS, domain })),
        [0, 1, 2].map((at) => ({ ...NO_ITEMS, port: odd.map(({ from, to }) => ({ from, to: to + at })) })),
        names40k.map((name) => ({ ...NO_ITEMS, domainKeyword: [name] })),
        [
          { ...NO_ITEMS, domainKeyword: names40k },
          { ...NO_ITEMS, domain: names40k.map((name) => `a${name.slice(1)}`) },
        ],
      ]) {
        expect(shadowsIn(rules).tookMs).toBeLessThan(BOUNDED_MS);
      }
    });

    test('thirty thousand rules', () => {
      const rules = Array.from({ length: 30_000 }, (_, i) => ({ port: i % 60_000, service: `s${i}` }));
      expect(warningsOf(rules)).toEqual([]);
    });
  });
});

describe('what cannot be told', () => {
  const inboundTypes = new Map([
    ['socks', 'socks5'],
    ['web', 'http'],
    ['tls', 'sni'],
  ]);
  const protocol = (rules: readonly object[]) =>
    warningsOf(rules, { names: { ...names, inboundTypes } }).filter((text) => text.includes('protocol'));

  test('a protocol without a look at the first bytes', () => {
    expect(protocol([{ protocol: ['ssh', 'dns'] }])).toEqual([
      'rules.0.protocol: never matches: no rule before it has `action: sniff`, and no inbound here knows ssh, dns without',
    ]);
    expect(protocol([{ protocol: 'tls' }])).toEqual([]);
    expect(protocol([{ protocol: 'tls', inbound: 'socks' }]).length).toBe(1);
    expect(protocol([{ protocol: 'http', inbound: ['socks', 'web'] }])).toEqual([]);
    expect(protocol([{ action: 'sniff' }, { protocol: 'ssh' }])).toEqual([]);
    expect(protocol([{ action: 'sniff', sniffer: 'tls' }, { protocol: 'ssh' }]).length).toBe(1);
    expect(protocol([{ protocol: 'ssh' }, { action: 'sniff' }]).length).toBe(1);
    expect(protocol([{ type: 'logical', mode: 'or', rules: [{ port: 1 }, { protocol: 'ssh' }] }])).toEqual([
      expect.stringMatching(/^rules\.0\.rules\.1\.protocol: /),
    ]);
  });

  test('UDP, devices, limits', () => {
    expect(warningsOf([{ protocol: 'quic' }, { network: 'udp' }, { network: ['udp', 'tcp'] }])).toEqual([
      'rules.0.protocol: `protocol: quic` never matches: no UDP is relayed yet',
      'rules.1.network: `network: udp` never matches: no UDP is relayed yet',
    ]);
    expect(warningsOf([{ device: 'new' }])).toEqual([
      'rules.0.device: `device` never matches before device limits are enforced',
    ]);
    const limit = { action: 'limit', gate: { rate: '5/s' } };
    expect(
      warningsOf([
        { ...limit, port: 1 },
        { ...limit, port: 2 },
      ]),
    ).toEqual([
      'rules.0.action: action limit is accepted but not enforced yet, here and in 1 more of the rules',
    ]);
  });

  test('deadlines of what is not looked up', () => {
    expect(warningsOf([{ port: 1, timeout: '1s', on_timeout: 'reject' }])).toEqual([
      'rules.0.timeout: "timeout" has no effect: nothing of this rule has to be looked up',
      'rules.0.on_timeout: "on_timeout" has no effect: nothing of this rule has to be looked up',
    ]);
    expect(
      warningsOf([
        { rule_set: 'ads', timeout: '1s' },
        { user_id: 5, on_timeout: 'allow' },
      ]),
    ).toEqual([]);
  });
});

/** Keeps two of the conditions that a rule has. */
function narrowed(random: ReturnType<typeof createRandom>, condition: Condition): Condition {
  if (condition.kind === 'logical') {
    return { ...condition, rules: condition.rules.map((rule) => narrowed(random, rule)) };
  }
  const lists = Object.entries(condition).filter(([, value]) => Array.isArray(value) && value.length > 0);
  const kept = [random.pick(lists), random.pick(lists)].filter((entry) => entry !== undefined);
  const { invert } = condition;
  return {
    ...NO_ITEMS,
    invert,
    ...Object.fromEntries(kept.length > 0 ? kept : [['port', [{ from: 3, to: 3 }]]]),
  };
}
