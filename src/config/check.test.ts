import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkConfiguration } from './check.ts';
import { formatMistakes, type Mistake } from './mistakes.ts';
import { schemaText } from './schema.ts';

/** A valid first line, so that what is under test starts on the second. */
const INBOUND = 'inbounds: [{ type: socks5, listen: 127.0.0.1:1080 }]';
const SALT_AND_HASH = 'c29tZXNhbHQ$MTIzNDU2Nzg5MDEyMzQ1Ng';

function mistakesOf(text: string): readonly Mistake[] {
  const { mistakes, configuration } = checkConfiguration(text, 'edge.yaml');
  expect(configuration === undefined, 'a configuration exactly where there is no mistake').toBe(
    mistakes.length > 0,
  );
  return mistakes;
}

function accepted(text: string) {
  const { mistakes, warnings, configuration } = checkConfiguration(text, '/etc/sluice/edge.yaml');
  expect(mistakes).toEqual([]);
  if (configuration === undefined) throw new Error('no configuration');
  return { configuration, warnings: warnings.map((warning) => `${warning.path}: ${warning.message}`) };
}

/** What, text, line:column, path, part of the message, nearest. */
type Row = readonly [string, string, string, string, string, string?];

/** Each text has exactly one mistake. */
function table(rows: readonly Row[]): void {
  for (const [what, text, position, path, message, nearest] of rows) {
    test(what, () => {
      const mistakes = mistakesOf(text);
      expect(mistakes.map((one) => `${one.line}:${one.column} ${one.path}`)).toEqual([`${position} ${path}`]);
      expect(mistakes[0]?.message).toContain(message);
      expect(mistakes[0]?.nearest).toBe(nearest);
    });
  }
}

describe('the text', () => {
  table([
    ['empty', '', '1:1', '', 'the file is empty'],
    ['only comments', '# nothing\n', '1:1', '', 'the file is empty'],
    ['not a mapping', '[1]', '1:1', '', 'expected a mapping'],
    ['duplicate key', `${INBOUND}\nstore: a\nstore: b`, '3:1', 'store', 'key "store" was given before'],
    [
      'duplicate key inside',
      'inbounds:\n  - type: socks5\n    listen: 127.0.0.1:1\n    type: http',
      '4:5',
      'inbounds[0].type',
      'was given before',
    ],
    ['tab', `${INBOUND}\nlog:\n\tlevel: info`, '3:1', '', 'a tab as indentation'],
    ['alias without anchor', `${INBOUND}\nstore: *x`, '2:8', 'store', 'an alias (*name) without an anchor'],
    ['alias into itself', `${INBOUND}\nrules: &x [*x]`, '2:12', 'rules[0]', 'too deeply nested'],
    ['second document', `${INBOUND}\n---\nstore: x`, '2:1', '', 'a second document'],
    [
      'IPv6 without quotes',
      'inbounds:\n  - type: socks5\n    listen: [::1]:80',
      '3:18',
      '',
      'must be quoted: "[::1]:80"',
    ],
    ['list as key', `${INBOUND}\n? [a]\n: 1`, '2:3', '', 'a key that is not a plain word'],
    ['__proto__', `${INBOUND}\n__proto__: { store: x }`, '2:1', '', 'not a plain word'],
  ]);

  test('brackets without end, deep nesting and bombs of aliases are refused quickly', () => {
    const bomb = ['a: &a [1]'];
    for (let level = 1; level < 20; level++) {
      const before = String.fromCharCode(96 + level);
      const name = String.fromCharCode(97 + level);
      bomb.push(`${name}: &${name} [${Array(10).fill(`*${before}`).join(', ')}]`);
    }
    for (const text of ['['.repeat(100_000), '{a: '.repeat(20_000), `${'['.repeat(99)}${']'.repeat(99)}`]) {
      expect(mistakesOf(text).length).toBeGreaterThan(0);
    }
    expect(mistakesOf(bomb.join('\n'))[0]?.message).toContain('too large once its aliases are followed');
  });

  test('JSON is read as well', () => {
    const text = '{"inbounds": [{"type": "http", "listen": "127.0.0.1:0"}], "timeouts": {"idle": "1h"}}';
    expect(accepted(text).configuration.timeouts.idleMs).toBe(3_600_000);
  });

  test('anchors and aliases work, also where they are repeated', () => {
    const { configuration } = accepted(
      `${INBOUND}\nservices:\n  - { name: a, sources: &home [10.0.0.0/8] }\n  - { name: b, sources: *home }`,
    );
    expect(configuration.services[1]?.sources).toEqual(['10.0.0.0/8']);
  });
});

