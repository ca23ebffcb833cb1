// Everything that can be written wrong in a rule, one mistake each: where it is told, and in which words. Through the
// check of a whole file, which puts lines to it; what a file is told the API is told as well (check-rules.test.ts).

import { describe, expect, test } from 'vitest';
import { checkConfiguration } from '../../config/check.ts';
import type { Mistake } from '../../config/mistakes.ts';
import { checkFileRules } from './check-rules.ts';

const HEAD = `inbounds: [{ tag: socks, type: socks5, listen: 127.0.0.1:1080 }]
outbounds: [{ tag: direct, type: direct }, { tag: proxy, type: socks5, server: 192.0.2.1:1080 }]
rule_sets: [{ tag: ads, path: ads.json }]
rules:`;

function check(text: string): { mistakes: readonly Mistake[]; warnings: readonly Mistake[] } {
  const { mistakes, warnings } = checkConfiguration(text, 'edge.yaml', checkFileRules);
  return { mistakes, warnings: warnings.filter(({ path }) => path.startsWith('rules')) };
}

/** Rule (in line 5, `- ` before it), column, path below `rules[0]`, part of the message, nearest. */
type Row = readonly [rule: string, column: number, path: string, message: string, nearest?: string];

function table(rows: readonly Row[]): void {
  test.each(rows)('%s', (rule, column, path, message, nearest) => {
    const { mistakes } = check(`${HEAD}\n- ${rule}\n`);
    expect(mistakes.map(({ message: one }) => one).join('\n')).toContain(message);
    expect(mistakes.map((one) => `${one.line}:${one.column} ${one.path}`)).toEqual([
      `5:${column} rules[0]${path}`,
    ]);
    expect(mistakes[0]?.nearest).toBe(nearest);
  });
}

describe('the shape', () => {
  table([
    ['{ domian: a.example, action: reject }', 5, '.domian', 'unknown key "domian"', 'domain'],
    ['{ domain: 5, action: reject }', 13, '.domain', 'expected a string or a list of strings'],
    ['{ domain: [], action: reject }', 13, '.domain', 'an empty list'],
    ['{ domain: [a.example, 5], action: reject }', 25, '.domain[1]', 'expected a string'],
    ['{ port: "80", action: reject }', 11, '.port', 'expected a number or a list of numbers'],
    ['{ port: 65536, action: reject }', 11, '.port', 'expected a whole number from 0 to 65535'],
    ['{ port: [80, -1], action: reject }', 16, '.port[1]', 'a whole number from 0 to 65535'],
    ['{ asn: 0, action: reject }', 10, '.asn', 'expected a whole number from 1'],
    ['{ invert: yes, port: 1, action: reject }', 13, '.invert', 'expected true or false'],
    ['{ port: 1, action: rejct }', 22, '.action', 'found "rejct"', 'reject'],
    [
      '{ port: 1, action: reject, method: rest }',
      38,
      '.method',
      'expected one of reply, reset, fin, drop',
      'reset',
    ],
    ['{ port: 1, outbound: direct, on_timeout: wait }', 44, '.on_timeout', 'one of skip, reject, allow'],
    [
      '{ type: logicl, mode: or, rules: [{ port: 1 }], action: reject }',
      11,
      '.type',
      'found "logicl"',
      'logical',
    ],
    ['{ port: 1, action: limit, gate: { burst: 5 } }', 35, '.gate', 'lacks "rate"'],
    ['5', 3, '', 'found 5'],
  ]);
});

