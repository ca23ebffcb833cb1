// The semantics as tables: rules as an operator writes them, connections, and what has to come of it. The matcher is compared
// with the interpreter by random cases (build/matcher.test.ts); here the interpreter is compared with what was promised.

import { describe, expect, test } from 'vitest';
import { parseIp } from '../layout/ip-address.ts';
import {
  DEVICE_KNOWN,
  NEED_EXTERNAL,
  NEED_PROCESS,
  NETWORK_TCP,
  NETWORK_UDP,
  PROTOCOL_SSH,
  PROTOCOL_TLS,
  PROTOCOL_UNKNOWN,
} from '../layout/rules.ts';
import { createBeyond } from './beyond.ts';
import { checkRules } from './check/check-rules.ts';
import { parseNetwork } from './check/names.ts';
import { interpret } from './interpret.ts';
import type { InterpretedConnection, Words } from './items.ts';
import type { Condition, Network, Rule, RuleSetRules } from './rule.ts';

const TAGS = ['a', 'b'];
const NAMES = {
  inbounds: new Set(['socks', 'web']),
  outbounds: new Set(['direct']),
  ruleSets: new Set(TAGS),
  hasGeoip: true,
  hasAsn: true,
};

function network(text: string): Network {
  const parsed = parseNetwork(text);
  if ('wrong' in parsed) throw new RangeError(text);
  return parsed;
}

const beyond = createBeyond({
  country: (code) => (code === 'DE' ? [network('192.0.2.0/24'), network('2001:db8::/32')] : []),
  system: (asn) => (asn === 64_496 ? [network('198.51.100.0/24')] : []),
});

function words(text: string): Words {
  const [a = 0, b = 0, c = 0, d = 0] = parseIp(text) ?? [];
  return [a, b, c, d];
}

const NOTHING: InterpretedConnection = {
  inbound: '',
  service: '',
  user: '',
  network: NETWORK_TCP,
  protocol: PROTOCOL_UNKNOWN,
  device: 0,
  source: undefined,
  sourcePort: 0,
  name: '',
  addresses: [],
  port: 0,
  minuteOfWeek: 0,
  process: undefined,
  externals: new Map(),
};

const to = (name: string): Partial<InterpretedConnection> => ({ name });
const at = (...addresses: string[]): Partial<InterpretedConnection> => ({ addresses: addresses.map(words) });
const from = (source: string): Partial<InterpretedConnection> => ({ source: words(source) });

function rulesOf(written: readonly object[]): Rule[] {
  const { rules, mistakes } = checkRules({ apiRules: [], fileRules: written, names: NAMES });
  expect(mistakes).toEqual([]);
  return rules;
}

/** Conditions of a rule-set file have the words of rules. */
function setOf(conditions: readonly object[]): RuleSetRules {
  return {
    rules: rulesOf(conditions.map((one) => ({ ...one, action: 'reject' }))).map(
      (rule): Condition => rule.condition,
    ),
  };
}

function answer(
  written: object | readonly object[],
  connection: Partial<InterpretedConnection>,
  sets: Readonly<Record<string, readonly object[]>> = {},
) {
  const list = Array.isArray(written) ? (written as object[]) : [written];
  const rules = rulesOf(list.map((one) => ({ action: 'reject', ...one })));
  const byTag = new Map(TAGS.map((tag) => [tag, setOf(sets[tag] ?? [])]));
  return interpret(rules, byTag, { ...NOTHING, ...connection }, beyond);
}

const matches = (...parameters: Parameters<typeof answer>) => answer(...parameters).rule === 0;

type Row = readonly [rule: object, connection: Partial<InterpretedConnection>, isMatch: boolean];

function table(rows: readonly Row[]): void {
  test.each(rows)('%j of %j: %j', (rule, connection, isMatch) => {
    expect(matches(rule, connection)).toBe(isMatch);
    expect(matches({ ...rule, ...(Object.keys(rule).length > 0 ? { invert: true } : {}) }, connection)).toBe(
      Object.keys(rule).length > 0 ? !isMatch : isMatch,
    );
  });
}