describe('keys and types', () => {
  table([
    [
      'unknown key at the top',
      `${INBOUND}\nworker: 2`,
      '2:1',
      'worker',
      'unknown key "worker"; did you',
      'workers',
    ],
    ['unknown key far from all', `${INBOUND}\nhorses: 2`, '2:1', 'horses', 'unknown key "horses"'],
    [
      'unknown key that stands for a missing one',
      'inbounds:\n  - { type: socks5, lisen: 127.0.0.1:1080 }',
      '2:21',
      'inbounds[0].lisen',
      'unknown key "lisen"',
      'listen',
    ],
    [
      'key of another type',
      'inbounds:\n  - { type: http, listen: 127.0.0.1:1, target: a:1 }',
      '2:40',
      'inbounds[0].target',
      'it belongs to type forward',
    ],
    ['missing key', 'inbounds:\n  - type: http', '2:5', 'inbounds[0]', 'lacks "listen"'],
    ['no inbounds', 'store: x', '1:1', '', 'lacks "inbounds"'],
    ['empty inbounds', 'inbounds: []', '1:11', 'inbounds', 'found an empty list'],
    ['no value', 'inbounds:', '1:10', 'inbounds', 'has no value'],
    ['no type', 'inbounds: [{ listen: 127.0.0.1:1 }]', '1:12', 'inbounds[0]', 'lacks "type"'],
    [
      'wrong type of inbound',
      'inbounds: [{ type: sock5, listen: 127.0.0.1:1 }]',
      '1:20',
      'inbounds[0].type',
      'found "sock5", expected one of socks5, http, sni, forward',
      'socks5',
    ],
    [
      'number where a duration belongs',
      `${INBOUND}\ntimeouts: { idle: 10 }`,
      '2:19',
      'timeouts.idle',
      'found 10',
    ],
    [
      'number where a name belongs',
      'inbounds: [{ tag: 7, type: http, listen: 127.0.0.1:1 }]',
      '1:19',
      'inbounds[0].tag',
      'put it in quotes',
    ],
    ['name with a space', `${INBOUND}\nfinal: a b`, '2:8', 'final', 'a name of 1 to 128 characters'],
    [
      'reason',
      `${INBOUND}\naccess_log: { reasons: [finished, evictd] }`,
      '2:35',
      'access_log.reasons[1]',
      'there is no reason "evictd"',
      'evicted',
    ],
    [
      'sample',
      `${INBOUND}\naccess_log: { sample: 0 }`,
      '2:23',
      'access_log.sample',
      'a number above 0, up to 1',
    ],
    ['wrong choice', `${INBOUND}\nlog: { level: wran }`, '2:15', 'log.level', 'one of debug', 'warn'],
    ['out of range', `${INBOUND}\nworkers: 0`, '2:10', 'workers', 'a whole number from 1 to 256'],
    [
      'neither number nor auto',
      `${INBOUND}\nworkers: many`,
      '2:10',
      'workers',
      'found "many", expected auto, or',
    ],
    [
      'mistake in the branch that was meant',
      `${INBOUND}\noutbounds: [{ type: direct, keepalive: { idle: 30s, cont: 3 } }]`,
      '2:53',
      'outbounds[0].keepalive.cont',
      'unknown key "cont"',
      'count',
    ],
    [
      'list of the wrong things',
      `${INBOUND}\nservices: [{ name: a, sources: [10] }]`,
      '2:33',
      'services[0].sources[0]',
      'found 10',
    ],
    ['admin of the wrong type', `${INBOUND}\nadmin: 3`, '2:8', 'admin', 'expected false, or listen'],
  ]);
});