describe('names', () => {
  const form = (key: string, value: string, column: number, message: string, nearest?: string): Row => [
    `{ ${key}: ${value}, action: reject }`,
    column,
    `.${key}`,
    message,
    ...(nearest === undefined ? ([] as const) : ([nearest] as const)),
  ];
  table([
    form('domain', '""', 13, 'is empty'),
    form('domain', '"*.example.com"', 13, 'has a wildcard; its key is `domain_suffix`', '.example.com'),
    form('domain', '.example.com', 13, 'its key is `domain_suffix`', '.example.com'),
    form('domain', '192.0.2.1', 13, 'is an address; its key is `ip_cidr`'),
    form('domain', '"2001:db8::1"', 13, 'is an address; its key is `ip_cidr`'),
    form('domain', '"[2001:db8::1]"', 13, 'is an address; its key is `ip_cidr`'),
    form('domain', '"127.1"', 13, 'ends in a number'),
    form('domain', 'a..example', 13, 'is not a name'),
    form('domain', 'example.com..', 13, 'is not a name'),
    form('domain', '-a.example', 13, 'is not a name'),
    form('domain', '"a.example:80"', 13, 'is not a name'),
    form('domain', '"https://a.example/"', 13, 'is not a name'),
    form('domain', `${'a'.repeat(64)}.example`, 13, 'is not a name'),
    form('domain', `${'a.'.repeat(127)}example`, 13, 'is not a name'),
    form('domain', '"xn--a b.example"', 13, 'is not a name'),
    form('domain', '"b\u00fccher .example"', 13, 'is not a name'),
    form('domain_suffix', '"*.example.com"', 20, 'has a wildcard', '.example.com'),
    form('domain_suffix', '"."', 20, 'is empty'),
    form('domain_suffix', '..example.com', 20, 'is not a name'),
    form('domain_keyword', '""', 21, 'occurs in no name'),
    form('domain_keyword', '"a b"', 21, 'occurs in no name'),
    form('domain_keyword', '"b\u00fccher"', 21, 'occurs in no name'),
    form('domain_keyword', 'x'.repeat(254), 21, 'is longer than any name'),
    form('domain_regex', '"a(b"', 19, 'is wrong at character'),
    form('domain_regex', '"(a)\\\\1"', 19, 'is wrong at character'),
    form('domain_regex', '"(?=a)b"', 19, 'is wrong at character'),
    form('domain_regex', '"(a{1000}){1000}"', 19, 'is wrong at character'),
    form('user', '""', 11, 'is empty'),
    form('process_name', '/usr/bin/curl', 19, 'is a path; its key is `process_path`'),
    form('process_path', 'curl', 19, 'does not begin with /'),
  ]);
});

describe('addresses and places', () => {
  table([
    ['{ ip_cidr: 10.0.0.1/8, action: reject }', 14, '.ip_cidr', 'has bits after its prefix', '10.0.0.0/8'],
    ['{ ip_cidr: 10.0.0.0/33, action: reject }', 14, '.ip_cidr', 'a prefix length outside 0 to 32'],
    ['{ ip_cidr: [10.0.0.0/8, 10.0.0], action: reject }', 27, '.ip_cidr[1]', 'plain form'],
    ['{ ip_cidr: example.com, action: reject }', 14, '.ip_cidr', 'is not a network'],
    [
      '{ source_ip_cidr: "2001:db8::1/64", action: reject }',
      21,
      '.source_ip_cidr',
      'bits after',
      '2001:db8::/64',
    ],
    ['{ source_ip_cidr: 010.0.0.1, action: reject }', 21, '.source_ip_cidr', 'plain form'],
    ['{ ip_is_private: false, action: reject }', 20, '.ip_is_private', 'false is no condition'],
    ['{ source_ip_is_private: false, action: reject }', 27, '.source_ip_is_private', 'false is no condition'],
    ['{ ip_version: 5, action: reject }', 17, '.ip_version', 'found 5, expected 4 or 6'],
    ['{ geoip: DEU, action: reject }', 12, '.geoip', 'is no country'],
    ['{ geoip: DE, action: reject }', 5, '.geoip', 'needs an mmdb file at `geo.country`'],
    ['{ source_geoip: [private, DE], action: reject }', 5, '.source_geoip', 'needs an mmdb file'],
    ['{ asn: 64496, action: reject }', 5, '.asn', 'needs an mmdb file at `geo.asn`'],
  ]);
});

describe('ranges, times, words', () => {
  table([
    ['{ port_range: 1000-2000, action: reject }', 17, '.port_range', 'is not a range of ports', '1000:2000'],
    ['{ port_range: "2000:1000", action: reject }', 17, '.port_range', 'ends before it begins', '1000:2000'],
    ['{ port_range: ":70000", action: reject }', 17, '.port_range', 'a port above 65535'],
    ['{ port_range: ":", action: reject }', 17, '.port_range', 'is not a range of ports'],
    ['{ source_port_range: ["1:2", "x:"], action: reject }', 32, '.source_port_range[1]', 'is not a range'],
    ['{ time: monday, action: reject }', 11, '.time', 'has a wrong day', 'mon'],
    ['{ time: "mon-fri 8:00-18:00", action: reject }', 11, '.time', 'has wrong hours'],
    ['{ time: "08:00-24:01", action: reject }', 11, '.time', 'has wrong hours'],
    ['{ time: "08:60-10:00", action: reject }', 11, '.time', 'has wrong hours'],
    ['{ time: "08:00-08:00", action: reject }', 11, '.time', 'begins when it ends'],
    ['{ time: "08:00-10:00 mon", action: reject }', 11, '.time', 'no days before', 'mon 08:00-10:00'],
    ['{ time: "mon 08:00-10:00 cet", action: reject }', 11, '.time', 'more than two parts'],
    ['{ time: "", action: reject }', 11, '.time', 'has wrong hours'],
    ['{ network: tpc, action: reject }', 14, '.network', 'expected one of tcp, udp', 'tcp'],
    [
      '{ protocol: [tls, htp], action: reject }',
      21,
      '.protocol[1]',
      'one of tls, http, quic, ssh, dns',
      'http',
    ],
    ['{ protocol: unknown, action: reject }', 15, '.protocol', 'is not known'],
    ['{ device: knwon, action: reject }', 13, '.device', 'known, new, on_grace, denied', 'known'],
    ['{ external: "ftp://a.example", action: reject }', 15, '.external', 'expected an http(s) address'],
    ['{ external: "https://u:s3cret@a.example", action: reject }', 15, '.external', 'user name'],
  ]);

  test('an address with a password is not repeated', () => {
    const { mistakes } = check(`${HEAD}\n- { external: "https://u:s3cret@a.example", action: reject }`);
    expect(JSON.stringify(mistakes)).not.toContain('s3cret');
  });
});