describe('one condition, and the same inverted', () => {
  table([
    [{}, to('a.example'), true],
    [{ domain: 'a.example' }, to('a.example'), true],
    [{ domain: 'A.Example.' }, to('a.example'), true],
    [{ domain: 'a.example' }, to('b.a.example'), false],
    [{ domain: 'a.example' }, at('192.0.2.1'), false],
    [{ domain: 'b\u00fccher.example' }, to('xn--bcher-kva.example'), true],
    [{ domain_suffix: 'a.example' }, to('a.example'), true],
    [{ domain_suffix: 'a.example' }, to('b.a.example'), true],
    [{ domain_suffix: 'a.example' }, to('ba.example'), false],
    [{ domain_suffix: '.a.example' }, to('a.example'), false],
    [{ domain_suffix: '.a.example' }, to('b.a.example'), true],
    [{ domain_keyword: 'ADS' }, to('roads.example'), true],
    [{ domain_keyword: 'ads' }, at('192.0.2.1'), false],
    [{ domain_regex: '^ads?[0-9]+\\.' }, to('ad7.example'), true],
    [{ domain_regex: '^ads?[0-9]+\\.' }, to('bad7.example'), false],
    [{ domain_regex: '.*' }, at('192.0.2.1'), false],
    [{ ip_cidr: '192.0.2.0/24' }, at('192.0.2.255'), true],
    [{ ip_cidr: '192.0.2.0/24' }, at('192.0.3.0'), false],
    [{ ip_cidr: '192.0.2.0/24' }, at('198.51.100.1', '192.0.2.7'), true],
    [{ ip_cidr: '192.0.2.0/24' }, to('a.example'), false],
    [{ ip_cidr: '::/0' }, at('192.0.2.1'), false],
    [{ ip_cidr: '::/0' }, at('2001:db8::1'), true],
    [{ ip_cidr: '0.0.0.0/0' }, at('192.0.2.1'), true],
    [{ ip_is_private: true }, at('10.1.2.3'), true],
    [{ ip_is_private: true }, at('192.0.2.1'), false],
    [{ geoip: 'de' }, at('192.0.2.1'), true],
    [{ geoip: ['fr', 'private'] }, at('10.0.0.1'), true],
    [{ geoip: 'fr' }, at('192.0.2.1'), false],
    [{ asn: 64_496 }, at('198.51.100.9'), true],
    [{ ip_version: 6 }, at('2001:db8::1'), true],
    [{ ip_version: 4 }, at('2001:db8::1'), false],
    [{ ip_version: 4 }, to('a.example'), false],
    [{ port: [80, 443] }, { port: 443 }, true],
    [{ port: 80, port_range: '8000:' }, { port: 65_535 }, true],
    [{ port_range: ':80' }, { port: 81 }, false],
    [{ source_ip_cidr: '192.0.2.0/24' }, from('192.0.2.1'), true],
    [{ source_ip_cidr: '0.0.0.0/0' }, {}, false],
    [{ source_ip_is_private: true }, from('::1'), true],
    [{ source_geoip: 'DE' }, from('2001:db8::5'), true],
    [{ source_port: 5 }, { sourcePort: 5 }, true],
    [{ inbound: ['web', 'socks'] }, { inbound: 'socks' }, true],
    [{ service: 'a' }, { service: 'A' }, false],
    [{ user: 'u' }, {}, false],
    [{ network: 'udp' }, { network: NETWORK_UDP }, true],
    [{ protocol: ['tls', 'ssh'] }, { protocol: PROTOCOL_SSH }, true],
    [{ protocol: 'tls' }, {}, false],
    [{ device: 'known' }, { device: DEVICE_KNOWN }, true],
    [{ device: ['new', 'denied'] }, {}, false],
    [{ time: 'mon' }, { minuteOfWeek: 1_439 }, true],
    [{ time: 'mon' }, { minuteOfWeek: 1_440 }, false],
    [{ time: '08:00-18:00' }, { minuteOfWeek: 6 * 1_440 + 8 * 60 }, true],
    [{ time: '08:00-18:00' }, { minuteOfWeek: 18 * 60 }, false],
    [{ time: 'sun 22:00-06:00' }, { minuteOfWeek: 5 * 60 + 59 }, true],
    [{ time: 'sun 22:00-06:00' }, { minuteOfWeek: 6 * 60 }, false],
    [{ time: 'fri-mon' }, { minuteOfWeek: 3 * 1_440 }, false],
    [{ time: 'fri-mon' }, { minuteOfWeek: 6 * 1_440 }, true],
  ]);
});