describe('units, addresses and names', () => {
  const withService = (rest: string) => `${INBOUND}\nservices: [{ name: a, ${rest} }]`;
  const withOutbound = (rest: string) => `${INBOUND}\noutbounds: [{ type: direct, ${rest} }]`;
  const listening = (listen: string) => `inbounds: [{ type: http, listen: ${listen} }]`;
  const forward = (target: string) =>
    `inbounds: [{ type: forward, listen: 127.0.0.1:1, service: default, target: ${target} }]\n` +
    'services: [{ name: default }]';
  table([
    ['bad duration', `${INBOUND}\ntimeouts: { idle: 5min }`, '2:19', 'timeouts.idle', 'is not a duration'],
    ['too long', `${INBOUND}\ntimeouts: { idle: 25d }`, '2:19', 'timeouts.idle', 'the most allowed, 24d'],
    ['bad rate', withService('rate: { up: 20mb }'), '2:35', 'services[0].rate.up', 'is a size, or lacks'],
    ['zero rate', withService('rate: { up: 0mbit }'), '2:35', 'services[0].rate.up', 'is zero'],
    [
      'bad gate',
      withService('gate: { rate: 50 per s }'),
      '2:37',
      'services[0].gate.rate',
      'not a rate of events',
    ],
    [
      'judge',
      withService('devices: { limit: 1, check: ftp://x }'),
      '2:51',
      'services[0].devices.check',
      'http',
    ],
    [
      'listen on a name',
      listening('example.com:80'),
      '1:34',
      'inbounds[0].listen',
      'names cannot be listened',
    ],
    ['localhost', listening('localhost:80'), '1:34', 'inbounds[0].listen', 'names cannot be', '127.0.0.1:80'],
    ['listen without port', listening('127.0.0.1'), '1:34', 'inbounds[0].listen', 'has no port'],
    [
      'port too high',
      listening('127.0.0.1:65536'),
      '1:34',
      'inbounds[0].listen',
      'has a port outside 0 to 65535',
    ],
    ['IPv6 without brackets', listening('"::1:80"'), '1:34', 'inbounds[0].listen', 'brackets', '[::1:80]:80'],
    [
      'socket path',
      listening(`unix:/${'x'.repeat(120)}`),
      '1:34',
      'inbounds[0].listen',
      'bytes long as a path',
    ],
    ['abstract socket', listening('unix:@x'), '1:34', 'inbounds[0].listen', 'abstract sockets'],
    ['target without port', forward('example.com'), '1:76', 'inbounds[0].target', 'has no port'],
    ['target with port 0', forward('example.com:0'), '1:76', 'inbounds[0].target', 'outside 1 to 65535'],
    ['octal address', forward('0177.0.0.1:80'), '1:76', 'inbounds[0].target', 'in its plain form'],
    ['address as a number', forward('2130706433:80'), '1:76', 'inbounds[0].target', 'in its plain form'],
    ['short address', forward('127.1:80'), '1:76', 'inbounds[0].target', 'in its plain form'],
    ['hexadecimal address', forward('0x7f.0.0.1:80'), '1:76', 'inbounds[0].target', 'in its plain form'],
    ['unspecified target', forward('0.0.0.0:80'), '1:76', 'inbounds[0].target', 'no address that can be'],
    ['bad name', forward('exa_mple..com:80'), '1:76', 'inbounds[0].target', 'neither an IP address nor'],
    ['name outside ASCII', forward('bücher.example:80'), '1:76', 'inbounds[0].target', 'xn--'],
    ['bad network', withService('sources: [home]'), '2:33', 'services[0].sources[0]', 'is not a network'],
    [
      'prefix length',
      withService('sources: [10.0.0.0/33]'),
      '2:33',
      'services[0].sources[0]',
      'outside 0 to 32',
    ],
    [
      'bits after the prefix',
      withService('sources: [10.1.0.0/8]'),
      '2:33',
      'services[0].sources[0]',
      'has bits after its prefix of 8',
      '10.0.0.0/8',
    ],
    ['bind', withOutbound('bind: [127.0.0.1, eth0]'), '2:47', 'outbounds[0].bind[1]', 'not an IP address'],
    ['one bind', withOutbound('bind: eth0'), '2:35', 'outbounds[0].bind', 'is not an IP address'],
    [
      'keepalive finer than seconds',
      withOutbound('keepalive: 1500ms'),
      '2:40',
      'outbounds[0].keepalive',
      'whole seconds',
    ],
    [
      'wildcard in the middle',
      withService('target: a:1, server_names: ["a.*.com"]'),
      '2:51',
      'services[0].server_names[0]',
      'a wildcard that is not the whole label at the left',
    ],
    [
      'wildcard in a label',
      withService('target: a:1, server_names: ["a*.com"]'),
      '2:51',
      'services[0].server_names[0]',
      'a wildcard',
    ],
    [
      'wildcard alone',
      withService('target: a:1, server_names: ["*"]'),
      '2:51',
      'services[0].server_names[0]',
      'wildcard',
    ],
    [
      'scrypt hash',
      withService('users: [{ username: a, password: $scrypt$ln=14 }]'),
      '2:56',
      'services[0].users[0].password',
      'the scrypt hash is not of the form',
    ],
    [
      'scrypt hash that costs too much',
      withService(`users: [{ username: a, password: "$scrypt$ln=20,r=8,p=1$${SALT_AND_HASH}" }]`),
      '2:56',
      'services[0].users[0].password',
      'over 64 MiB',
    ],
    [
      'user name that SOCKS5 cannot carry',
      withService(`users: [{ username: "${'é'.repeat(200)}", password: a }]`),
      '2:43',
      'services[0].users[0].username',
      'found 400 bytes, expected at most 255 bytes',
    ],
    [
      'admin on a Unix socket',
      `${INBOUND}\nadmin: { listen: unix:/x }`,
      '2:18',
      'admin.listen',
      'its key is `socket`',
    ],
  ]);
});