describe('what refers to others', () => {
  table([
    ['{ rule_set: [adz], action: reject }', 16, '.rule_set[0]', 'rule_set "adz" is not defined', 'ads'],
    ['{ inbound: sock, action: reject }', 14, '.inbound', 'inbound "sock" is not defined', 'socks'],
    ['{ port: 1, outbound: proxi }', 24, '.outbound', 'outbound "proxi" is not defined', 'proxy'],
  ]);

  test('an id twice', () => {
    const { mistakes } = check(
      `${HEAD}\n- { id: a, port: 1, action: reject }\n- { id: a, port: 2, action: reject }`,
    );
    expect(mistakes.map(({ line, path, message }) => [line, path, message])).toEqual([
      [6, 'rules[1].id', 'id "a" is already used at rules[0]'],
    ]);
  });

  test('an id that stands for something else', () => {
    const { mistakes } = check(`${HEAD}\n- { id: final, port: 1, action: reject }`);
    expect(mistakes.map(({ path, message }) => [path, message])).toEqual([
      ['rules[0].id', 'id "final" stands for the connections that no rule decides'],
    ]);
  });
});

describe('actions', () => {
  table([
    ['{ port: 1 }', 3, '', 'says nothing to do'],
    ['{ port: 1, method: drop }', 3, '', 'says nothing to do'],
    ['{ port: 1, outbound: direct, method: drop }', 32, '.method', '"method" belongs to `action: reject`'],
    [
      '{ port: 1, action: reject, outbound: direct }',
      30,
      '.outbound',
      '"outbound" belongs to `action: route`',
    ],
    ['{ port: 1, action: resolve, override_port: 5 }', 31, '.override_port', 'belongs to `action: route`'],
    ['{ action: sniff, gate: { rate: 5/s } }', 20, '.gate', '"gate" belongs to `action: limit`'],
    ['{ action: reject, sniffer: tls }', 21, '.sniffer', '"sniffer" belongs to `action: sniff`'],
    ['{ port: 1, action: limit }', 3, '', 'says no limit'],
    ['{ port: 1, action: limit, gate: { rate: 5 } }', 43, '.gate.rate', 'expected a rate of events'],
    ['{ port: 1, action: limit, gate: { rate: 5/x } }', 43, '.gate.rate', 'is not a rate of events'],
    ['{ port: 1, action: limit, rate: { up: 5mb } }', 41, '.rate.up', 'expected a data rate'],
    ['{ action: sniff, sniffer: [tls, smtp] }', 35, '.sniffer[1]', 'is not known'],
    ['{ action: sniff, timeout: 1m }', 29, '.timeout', 'above the most allowed, 30s'],
    ['{ action: sniff, timeout: 300 }', 29, '.timeout', 'expected a duration'],
    ['{ port: 1, override_address: "10.0.0.1:80" }', 32, '.override_address', 'without a port'],
    ['{ port: 1, override_address: "a b" }', 32, '.override_address', 'is not a name'],
    ['{ port: 1, override_port: 0 }', 29, '.override_port', 'from 1 to 65535'],
    ['{ invert: true, action: reject }', 3, '', 'has `invert` and no condition'],
  ]);
});