describe('groups', () => {
  table([
    [{ domain: 'a.example', ip_cidr: '192.0.2.0/24' }, at('192.0.2.1'), true],
    [{ domain: 'a.example', ip_cidr: '192.0.2.0/24' }, to('b.example'), false],
    [{ domain: 'a.example', port: 443 }, { ...to('a.example'), port: 80 }, false],
    [{ domain: 'a.example', port: 443 }, { ...to('a.example'), port: 443 }, true],
    [{ source_ip_is_private: true, source_ip_cidr: '192.0.2.0/24' }, from('192.0.2.1'), true],
    [{ service: 'a', user: 'u' }, { service: 'a' }, false],
    [{ protocol: 'tls', ip_version: 4 }, { protocol: PROTOCOL_TLS, ...at('192.0.2.1') }, true],
  ]);
});

describe('logical rules', () => {
  const logical = (mode: string, ...rules: object[]) => ({ type: 'logical', mode, rules });
  table([
    [logical('or', { port: 1 }, { port: 2 }), { port: 2 }, true],
    [logical('and', { port: 1 }, { service: 'a' }), { port: 1, service: 'b' }, false],
    [logical('and', { port: 1 }, { service: 'a', invert: true }), { port: 1, service: 'b' }, true],
    [logical('or', { port: 1 }, logical('and', { port: 2 }, { user: 'u' })), { port: 2, user: 'u' }, true],
  ]);
});

describe('rule sets', () => {
  /** Outer rule, rules of set a, connection, result. */
  const rows: readonly (readonly [object, readonly object[], Partial<InterpretedConnection>, boolean])[] = [
    [{}, [{ domain: 'a.example' }], to('a.example'), true],
    [{}, [], to('a.example'), false],
    [{}, [{ port: 1 }, { port: 2 }], { port: 2 }, true],
    // A merged group: the outer rule's condition or the set's.
    [{ domain: 'b.example' }, [{ domain: 'a.example' }], to('b.example'), true],
    [{ domain: 'b.example' }, [{ domain: 'a.example' }], to('a.example'), true],
    [{ domain: 'b.example' }, [{ domain: 'a.example' }], to('c.example'), false],
    [{ ip_cidr: '192.0.2.0/24' }, [{ domain: 'a.example' }], to('a.example'), true],
    // ... but one of them has to hold where only one side has any.
    [{ port: 443 }, [{ domain: 'a.example' }], { ...to('a.example'), port: 80 }, false],
    [{ port: 443 }, [{ domain: 'a.example' }], { ...to('a.example'), port: 443 }, true],
    [{ port: 443 }, [{ domain: 'a.example', port: 80 }], { ...to('a.example'), port: 80 }, true],
    [{ port: 443 }, [{ domain: 'a.example', port: 80 }], { ...to('b.example'), port: 443 }, false],
    [{ source_ip_cidr: '10.0.0.0/8' }, [{ source_ip_cidr: '192.0.2.0/24' }], from('192.0.2.1'), true],
    // Different rules of a set do not help each other.
    [{}, [{ port: 1, domain: 'a.example' }, { port: 2 }], { ...to('a.example'), port: 3 }, false],
    // Other groups: both have to hold.
    [{ network: 'udp' }, [{ network: 'tcp' }], { network: NETWORK_TCP }, false],
    [{ service: 'a' }, [{ port: 1 }], { service: 'b', port: 1 }, false],
    // Inverted and logical rules of a set take part as a whole.
    [{}, [{ port: 1, invert: true }], { port: 2 }, true],
    [{ port: 1 }, [{ port: 2, invert: true }], { port: 3 }, false],
    [{ port: 1 }, [{ port: 2, invert: true }], { port: 1 }, true],
    [
      { port: 1 },
      [{ type: 'logical', mode: 'or', rules: [{ port: 2 }, { domain: 'a.example' }] }],
      { port: 2 },
      false,
    ],
    [
      { port: 1 },
      [{ type: 'logical', mode: 'or', rules: [{ port: 2 }, { domain: 'a.example' }] }],
      { ...to('a.example'), port: 1 },
      true,
    ],
  ];
  test.each(rows)('%j with %j of %j: %j', (rule, set, connection, isMatch) => {
    expect(matches({ ...rule, rule_set: 'a' }, connection, { a: set })).toBe(isMatch);
    // All of it is inverted, not the conditions.
    expect(matches({ ...rule, rule_set: 'a', invert: true }, connection, { a: set })).toBe(!isMatch);
  });

  test('any of several', () => {
    const sets = { a: [{ port: 1 }], b: [{ port: 2 }] };
    expect(matches({ rule_set: ['a', 'b'] }, { port: 2 }, sets)).toBe(true);
    expect(matches({ rule_set: ['a', 'b'] }, { port: 3 }, sets)).toBe(false);
  });
});