describe('what must be unique, and what must lead somewhere', () => {
  const direct = '{ type: direct, tag: direct }';
  table([
    [
      'inbound tags',
      'inbounds:\n  - { tag: a, type: http, listen: 127.0.0.1:1 }\n  - { tag: a, type: http, listen: 127.0.0.1:2 }',
      '3:12',
      'inbounds[1].tag',
      'tag "a" is already used at inbounds[0].tag',
    ],
    [
      'outbound tags by default',
      `${INBOUND}\noutbounds: [{ type: direct }, { type: direct }]`,
      '2:31',
      'outbounds[1]',
      'tag "direct" (by default; give it another) is already used at outbounds[0]',
    ],
    [
      'service names',
      `${INBOUND}\nservices:\n  - { name: a }\n  - { name: a }`,
      '4:13',
      'services[1].name',
      'already used at services[0].name',
    ],
    [
      'user names over services',
      `${INBOUND}\nservices:\n  - { name: a, users: [{ username: u, password: p }] }\n` +
        '  - { name: b, users: [{ username: u, password: q }] }',
      '4:36',
      'services[1].users[0].username',
      'user name "u" is already used at services[0].users[0].username',
    ],
    [
      'server names, whatever their case',
      `${INBOUND}\nservices:\n  - { name: a, target: a:1, server_names: [x.example, X.Example.] }`,
      '3:55',
      'services[0].server_names[1]',
      'server name "x.example" is already used at services[0].server_names[0]',
    ],
    [
      'listen addresses, however they are written',
      'inbounds:\n  - { type: http, listen: "[::1]:1" }\n  - { type: http, listen: "[0:0::1]:1" }',
      '3:27',
      'inbounds[1].listen',
      'listen address "[::1]:1" is already used at inbounds[0].listen',
    ],
    [
      'listen address of the admin API',
      `${INBOUND}\nadmin: { listen: 127.0.0.1:1080 }`,
      '1:36',
      'inbounds[0].listen',
      'already used by the admin API',
    ],
    [
      'final',
      `${INBOUND}\nfinal: dirct`,
      '2:8',
      'final',
      'outbound "dirct" is not defined; did you',
      'direct',
    ],
    [
      'outbound of a service',
      `${INBOUND}\noutbounds: [${direct}]\nservices: [{ name: a, outbound: pool }]`,
      '3:33',
      'services[0].outbound',
      'outbound "pool" is not defined',
    ],
    [
      'member',
      `${INBOUND}\noutbounds: [${direct}, { type: group, members: [direct, direkt] }]`,
      '2:77',
      'outbounds[1].members[1]',
      'outbound "direkt" is not defined',
      'direct',
    ],
    [
      'group in itself',
      `${INBOUND}\noutbounds: [${direct}, { type: group, tag: g, members: [direct, g] }]`,
      '2:76',
      'outbounds[1].members',
      'group "g" contains itself',
    ],
    [
      'rule set of two places',
      `${INBOUND}\nrule_sets: [{ tag: ads, path: a.json, url: https://a.example/a.json }]`,
      '2:13',
      'rule_sets[0]',
      'has both `path` and `url`',
    ],
    [
      'rule set of no place',
      `${INBOUND}\nrule_sets: [{ tag: ads }]`,
      '2:13',
      'rule_sets[0]',
      'lacks `path` or',
    ],
    [
      'rule set by plain http',
      `${INBOUND}\nrule_sets: [{ tag: ads, url: "http://a.example/a.srs" }]`,
      '2:30',
      'rule_sets[0].url',
      'the address is plain http',
    ],
    [
      'rule set with a password',
      `${INBOUND}\nrule_sets: [{ tag: ads, url: "https://me:s3cret@a.example/a.srs" }]`,
      '2:30',
      'rule_sets[0].url',
      'has a user name or a password in it',
    ],
    [
      'rule set that is no address',
      `${INBOUND}\nrule_sets: [{ tag: ads, url: ads.srs }]`,
      '2:30',
      'rule_sets[0].url',
      'is no http(s) address',
    ],
    [
      'rule set of unknown kind',
      `${INBOUND}\nrule_sets: [{ tag: ads, path: ads.conf }]`,
      '2:13',
      'rule_sets[0]',
      'lacks "format"; its ending is none of .json, .srs, .txt, .list',
    ],
    [
      'rule set of a wrong format',
      `${INBOUND}\nrule_sets: [{ tag: ads, path: ads.conf, format: bin }]`,
      '2:49',
      'rule_sets[0].format',
      'expected one of source, binary, domains, networks',
    ],
    [
      'rule set that is looked at too often',
      `${INBOUND}\nrule_sets: [{ tag: ads, url: https://a.example/a.srs, interval: 5s }]`,
      '2:65',
      'rule_sets[0].interval',
      'below the least allowed, 1m',
    ],
    [
      'interval of a file',
      `${INBOUND}\nrule_sets: [{ tag: ads, path: a.srs, interval: 5m }]`,
      '2:38',
      'rule_sets[0].interval',
      '`interval` belongs to `url`',
    ],
    [
      'two rule sets of a name',
      `${INBOUND}\nrule_sets: [{ tag: a, path: a.srs }, { tag: a, path: b.srs }]`,
      '2:45',
      'rule_sets[1].tag',
      'tag "a" is already used at rule_sets[0]',
    ],
    [
      'service of an inbound, nearly right',
      'inbounds: [{ type: forward, listen: 127.0.0.1:1, target: a:1, service: alcie }]\nservices: [{ name: alice }]',
      '1:72',
      'inbounds[0].service',
      'service "alcie" is not defined',
      'alice',
    ],
    [
      'forward without target',
      'inbounds: [{ type: forward, listen: 127.0.0.1:1 }]',
      '1:12',
      'inbounds[0]',
      'lacks "target"',
    ],
    [
      'forward to itself',
      'inbounds: [{ type: forward, listen: 0.0.0.0:81, target: 127.0.0.1:81 }]',
      '1:57',
      'inbounds[0].target',
      'is its own listen address',
    ],
    [
      'server names without target',
      `${INBOUND}\nservices: [{ name: a, server_names: [x.example] }]`,
      '2:12',
      'services[0]',
      'lacks "target"',
    ],
    [
      'proxy for a service with users that asks nobody',
      'inbounds: [{ type: http, listen: 127.0.0.1:1, service: a }]\n' +
        'services: [{ name: a, users: [{ username: u, password: p }] }]',
      '1:56',
      'inbounds[0].service',
      'service "a" has users',
    ],
  ]);

  test('groups that contain each other, and forwards that lead to each other, are told at each of them', () => {
    const text = `inbounds:
  - { type: forward, listen: 127.0.0.1:1, target: localhost:2 }
  - { type: forward, listen: 127.0.0.1:2, target: 127.0.0.1:1 }
outbounds:
  - { type: group, tag: a, members: [b] }
  - { type: group, tag: b, members: [c] }
  - { type: group, tag: c, members: [b] }`;
    const found = mistakesOf(text).map((mistake) => mistake.path);
    expect(found).toEqual([
      'inbounds[0].target',
      'inbounds[1].target',
      'outbounds[1].members',
      'outbounds[2].members',
    ]);
  });

  test('a mistake inside an object does not make its name undefined', () => {
    const text = `${INBOUND}
outbounds: [{ type: sock5, tag: eu, server: x:1 }, { type: socks5, tag: us }]
services: [{ name: a, outbound: eu }, { name: b, outbound: us }]`;
    expect(mistakesOf(text).map((mistake) => mistake.path)).toEqual(['outbounds[0].type', 'outbounds[1]']);
  });
});