describe('logical rules', () => {
  table([
    ['{ type: logical, rules: [{ port: 1 }], action: reject }', 3, '', 'lacks "mode"'],
    ['{ type: logical, mode: or, action: reject }', 3, '', 'lacks "rules"'],
    ['{ type: logical, mode: or, rules: [], action: reject }', 37, '.rules', 'an empty list'],
    ['{ type: logical, mode: or, rules: [{}], action: reject }', 38, '.rules[0]', 'has no condition'],
    ['{ mode: or, port: 1, action: reject }', 5, '.mode', '"mode" belongs to `type: logical`'],
    ['{ rules: [{ port: 1 }], action: reject }', 5, '.rules', '"rules" belongs to `type: logical`'],
    [
      '{ type: logical, mode: or, port: 1, rules: [{ port: 1 }], action: reject }',
      30,
      '.port',
      '"port" stands beside `rules`',
    ],
    [
      '{ type: logical, mode: or, rules: [{ port: 1, outbound: direct }], action: reject }',
      49,
      '.rules[0].outbound',
      '"outbound" belongs to the whole rule',
    ],
    [
      '{ type: logical, mode: or, rules: [{ port: 1, prot: 5 }], action: reject }',
      49,
      '.rules[0].prot',
      'unknown key "prot"',
      'port',
    ],
    [
      '{ type: logical, mode: and, rules: [{ inbound: sock }], action: reject }',
      50,
      '.rules[0].inbound',
      'inbound "sock" is not defined',
      'socks',
    ],
  ]);

  test('nesting has a bound', () => {
    const nested = (depth: number): string =>
      depth === 0 ? '{ port: 1 }' : `{ type: logical, mode: or, rules: [${nested(depth - 1)}] }`;
    const rule = (depth: number) => `${HEAD}\n- ${nested(depth).replace(/ }$/, ', action: reject }')}`;
    expect(check(rule(8)).mistakes).toEqual([]);
    expect(check(rule(9)).mistakes.map(({ message }) => message)).toEqual(['is nested more than 8 deep']);
  });
});

test('all mistakes of all rules are told at once, in the order of the file', () => {
  const { mistakes } = check(`${HEAD}
- { domain: "*.a.example", ip_cidr: 10.0.0.1/8 }
- { port: 1, outbond: direct }
- { type: logical, mode: or, rules: [{ prot: 5 }], action: reject }
- { type: logical, mode: nor, rules: [{ time: someday }, { port_range: x }], outbound: dirct }
`);
  expect(mistakes.map(({ line, path }) => `${line} ${path}`)).toEqual([
    '5 rules[0]',
    '5 rules[0].domain',
    '5 rules[0].ip_cidr',
    '6 rules[1].outbond',
    '7 rules[2].rules[0].prot',
    '8 rules[3].mode',
    '8 rules[3].rules[0].time',
    '8 rules[3].rules[1].port_range',
    '8 rules[3].outbound',
  ]);
});

test('rules that are right are told nothing', () => {
  const text = `${HEAD}
- { action: sniff }
- { domain: [A.Example, "b\u00fccher.example."], domain_suffix: [.cn, example], domain_keyword: Ads, domain_regex: "^a+$" }
- { rule_set: ads, source_geoip: private, action: reject, method: drop }
- { external: "https://judge.example/?q=1", timeout: 2s, on_timeout: allow, outbound: proxy }
- { protocol: ssh, time: ["sat,sun", "mon-fri 22:00-06:00"], override_port: 22 }
- { port_range: [":80", "8000:"], source_port: 5, override_address: b.example }
`;
  const { mistakes, warnings } = check(text.replace('- { domain:', '- { outbound: direct, domain:'));
  expect([...mistakes, ...warnings]).toEqual([]);
});

describe('a mistake in each of a hundred thousand lines', () => {
  const manyRules = (rule: (index: number) => object, count: number) =>
    JSON.stringify({
      inbounds: [{ tag: 'socks', type: 'socks5', listen: '127.0.0.1:1080' }],
      rules: Array.from({ length: count }, (_, index) => rule(index)),
    });
  test.each([
    [
      'that a rule lists',
      manyRules(() => ({ domain: Array(150_000).fill('*.x'), action: 'reject' }), 1),
      149_000,
    ],
    ['in what rules refer to', manyRules(() => ({ port: 1, outbound: 'nope' }), 100_000), 99_001],
    [
      'in the shape of a key that is one of two things',
      manyRules(() => ({ port: 'x', action: 'reject' }), 20_000),
      19_000,
    ],
  ])('%s', (_, text, untold) => {
    const { mistakes } = checkConfiguration(text, 'edge.json', checkFileRules);
    expect(mistakes.at(-1)?.message).toBe(`and ${untold} more mistakes that are not told`);
  });
});
