import { deflateSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { RuleSetFormat } from '../../layout/compiler-messages.ts';
import { NETWORK_TCP } from '../../layout/rules.ts';
import { type Items, NO_ITEMS } from '../rule.ts';
import { guessFormat, readRuleSet } from './read.ts';
import { uvarint, wrapped, writeSrs } from './srs-writer.fixture.ts';

function read(format: RuleSetFormat, text: string | Buffer) {
  return readRuleSet('set', format, typeof text === 'string' ? Buffer.from(text) : text);
}

function source(...rules: unknown[]) {
  return read('source', JSON.stringify({ version: 3, rules }));
}

/** What is told: place, and what it says. */
function told(format: RuleSetFormat, text: string | Buffer): string[] {
  return read(format, text).mistakes.map(({ line, column, path, found, expected, message }) => {
    const place = line === undefined ? '' : `${line}:${column} `;
    return `${place}${path.join('.')}: ${message ?? `${found}, expected ${expected}`}`;
  });
}

const network = (last: number, bits: number) => ({ words: [0, 0, 0xffff, last], bits });

describe('source format', () => {
  it('reads every item that a connection can be judged by', () => {
    const { rules, mistakes, warnings } = source({
      network: 'tcp',
      domain: ['WWW.Example.com.', 'bücher.example'],
      domain_suffix: ['.cn', 'example.org'],
      domain_keyword: 'Ads',
      domain_regex: ['^stun\\..+'],
      source_ip_cidr: '10.1.2.3/8',
      ip_cidr: ['192.0.2.1', '2001:db8::1/32', '::ffff:10.0.0.0/104'],
      source_port: 12345,
      source_port_range: [':3000'],
      port: [80, 443],
      port_range: ['1000:2000', '4000:'],
      process_name: ['curl'],
      process_path: '/usr/bin/curl',
      invert: true,
    });
    expect([mistakes, warnings]).toEqual([[], []]);
    expect(rules.rules).toEqual([
      {
        ...NO_ITEMS,
        invert: true,
        network: [NETWORK_TCP],
        domain: ['www.example.com', 'xn--bcher-kva.example'],
        domainSuffix: [
          { name: 'cn', isBelow: true },
          { name: 'example.org', isBelow: false },
        ],
        domainKeyword: ['ads'],
        domainRegex: ['^stun\\..+'],
        sourceIpCidr: [network(0x0a000000, 104)],
        ipCidr: [
          network(0xc0000201 | 0, 128),
          { words: [0x20010db8, 0, 0, 0], bits: 32 },
          network(0x0a000000, 104),
        ],
        sourcePort: [
          { from: 12345, to: 12345 },
          { from: 0, to: 3000 },
        ],
        port: [
          { from: 80, to: 80 },
          { from: 443, to: 443 },
          { from: 1000, to: 2000 },
          { from: 4000, to: 65535 },
        ],
        processName: ['curl'],
        processPath: ['/usr/bin/curl'],
      },
    ]);
  });

  it('tries expressions out', () => {
    const [mistake, ...others] = source({ domain_regex: ['^ok$', '^(?=ad)'] }).mistakes;
    expect(others).toEqual([]);
    expect(mistake).toMatchObject({ path: ['rules', 0, 'domain_regex', 1], line: 1 });
    expect(mistake?.message).toMatch(
      /^"\^\(\?=ad\)" is no expression that is judged here: .* at character \d+$/,
    );
    expect(source({ domain_regex: '(' }).mistakes[0]?.path).toEqual(['rules', 0, 'domain_regex']);
  });

  it('takes versions 1 to 4, comments and a byte order mark', () => {
    for (const version of [1, 2, 3, 4]) {
      const text = `\ufeff{ // what it is\n "version": ${version}, /* here */ "rules": [{"domain": "a.example//b"}, {"port": 1}] }`;
      expect(told('source', text.replace('//b', ''))).toEqual([]);
    }
    expect(told('source', '{"version": 5, "rules": []}')).toEqual([
      '1:13 version: 5, expected a version from 1 to 4',
    ]);
    expect(told('source', '{"rules": []}')).toEqual(['1:1 version: nothing, expected a version from 1 to 4']);
  });

  it('says of every mistake where it stands and what may stand there', () => {
    const text = `{
  "version": 2,
  "rules": [
    { "domian": "example.com" },
    { "domain": ["ok.example", "not a name"],
      "port": 70000 },
    { "ip_cidr": "10.0.0.0/33", "port_range": "20:10" },
    { "type": "logical", "mode": "xor", "rules": [] },
    { "invert": true },
    7,
    { "network": ["tcp", "sctp"], "domain_keyword": "" }
  ],
  "extra": 1
}`;
    expect(told('source', text)).toEqual([
      '13:3 extra: unknown key "extra"',
      '4:7 rules.0.domian: unknown key "domian"',
      '5:32 rules.1.domain.1: "not a name", expected a domain name such as www.example.com',
      '6:15 rules.1.port: 70000, expected a port, 0 to 65535',
      '7:18 rules.2.ip_cidr: "10.0.0.0/33", expected a network such as 10.0.0.0/8 or 2001:db8::/32, or an address',
      '7:47 rules.2.port_range: "20:10", expected ports from:to such as 1000:2000, :3000 or 4000:, from not above to',
      '8:34 rules.3.mode: "xor", expected "and" or "or"',
      '9:5 rules.4: no conditions, expected at least one item',
      '10:5 rules.5: 7, expected a headless rule, a mapping',
      '11:26 rules.6.network.1: "sctp", expected "tcp" or "udp"',
      '11:53 rules.6.domain_keyword: "", expected a part of a domain name, of at most 253 characters',
    ]);
    expect(source({ domian: 'x' }).mistakes[0]?.nearest).toBe('domain');
  });

  it('says where text stops to be JSON', () => {
    expect(told('source', '{\n  "version": 1,\n  "rules": [ {"domain": "x" ]\n}')[0]).toMatch(/^3:/);
    expect(told('source', '')).toHaveLength(1);
    expect(told('source', '[]')).toHaveLength(1);
    expect(told('source', '{"version":1,"rules":[{"domain":"a","domain":"b"}]}')[0]).toMatch(/given before/);
    const large = `{"version": 1, "rules": [{"domain": [${'"a.example",\n'.repeat(100_000)} oops]}]}`;
    expect(told('source', large)).toEqual(['100001:2 : this is not valid JSON']);
  });

  it('leaves rules out that ask about telephones, and says how many', () => {
    const { rules, warnings, mistakes } = source(
      { domain: 'a.example', wifi_ssid: 'Home' },
      { package_name: ['com.example'] },
      { wifi_ssid: 'Office', invert: true },
      { domain: 'b.example', network_is_expensive: false },
      { type: 'logical', mode: 'or', rules: [{ domain: 'c.example' }, { network_type: 'wifi' }] },
      { type: 'logical', mode: 'and', rules: [{ domain: 'd.example' }, { network_type: 'wifi' }] },
      { type: 'logical', mode: 'or', invert: true, rules: [{ domain: 'e.example' }, { query_type: 'A' }] },
    );
    expect(mistakes).toEqual([]);
    expect(rules.rules).toHaveLength(2);
    expect((rules.rules[0] as Items).domain).toEqual(['b.example']);
    expect(rules.rules[1]).toMatchObject({ mode: 'or', rules: [{ domain: ['c.example'] }] });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatchObject({ fileName: 'set', line: 1, path: ['rules', 0] });
    expect(warnings[0]?.message).toBe(
      '6 rules are left out for items that Sluice cannot judge: `wifi_ssid` 2, `package_name` 1, `network_type` 2, `query_type` 1',
    );
  });

  it('bounds how deep rules nest and how many mistakes it tells', () => {
    let rule: unknown = { port: 1 };
    for (let depth = 0; depth < 9; depth++) rule = { type: 'logical', mode: 'and', rules: [rule] };
    expect(source(rule).mistakes[0]?.expected).toMatch(/nested at most 8/);
    const { mistakes } = source({ port: Array.from({ length: 250 }, () => -1) });
    expect(mistakes).toHaveLength(101);
    expect(mistakes[100]?.message).toBe('and 150 more mistakes, which are not told');
  });

  it('reads 100,000 domains in well under a second', () => {
    const domain = Array.from({ length: 100_000 }, (_, index) => `host-${index}.some.example.com`);
    const bytes = Buffer.from(JSON.stringify({ version: 1, rules: [{ domain }] }, undefined, 2));
    const start = performance.now();
    const { rules, mistakes } = readRuleSet('set', 'source', bytes);
    const durationMs = performance.now() - start;
    expect(mistakes).toEqual([]);
    expect((rules.rules[0] as Items).domain).toHaveLength(100_000);
    // About 60 ms; a machine that is shared may take longer.
    expect(durationMs).toBeLessThan(1_000);
  });
});

describe('binary format', () => {
  it('leaves out what it cannot judge, as in the source', () => {
    const { rules, warnings, mistakes } = read(
      'binary',
      writeSrs(
        [
          { domain: ['a.example'], query_type: [1] },
          { wifi_bssid: ['00:00:00:00:00:00'] },
          { network_type: ['wifi'], network_is_expensive: true, network_is_constrained: true },
          { network_interface_address: {}, default_interface_address: [] },
          { process_path_regex: ['^/usr/'], domain: ['b.example'] },
          { domain: ['c.example'] },
        ],
        4,
      ),
    );
    expect(mistakes).toEqual([]);
    expect(rules.rules).toEqual([{ ...NO_ITEMS, domain: ['c.example'] }]);
    expect(warnings[0]?.message).toMatch(/^5 rules are left out/);
  });

  it('puts the two keys together that version 1 wrote for a suffix', () => {
    const { rules } = read(
      'binary',
      writeSrs([{ domain_suffix: ['example.com', '.org'], domain: ['x.net'] }], 1),
    );
    expect(rules.rules).toEqual([
      {
        ...NO_ITEMS,
        domain: ['x.net'],
        domainSuffix: expect.arrayContaining([
          { name: 'example.com', isBelow: false },
          { name: 'org', isBelow: true },
        ]),
      },
    ]);
    expect((rules.rules[0] as Items).domainSuffix).toHaveLength(2);
  });

  it('takes names of other scripts, which are turned round by characters', () => {
    const { rules } = read('binary', writeSrs([{ domain: ['bücher.example'], domain_suffix: ['例え.jp'] }]));
    expect(rules.rules).toMatchObject([
      { domain: ['xn--bcher-kva.example'], domainSuffix: [{ name: 'xn--r8jz45g.jp' }] },
    ]);
  });

  it('makes networks of ranges', () => {
    const ranges = ['10.0.0.1-10.0.0.6', '0.0.0.0-255.255.255.255', '2001:db8::1-2001:db8::4', '::-ffff::'];
    const { rules } = read(
      'binary',
      writeSrs([{ ip_cidr: ranges.slice(0, 3) }, { ip_cidr: ranges.slice(3) }]),
    );
    expect((rules.rules[0] as Items).ipCidr).toEqual([
      network(0x0a000001, 128),
      network(0x0a000002, 127),
      network(0x0a000004, 127),
      network(0x0a000006, 128),
      network(0, 96),
      { words: [0x20010db8, 0, 0, 1], bits: 128 },
      { words: [0x20010db8, 0, 0, 2], bits: 127 },
      { words: [0x20010db8, 0, 0, 4], bits: 128 },
    ]);
    expect((rules.rules[1] as Items).ipCidr.at(-1)).toEqual({ words: [-0x10000, 0, 0, 0], bits: 128 });
    expect((rules.rules[1] as Items).ipCidr).toHaveLength(17);
  });

  it('translates the patterns of AdGuard', () => {
    const patterns = [
      '||ads.example^',
      '|www.example^',
      'tracker',
      '||cdn*.example^',
      'stat.example^',
      '|promo',
    ];
    const { rules, mistakes } = read('binary', writeSrs([{ adguard_domain: patterns }]));
    expect(mistakes).toEqual([]);
    const items = rules.rules[0] as Items;
    expect(items.domainSuffix).toEqual([{ name: 'ads.example', isBelow: false }]);
    expect(items.domain).toEqual(['www.example']);
    expect(items.domainKeyword).toEqual(['tracker']);
    expect(new Set(items.domainRegex)).toEqual(
      new Set(['(?:^|\\.)cdn.*\\.example$', 'stat\\.example$', '^promo']),
    );
  });

  it('says of each kind of garbled file what is wrong with it', () => {
    const good = writeSrs([{ domain: ['a.example'] }]);
    const rules = (...bytes: (number | Buffer)[]) =>
      wrapped(Buffer.concat(bytes.map((one) => (typeof one === 'number' ? Buffer.from([one]) : one))));
    const cases: [Buffer, RegExp][] = [
      [Buffer.alloc(0), /does not begin with SRS/],
      [Buffer.from('SRS'), /ends before its version/],
      [Buffer.from([0x53, 0x52, 0x53, 5, 0]), /of version 5; versions 1 to 4 are known/],
      [good.subarray(0, -6), /is cut short/],
      [Buffer.concat([good.subarray(0, 4), Buffer.from('plain')]), /is not zlib/],
      [rules(1, 7), /announced|kind 7/],
      [rules(1, 7, 0, 0), /a rule of kind 7/],
      [rules(1, 0, 99, 0), /an item of kind 99/],
      [rules(1, 1, 9, 0, 0), /mode 9/],
      [rules(1, 0, 0xff, 2), /2 where only 0 and 1/],
      [rules(1, 0, 0xff, 0, 5), /1 bytes behind the last rule/],
      [rules(1, 0, 9, uvarint(2 ** 40), 0xff, 0), /announced/],
      [rules(1, 0, 9, Buffer.alloc(9, 0xff), 0, 0), /too many bytes|beyond all bounds/],
      [rules(1, 0, 6, 1, Buffer.alloc(7), 1, 3, 1, 2, 3, 3, 1, 2, 3, 0xff, 0), /an address of 3 bytes/],
      [rules(1, 0, 2, 0, 1, Buffer.alloc(8), 1, Buffer.alloc(8), 2, 0x61, 0x62, 0xff, 0), /no tree|branches/],
      [rules(uvarint(300_000), Buffer.alloc(900_000)), /more than 262144 rules/],
      [
        rules(...Array.from({ length: 10 }, () => [1, 1, 0]).flat(), 1, 0, 0xff, 0, ...Buffer.alloc(10)),
        /deeper than 8/,
      ],
    ];
    for (const [bytes, message] of cases) {
      const { mistakes, rules: none } = read('binary', bytes);
      expect(mistakes).toHaveLength(1);
      expect(mistakes[0]?.message).toMatch(message);
      expect(mistakes[0]?.fileName).toBe('set');
      expect(none.rules).toEqual([]);
    }
  });

  it('inflates no further than its bound', () => {
    const bomb = Buffer.concat([
      Buffer.from([0x53, 0x52, 0x53, 3]),
      deflateSync(Buffer.alloc(257 * 1024 * 1024)),
    ]);
    expect(bomb.length).toBeLessThan(400_000);
    expect(told('binary', bomb)[0]).toMatch(/larger than 268435456 bytes/);
  });

  it('complains about names that are none, in a set whose bytes are right', () => {
    expect(told('binary', writeSrs([{ port: [1] }, { domain: ['not a name'] }]))).toEqual([
      'rules.1.domain.0: "not a name", expected a domain name such as www.example.com',
    ]);
  });
});

describe('plain lists', () => {
  it('reads domains in the forms that lists have', () => {
    const text =
      '\ufeff# names\r\nexample.com\r\n\r\n .Sub.example.org # below\n*.wild.example\n+.both.example\n||ads.example^\n' +
      '! adblock\n[Adblock Plus]\n0.0.0.0 bad.example worse.example\n127.0.0.1 localhost\n:: six.example\n' +
      'full:one.example\ndomain:all.example\nпример.рф';
    const { rules, mistakes } = read('domains', text);
    expect(mistakes).toEqual([]);
    expect(rules.rules).toEqual([
      {
        ...NO_ITEMS,
        domain: [
          'example.com',
          'bad.example',
          'worse.example',
          'six.example',
          'one.example',
          'xn--e1afmkfd.xn--p1ai',
        ],
        domainSuffix: [
          { name: 'sub.example.org', isBelow: true },
          { name: 'wild.example', isBelow: true },
          { name: 'both.example', isBelow: false },
          { name: 'ads.example', isBelow: false },
          { name: 'all.example', isBelow: false },
        ],
      },
    ]);
  });

  it('tells the line and column of what is none', () => {
    const text =
      'ok.example\n  https://www.example.com/\n192.0.2.1\n@@||ok.example^\n||x.example^$third-party\na.example b.example\nx##.ad\n';
    const forms = 'a domain such as example.com, .example.com or ||example.com^';
    expect(told('domains', text)).toEqual([
      `2:3 : "https://www.example.com/", expected ${forms}`,
      '3:1 : "192.0.2.1", expected a domain; an address belongs in a list of networks',
      `4:1 : "@@||ok.example^", expected ${forms}`,
      `5:1 : "||x.example^$third-party", expected ${forms}`,
      '6:1 : "a.example b.example", expected one domain, or 0.0.0.0 and domains',
      `7:1 : "x##.ad", expected ${forms}`,
    ]);
    const many = told('domains', 'no good\n'.repeat(1_000));
    expect(many).toHaveLength(101);
    expect(many[100]).toBe(': and 900 more mistakes, which are not told');
  });

  it('reads networks and masks their hosts', () => {
    const { rules, mistakes } = read('networks', '10.1.2.3/8\r\n192.0.2.1 # one\n2001:db8::1/32\n::1\n');
    expect(mistakes).toEqual([]);
    expect((rules.rules[0] as Items).ipCidr).toEqual([
      network(0x0a000000, 104),
      network(0xc0000201 | 0, 128),
      { words: [0x20010db8, 0, 0, 0], bits: 32 },
      { words: [0, 0, 0, 1], bits: 128 },
    ]);
    expect(told('networks', '10.0.0.0/8\nexample.com\n010.0.0.1\n10.0.0.0/08')).toHaveLength(3);
  });

  it('refuses a list without entries, and takes a set that says that it has none', () => {
    for (const format of ['domains', 'networks'] as const) {
      for (const text of ['', '\n', '# nothing\n', '\ufeff']) {
        expect(read(format, text).mistakes[0]?.message, text).toMatch(/^holds no entry/);
      }
    }
    expect(read('domains', '127.0.0.1 localhost\n').mistakes).toHaveLength(1);
    expect(read('source', '{"version": 1}').mistakes).toMatchObject([{ found: 'no `rules`' }]);
    const { mistakes, warnings } = read('source', '{"version": 1, "rules": []}');
    expect(mistakes).toEqual([]);
    expect(warnings[0]?.message).toBe('holds no rule that could match');
  });
});

describe('guessing', () => {
  it('goes by content, then by name', () => {
    const guess = (name: string, text: string) => guessFormat(name, Buffer.from(text));
    expect(guessFormat('list.txt', writeSrs([{ port: [1] }]))).toBe('binary');
    expect(guess('ads', '\n  {"version": 1}')).toBe('source');
    expect(guess('ads.json', '[]')).toBe('source');
    expect(guess('ads.srs', 'x')).toBe('binary');
    expect(guess('cn.txt', '# China\n1.0.1.0/24\n')).toBe('networks');
    expect(guess('cn.txt', '2001:db8::/32')).toBe('networks');
    expect(guess('ads.txt', '0.0.0.0 ads.example')).toBe('domains');
    expect(guess('empty', '')).toBe('domains');
    expect(guess('Country.mmdb', '')).toBe('mmdb');
  });
});

describe('bounds of a set', () => {
  it('refuses patterns of AdGuard in text, and those that become too many expressions', () => {
    const text = JSON.stringify({ version: 3, rules: [{ adguard_domain: ['||a.com^'] }] });
    expect(told('source', text)).toEqual(['1:24 rules.0.adguard_domain: unknown key "adguard_domain"']);
    const letters = [...'abcdefghij'];
    const patterns = letters.flatMap((a) => letters.flatMap((b) => letters.map((c) => `|${a}*${b}*${c}^`)));
    expect(told('binary', writeSrs([{ adguard_domain: ['||a.com^', ...patterns.slice(0, 700)] }]))).toEqual(
      [],
    );
    expect(told('binary', writeSrs([{ adguard_domain: ['||a.com^', ...patterns] }]))).toEqual([
      expect.stringMatching(/^rules\.0\.adguard_domain\.7\d\d: the expressions up to this one may take/),
    ]);
  });

  it('refuses keywords that are longer than any name', () => {
    const { mistakes } = source({ domain_keyword: ['x'.repeat(253), 'x'.repeat(254)] });
    expect(mistakes).toMatchObject([{ path: ['rules', 0, 'domain_keyword', 1], line: 1 }]);
  });

  it('refuses more keywords than an automaton is built of, where they become too many', () => {
    const keywords = (from: number) =>
      Array.from({ length: 5_000 }, (_, i) => `${from + i}`.padStart(150, 'k'));
    expect(source({ domain_keyword: keywords(0) }).mistakes).toEqual([]);
    const rules = [{ domain_keyword: keywords(0) }, { domain: 'a.com' }, { domain_keyword: keywords(5_000) }];
    const { mistakes } = source(...rules, { domain_keyword: 'more' });
    expect(mistakes).toMatchObject([{ path: ['rules', 2, 'domain_keyword'], found: 'more' }]);
    expect(mistakes[0]?.message).toContain('bytes of keywords');
  });

  it('refuses more rules than a set may have, but for those that name destinations only', () => {
    const plain = Array.from({ length: 40_000 }, (_, i) => ({ domain_keyword: `k${i}` }));
    expect(source(...plain).mistakes).toEqual([]);
    const apart = plain.map((rule) => ({ ...rule, port: 443 }));
    expect(source(...apart).mistakes.map(({ path }) => path)).toEqual([
      ['rules', 32_640],
      ['rules', 32_769],
    ]);
    const logical = Array.from({ length: 32_769 }, (_, i) => ({
      type: 'logical',
      mode: 'and',
      rules: [{ domain: `a${i}.com` }, { port: 443 }],
    }));
    expect(source(...logical).mistakes).toMatchObject([
      { path: ['rules', 32_768], line: 1, expected: 'at most 32768 rules that say more than destinations' },
    ]);
  });

  it('refuses expressions that workers have no time for, from the first one on that is too much', () => {
    const heavy = Array.from({ length: 100 }, (_, i) => `[a-z].{${60 + i}}[b-d].{60}[0-9]`);
    const { mistakes } = source({ domain: 'a.com' }, { domain_regex: heavy });
    expect(mistakes).toHaveLength(1);
    expect(mistakes[0]).toMatchObject({ line: 1, expected: expect.stringContaining('a millisecond a name') });
    const [, , , index] = mistakes[0]?.path ?? [];
    expect(index).toBeGreaterThan(2);
    expect(index).toBeLessThan(20);
    expect(source({ domain_regex: heavy.slice(0, index as number) }).mistakes).toEqual([]);
    const ordinary = Array.from({ length: 5_000 }, (_, i) => `(^|\\.)ad${i}[0-9]*\\.`);
    expect(source({ domain_regex: ordinary }).mistakes).toEqual([]);
  });
});