describe('what is accepted', () => {
  test('the smallest configuration, with every default', () => {
    const { configuration, warnings } = accepted(INBOUND);
    expect(warnings).toEqual([]);
    expect(configuration).toEqual({
      fileName: '/etc/sluice/edge.yaml',
      workers: 'auto',
      admin: {
        listen: undefined,
        tokenFile: '/etc/sluice/admin.token',
        socketPath: '/etc/sluice/sluice.sock',
      },
      storePath: '/etc/sluice/sluice.db',
      timeouts: {
        handshakeMs: 10_000,
        connectMs: 5_000,
        idleMs: 600_000,
        halfCloseMs: 30_000,
        drainMs: 30_000,
      },
      log: { level: 'info' },
      accessLog: null,
      limits: { connectionsPerWorker: 65_536 },
      inbounds: [
        {
          tag: 'socks5-0',
          type: 'socks5',
          network: 'tcp',
          listen: { kind: 'ip', words: [0, 0, 0xffff, 0x7f000001], port: 1080, text: '127.0.0.1:1080' },
          service: 'default',
          target: undefined,
          proxyProtocol: undefined,
          acceptProxyProtocol: [],
          asksOnceThereAreUsers: true,
        },
      ],
      outbounds: [expect.objectContaining({ type: 'direct', tag: 'direct', ipVersion: 'prefer4' })],
      services: [expect.objectContaining({ name: 'default', implicit: true, enabled: true, users: [] })],
      ruleSets: [],
      rules: [],
      geo: { country: undefined, asn: undefined },
      final: 'direct',
    });
  });

  test('rule sets and files of places', () => {
    const { configuration } = accepted(`${INBOUND}
rule_sets:
  - { tag: a, path: lists/a.json }
  - { tag: b, path: /lists/b.list }
  - { tag: c, path: c.conf, format: networks }
  - { tag: d, url: "https://d.example/d.srs?token=x" }
  - { tag: e, url: "http://127.0.0.1:8000/e.txt", interval: 2h, format: domains }
geo: { country: geo/country.mmdb, asn: /geo/asn.mmdb }`);
    expect(configuration.ruleSets).toEqual([
      { tag: 'a', path: '/etc/sluice/lists/a.json', format: 'source' },
      { tag: 'b', path: '/lists/b.list', format: undefined },
      { tag: 'c', path: '/etc/sluice/c.conf', format: 'networks' },
      { tag: 'd', url: 'https://d.example/d.srs?token=x', format: 'binary', intervalMs: 86_400_000 },
      { tag: 'e', url: 'http://127.0.0.1:8000/e.txt', format: 'domains', intervalMs: 7_200_000 },
    ]);
    expect(configuration.geo).toEqual({ country: '/etc/sluice/geo/country.mmdb', asn: '/geo/asn.mmdb' });
  });

  test('an access log, by default all of it beside the file', () => {
    const { configuration } = accepted(`${INBOUND}\naccess_log: {}`);
    expect(configuration.accessLog).toEqual({
      path: '/etc/sluice/access.log',
      sample: 1,
      reasons: [],
      services: [],
    });
    const written = `${INBOUND}\naccess_log: { path: stderr, sample: 0.01, reasons: [evicted], services: [later] }`;
    expect(accepted(written).configuration.accessLog).toEqual({
      path: null,
      sample: 0.01,
      reasons: ['evicted'],
      services: ['later'],
    });
  });

  test('the example of the guide, where only what is not built yet is warned of', () => {
    const { configuration, warnings } = accepted(
      readFileSync(new URL('./whole-example.yaml', import.meta.url), 'utf8'),
    );
    for (const warning of warnings) {
      expect(warning).toMatch(
        /is accepted but not enforced yet(, here and in \d more of the \w+)?(; connections sent to it are refused)?$|is not defined under `services`/,
      );
    }
    expect(warnings.length).toBeGreaterThanOrEqual(6);
    expect(configuration.inbounds.map((inbound) => inbound.service)).toEqual([
      undefined,
      undefined,
      undefined,
      'pg',
      'dns',
    ]);
    expect(configuration.services.map((service) => service.name)).toEqual(['alice', 'web', 'pg', 'dns']);
    expect(configuration.services[0]).toMatchObject({
      gate: { eventsPerSecond: 50, burst: 20 },
      rate: { upBytesPerSecond: 2_500_000, downBytesPerSecond: 12_500_000 },
      outbound: 'pool',
    });
    expect(configuration.final).toBe('direct');
  });

  test('all that a direct outbound may say', () => {
    const { configuration } = accepted(`${INBOUND}
outbounds:
  - tag: one
    type: direct
    bind: ["2001:DB8::1", 192.0.2.1]
    interface: eth0
    fwmark: 0x10
    keepalive: { idle: 30s, interval: 5s, count: 3 }
    tcp_user_timeout: 1500ms
    congestion: bbr
    allow_destinations: [127.0.0.0/8, "::1", "::ffff:10.0.0.0/104"]
    ip_version: only6
  - { tag: two, type: direct, keepalive: 1m, bind: 127.0.0.2 }`);
    expect(configuration.outbounds).toEqual([
      {
        tag: 'one',
        type: 'direct',
        bind: [
          { words: [0x20010db8, 0, 0, 1], text: '2001:db8::1' },
          { words: [0, 0, 0xffff, 0xc0000201 | 0], text: '192.0.2.1' },
        ],
        interfaceName: 'eth0',
        fwmark: 16,
        keepalive: { idleSeconds: 30, intervalSeconds: 5, count: 3 },
        tcpUserTimeoutMs: 1500,
        congestion: 'bbr',
        allowDestinations: ['127.0.0.0/8', '::1/128', '10.0.0.0/8'],
        ipVersion: 'only6',
      },
      expect.objectContaining({
        tag: 'two',
        keepalive: { idleSeconds: 60, intervalSeconds: 15, count: 4 },
        bind: [expect.objectContaining({ text: '127.0.0.2' })],
      }),
    ]);
    expect(configuration.final).toBe('one');
  });

  test.each([
    [':0', '[::]:0'],
    ['"[::1]:80"', '[::1]:80'],
    ['"[::ffff:127.0.0.1]:80"', '127.0.0.1:80'],
    ['unix:run/in.sock', 'unix:/etc/sluice/run/in.sock'],
  ])('listen: %s', (listen, text) => {
    const inbounds = `inbounds: [{ type: forward, listen: ${listen}, target: 192.0.2.1:9 }]`;
    expect(accepted(inbounds).configuration.inbounds[0]?.listen.text).toBe(text);
  });

  test.each([
    ['EXAMPLE.com.:80', { kind: 'name', name: 'example.com', port: 80, text: 'example.com:80' }],
    ['"[2001:db8::1]:80"', { kind: 'ip', words: [0x20010db8, 0, 0, 1], port: 80, text: '[2001:db8::1]:80' }],
    ['unix:/run/a.sock', { kind: 'unix', path: '/run/a.sock', text: 'unix:/run/a.sock' }],
  ])('target: %s', (written, target) => {
    const inbounds = `inbounds: [{ type: forward, listen: 127.0.0.1:1, target: ${written} }]`;
    expect(accepted(inbounds).configuration.inbounds[0]?.target).toEqual(target);
  });

  test('a forward takes the target of its service', () => {
    const { configuration } = accepted(
      'inbounds: [{ type: forward, listen: 127.0.0.1:1, service: a }]\nservices: [{ name: a, target: b:2 }]',
    );
    expect(configuration.inbounds[0]?.target?.text).toBe('b:2');
  });

  test('two inbounds on any free port, and one address for tcp and udp', () => {
    accepted(`inbounds:
  - { type: http, listen: 127.0.0.1:0 }
  - { type: http, listen: 127.0.0.1:0 }
  - { type: forward, listen: 127.0.0.1:53, target: 192.0.2.1:53 }
  - { type: forward, listen: 127.0.0.1:53, target: 192.0.2.1:53, network: udp }`);
  });

  test('admin may be off: its Unix socket stays', () => {
    for (const admin of ['false', 'null', '{}']) {
      expect(accepted(`${INBOUND}\nadmin: ${admin}\nstore: /var/x.db`).configuration.admin).toEqual({
        listen: undefined,
        tokenFile: '/etc/sluice/admin.token',
        socketPath: '/var/sluice.sock',
      });
    }
  });

  test('users are asked for wherever a service has some, and nobody where none has', () => {
    const service = (services: string) =>
      accepted(`${INBOUND}\n${services}`).configuration.inbounds[0]?.service;
    expect(service('services: [{ name: a }]')).toBe('default');
    expect(service('services: [{ name: a, users: [{ username: u, password: p }] }]')).toBeUndefined();
    expect(
      service('services: [{ name: a, enabled: false, users: [{ username: u, password: p }] }]'),
    ).toBeUndefined();
  });

  test('users are asked for where the inbound says so, for those that the API adds', () => {
    const asking = `inbounds: [{ type: http, listen: 0.0.0.0:1080, ask_users: true }]`;
    const { configuration, warnings } = accepted(asking);
    expect(configuration.inbounds[0]?.service).toBeUndefined();
    expect([configuration.services, warnings]).toEqual([[], []]);
    const both = `inbounds: [{ type: http, listen: 127.0.0.1:1, ask_users: true, service: a }]\nservices: [{ name: a }]`;
    const { mistakes } = checkConfiguration(both, 'e');
    expect(mistakes).toMatchObject([{ path: 'inbounds[0].ask_users' }]);
  });

  test('an open proxy beyond loopback is warned of', () => {
    const open = 'inbounds: [{ type: http, listen: 0.0.0.0:1080 }]';
    expect(accepted(open).warnings).toEqual([
      'inbounds[0].listen: clients from elsewhere can use this proxy without a password (service "default")',
    ]);
    expect(
      accepted(`${open}\nservices: [{ name: a, users: [{ username: u, password: p }] }]`).warnings,
    ).toEqual([]);
  });
});