describe('the first that matches', () => {
  const rules = [{ port: 1 }, { port: 2 }, {}, { port: 2 }];
  test.each([
    [1, 0],
    [2, 1],
    [3, 2],
  ])('port %i: rule %i', (port, rule) => {
    expect(answer(rules, { port })).toEqual({ rule, need: 0, external: '' });
  });

  test('none', () => {
    expect(answer([{ port: 1 }], { port: 2 })).toEqual({ rule: -1, need: 0, external: '' });
  });
});

describe('what has to be looked up', () => {
  const URL_A = 'https://a.example/';
  const process = { name: 'curl', path: '/usr/bin/curl', userId: 1_000 };
  const asksFor = (rule: object, connection: Partial<InterpretedConnection> = {}, sets = {}) => {
    const { need, external } = answer(rule, connection, sets);
    return [need, external];
  };

  test('is asked for where nothing cheaper decides', () => {
    expect(asksFor({ process_name: 'curl' })).toEqual([NEED_PROCESS, '']);
    expect(asksFor({ user_id: 0, external: URL_A })).toEqual([NEED_PROCESS, '']);
    expect(asksFor({ external: URL_A })).toEqual([NEED_EXTERNAL, URL_A]);
    expect(asksFor({ process_path: '/bin/x', invert: true })).toEqual([NEED_PROCESS, '']);
    expect(asksFor({ rule_set: 'a' }, { port: 1 }, { a: [{ port: 1, process_name: 'curl' }] })).toEqual([
      NEED_PROCESS,
      '',
    ]);
  });

  test('is not asked for where something cheaper decides', () => {
    expect(answer({ process_name: 'curl', port: 2 }, { port: 1 })).toEqual({
      rule: -1,
      need: 0,
      external: '',
    });
    expect(answer({ external: URL_A, process_name: 'wget' }, { process }).rule).toBe(-1);
    const either = { type: 'logical', mode: 'or', rules: [{ process_name: 'curl' }, { port: 1 }] };
    expect(answer(either, { port: 1 })).toEqual({ rule: 0, need: 0, external: '' });
    const set = { a: [{ process_name: 'curl' }, { port: 1 }] };
    expect(answer({ rule_set: 'a' }, { port: 1 }, set)).toEqual({ rule: 0, need: 0, external: '' });
  });

  test('asks for what is still open, not for what a decided part has missed', () => {
    const rule = {
      type: 'logical',
      mode: 'or',
      rules: [
        { type: 'logical', mode: 'and', rules: [{ process_name: 'curl' }, { port: 2 }] },
        { external: URL_A },
      ],
    };
    expect(asksFor(rule, { port: 1 })).toEqual([NEED_EXTERNAL, URL_A]);
  });

  test('decides once it is known, also in vain', () => {
    expect(matches({ process_name: ['wget', 'curl'] }, { process })).toBe(true);
    expect(matches({ process_path: '/usr/bin/wget' }, { process })).toBe(false);
    expect(matches({ user_id: [0, 1_000] }, { process })).toBe(true);
    expect(matches({ user_id: 0 }, { process: { name: '', path: '', userId: -1 } })).toBe(false);
    expect(matches({ external: URL_A }, { externals: new Map([[URL_A, true]]) })).toBe(true);
    expect(matches({ external: URL_A }, { externals: new Map([[URL_A, false]]) })).toBe(false);
  });

  test('goes on at the rule that asked', () => {
    const rules = rulesOf([
      { port: 1, action: 'reject' },
      { process_name: 'curl', action: 'reject' },
    ]);
    const asked = interpret(rules, new Map(), { ...NOTHING, port: 1 }, beyond, 1);
    expect(asked).toEqual({ rule: 1, need: NEED_PROCESS, external: '' });
  });
});