describe('secrets', () => {
  const SECRET = 'hunter2hunter2';
  test.each([
    `users: [{ username: u, password: { plain: ${SECRET} } }]`,
    `users: [{ username: u, password: [${SECRET}] }]`,
    `users: [{ username: u, password: "${SECRET.repeat(100)}" }]`,
    `users: [{ username: u, password: "$scrypt$${SECRET}" }]`,
    `users: [{ username: u, passwort: ${SECRET} }]`,
    `users: ${SECRET}`,
    `users: [${SECRET}]`,
    `users: [{ username: u, password: *${SECRET} }]`,
    `users: [{ username: u, password: "${SECRET} }]`,
    `users: [{ username: u, password: !!${SECRET} x: y }]`,
    `users: [{ username: u, password: @${SECRET} }]`,
    `password: ${SECRET}`,
    `target: "u:${SECRET}@example.com"`,
    `devices: { limit: 1, check: "u:${SECRET}@judge" }`,
  ])('%s is a mistake that does not repeat them', (rest) => {
    const { mistakes, warnings } = checkConfiguration(`${INBOUND}\nservices: [{ name: a, ${rest} }]`, 'e');
    expect(mistakes.length).toBeGreaterThan(0);
    expect(JSON.stringify([mistakes, warnings])).not.toContain('hunter');
  });
});

test('all mistakes come at once, in the order of the file, as a compiler prints them', () => {
  const text = `worker: 3
inbounds:
  - { type: http, lisen: 127.0.0.1:1 }
services: [{ name: a, outbound: nowhere, rate: { up: 5 } }]
timeouts: { idle: 5min }`;
  expect(formatMistakes(mistakesOf(text), 'edge.yaml')).toBe(
    `edge.yaml:1:1 worker: unknown key "worker"; did you mean "workers"?
edge.yaml:3:19 inbounds[0].lisen: unknown key "lisen"; did you mean "listen"?
edge.yaml:4:33 services[0].outbound: outbound "nowhere" is not defined
edge.yaml:4:54 services[0].rate.up: found 5, expected a data rate such as 20mbit, 1gbit, 512kB/s, 10MB/s or 10MiB/s
edge.yaml:5:19 timeouts.idle: "5min" is not a duration; expected a duration such as 250ms, 2s, 10m, 1h30m or 1d
`,
  );
});

test('a thousand mistakes are enough, and a large file is read in reasonable time', () => {
  const services = Array.from({ length: 5_000 }, (_, index) => `  - { name: a${index}, rte: { up: 1mbit } }`);
  const mistakes = mistakesOf(`${INBOUND}\nservices:\n${services.join('\n')}`);
  expect(mistakes).toHaveLength(1_001);
  expect(mistakes.at(-1)).toMatchObject({
    message: 'and 4000 more mistakes that are not told',
    line: mistakes.at(-2)?.line,
  });
});

test('the committed schema is the one of the source (npm run build writes it)', () => {
  expect(readFileSync(new URL('../../schema/sluice.schema.json', import.meta.url), 'utf8')).toBe(
    schemaText(),
  );
});

describe('whatever the text', () => {
  const example = readFileSync(new URL('./whole-example.yaml', import.meta.url), 'utf8');
  const piece = fc.oneof(
    fc.string({ maxLength: 6 }),
    fc.constantFrom(
      '\n',
      '\t',
      '  ',
      '- ',
      ': ',
      '{',
      '}',
      '[',
      ']',
      '&a ',
      '*a',
      '!!x ',
      '"',
      "'",
      '#',
      ',',
    ),
    fc.constantFrom(
      'null',
      '0',
      '-1',
      '.nan',
      '1e999',
      'true',
      '{}',
      '[]',
      '[[]]',
      '__proto__',
      'constructor',
    ),
  );
  const place = fc.nat({ max: example.length });

  test('nothing is thrown, every mistake has a place in the file, and no mistake means a configuration', () => {
    const edits = fc.array(fc.tuple(place, fc.nat({ max: 12 }), piece), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(edits, (changes) => {
        let text = example;
        for (const [at, length, inserted] of changes) {
          text = text.slice(0, at) + inserted + text.slice(at + length);
        }
        const lines = text.split('\n').length;
        const { mistakes, warnings, configuration } = checkConfiguration(text, 'edge.yaml');
        expect(configuration === undefined).toBe(mistakes.length > 0);
        for (const mistake of [...mistakes, ...warnings]) {
          expect(mistake.line).toBeLessThanOrEqual(lines);
          expect(mistake.message).not.toContain('\n');
          expect(mistake.message).not.toContain('undefined');
        }
      }),
      { numRuns: 400 },
    );
  });

  test('nothing is thrown for values of any shape under known keys', () => {
    const value = fc.jsonValue({ maxDepth: 3 });
    const keys = ['inbounds', 'outbounds', 'services', 'rules', 'rule_sets', 'admin', 'timeouts', 'final'];
    const item = fc.dictionary(
      fc.constantFrom('type', 'tag', 'listen', 'name', 'users', 'members', 'service', 'target', 'rules'),
      fc.oneof(value, fc.constantFrom('socks5', 'group', 'forward', 'direct', 'a', '127.0.0.1:1')),
    );
    const file = fc.dictionary(fc.constantFrom(...keys), fc.oneof(value, fc.array(fc.oneof(item, value))));
    fc.assert(
      fc.property(file, (written) => {
        const { mistakes, configuration } = checkConfiguration(JSON.stringify(written), 'edge.json');
        expect(configuration === undefined).toBe(mistakes.length > 0);
      }),
      { numRuns: 300 },
    );
  });
});
