import { describe, expect, it } from 'vitest';
import { standIn } from './cli.fixture.ts';

const stand = standIn();
const { run, runAlone, file } = stand;

const rule = {
  id: 'corp',
  owner: 'api',
  position: 0,
  key: 1,
  action: 'route',
  connections: 12,
  rule: { id: 'corp', domain_suffix: ['corp.example', 'x.example'], port: 443, outbound: 'eu' },
};

const rules = {
  revision: 3,
  snapshot: 7,
  rules: [
    rule,
    {
      ...rule,
      id: 'all',
      owner: 'file',
      position: 1,
      action: 'reject',
      connections: 0,
      rule: { action: 'reject' },
    },
  ],
  next: null,
  final: 'direct',
  final_connections: 5,
  rule_sets: [],
};

const changed = {
  installation: 4,
  snapshot: 8,
  revision: 4,
  dry_run: false,
  rollback_of: null,
  rules: 2,
  added: ['new'],
  changed: [],
  removed: ['a', 'b'],
  moved: [],
  compile: { duration_us: 1_500, cpu_us: 1_000, words: 900, sets: [] },
  effective_us: 20_400,
  reconciled: {
    matched: 5,
    ended: 4,
    undecided: 1,
    duration_us: 300,
    worker_us: 20,
    last_gone_us: 4_000,
    by_service: { alice: 1, bob: 3 },
    by_inbound: { socks: 4 },
    sample: [],
    superseded: false,
  },
  warnings: [{ path: 'rules[1]', message: 'never matches: rules[0] takes all of it' }],
};

const installation = {
  id: 4,
  cause: 'api',
  state: 'compiling',
  started_at: '2026-01-01T00:00:00.000Z',
  compiling: { what: 'ads', done: 1, all: 2 },
  snapshot: null,
  result: null,
  problem: null,
};

describe('sluice rules', () => {
  it('lists them in their order, as table, JSON and ids', async () => {
    await stand.daemon(() => [200, rules]);
    expect(await run('rules', '--owner', 'api')).toBe(0);
    expect(stand.asked[0]?.path).toBe('/v1/rules?owner=api');
    expect(stand.printed).toBe(
      'POSITION  RULE  OWNER  ACTION  OUTBOUND  CONNECTIONS  CONDITIONS\n' +
        '       0  corp  api    route   eu                 12  domain_suffix=corp.example,x.example port=443\n' +
        '       1  all   file   reject  -                   0  everything\n' +
        '\nfinal: direct (5 connections); snapshot 7, revision 3\n',
    );
    stand.printed = '';
    expect(await run('rules', 'list', '--names')).toBe(0);
    expect(stand.printed).toBe('corp\nall\n');
    stand.printed = '';
    expect(await run('rules', 'list', '--json')).toBe(0);
    expect(JSON.parse(stand.printed)).toEqual(rules);
  });

  it('follows the pages of a long list, and begins anew where the rules change meanwhile', async () => {
    const [first, second] = rules.rules;
    const snapshots = [7, 8, 8, 8];
    await stand.daemon(({ path }) => {
      const isSecond = path.includes('cursor=1');
      const page = { rules: [isSecond ? second : first], next: isSecond ? null : '1' };
      return [200, { ...rules, ...page, snapshot: snapshots.shift() }];
    });
    expect(await run('rules', 'list', '--names')).toBe(0);
    expect(stand.printed).toBe('corp\nall\n');
    const paths = ['/v1/rules', '/v1/rules?cursor=1'];
    expect(stand.asked.map(({ path }) => path)).toEqual([...paths, ...paths]);
  });

  it('shows one, or says that there is none', async () => {
    await stand.daemon(({ path }) => [200, { ...rules, rules: path.endsWith('=corp') ? [rule] : [] }]);
    expect(await run('rules', 'show', 'corp')).toBe(0);
    expect(stand.printed).toContain('id: corp\nowner: api\n');
    expect(stand.printed).toContain('rule:\n  id: corp\n');
    expect(await run('rules', 'show', 'c&d')).toBe(3);
    expect(stand.asked[1]?.path).toBe('/v1/rules?id=c%26d');
    expect(stand.complained).toContain('there is no rule "c&d"');
  });

  it('lists snapshots and rule sets', async () => {
    const snapshot = {
      id: 7,
      state: 'retired',
      cause: 'reload',
      rollback_of: null,
      can_roll_back: true,
      rules: 2,
      words: 250,
      sets: ['ads'],
      pins: 1,
      compile_us: 1_500,
      compiled_at: '2026-01-01T00:00:00.000Z',
      published_at: '2026-01-01T00:00:00.000Z',
      retired_at: '2026-01-01T00:01:01.000Z',
      drained_at: null,
      released_at: null,
    };
    const set = {
      tag: 'ads',
      from: 'https://lists.example/ads.srs',
      state: 'stale',
      error: 'answered 503',
      format: 'binary',
      failures: 7,
      last_ok_at: null,
      domains: 3,
      networks: 0,
      rules: 1,
      words: 250,
    };
    await stand.daemon(({ path }) =>
      path === '/v1/rules/snapshots'
        ? [200, { snapshots: [snapshot, { ...snapshot, id: 6, rollback_of: 2, published_at: null }] }]
        : [200, { rule_sets: [set] }],
    );
    expect(await run('rules', 'snapshots')).toBe(0);
    expect(stand.printed).toMatch(/^ +7 +retired +reload +2 +1 +1\.0 kB +1 +1\.5 ms +1m 1s +yes$/m);
    expect(stand.printed).toMatch(/^ +6 +retired +rollback of 2 .* - +yes$/m);
    stand.printed = '';
    expect(await run('rules', 'sets')).toBe(0);
    expect(stand.printed).toMatch(/^ads +stale +binary +3 +0 +1 +1\.0 kB +never +7 +https:/m);
    expect(stand.printed).toContain('\nads: answered 503\n');
  });
});

describe('changes of rules', () => {
  it('put what a file says, and say what came of it', async () => {
    await stand.daemon(() => [200, changed]);
    const words = ['--reconcile', 'all', '--rate', '10/s', '--if-match', '3'];
    expect(
      await run('rules', 'put', file('edge.yaml', 'final: x\nrules:\n  - action: reject\n'), ...words),
    ).toBe(0);
    expect(await run('rules', 'put', file('list.json', '[]'), '--dry-run')).toBe(0);
    expect(stand.asked).toEqual([
      {
        method: 'PUT',
        path: '/v1/rules',
        body: { rules: [{ action: 'reject' }], reconcile: 'all', rate: '10/s' },
        ifMatch: '"3"',
      },
      { method: 'PUT', path: '/v1/rules', body: { rules: [], dry_run: true } },
    ]);
    expect(stand.printed).toContain(
      'rules: snapshot 8, 2 rules, revision 4, 1 added, 2 removed, compiled in 1.50 ms, in force after 20 ms\n' +
        '4 connections ended, the last gone after 4.00 ms\n' +
        '1 could not be judged again without a look-up, and stay\n' +
        '\nSERVICE  CONNECTIONS\nbob                3\nalice              1\n',
    );
    expect(stand.complained).toContain('warning: rules[1]: never matches: rules[0] takes all of it\n');
    for (const wrong of ['rules: 5\n', '"x"', '{']) {
      expect(await run('rules', 'put', file('wrong', wrong)), wrong).toBe(1);
    }
    expect(await run('rules', 'put', stand.path('missing'))).toBe(1);
    expect(await run('rules', 'put', 'x', '--reconcile', 'some')).toBe(2);
    expect(stand.asked).toHaveLength(2);
  });

  it('patch and delete by id, roll back by number', async () => {
    await stand.daemon(({ path }) => [
      200,
      path.endsWith('rollback')
        ? { ...changed, rollback_of: 2 }
        : {
            ...changed,
            dry_run: true,
            compile: null,
            reconciled: { ...changed.reconciled, ended: 0, sample: ['0-1-1'] },
          },
    ]);
    expect(await run('rules', 'patch', file('patch.yaml', 'corp: null\nb: { action: reject }\n'))).toBe(0);
    expect(stand.printed).toContain('nothing has changed\n5 connections would end\n');
    expect(stand.printed).toContain('\n0-1-1\n');
    expect(await run('rules', 'delete', 'a', 'b', '--reconcile', 'none')).toBe(0);
    expect(await run('rules', 'rollback', '2')).toBe(0);
    expect(stand.printed).toContain('snapshot 8, with the rules of 2, ');
    expect(stand.asked.map(({ path, body }) => [path, body])).toEqual([
      ['/v1/rules', { patch: { corp: null, b: { action: 'reject' } } }],
      [
        '/v1/rules',
        {
          patch: [
            { id: 'a', rule: null },
            { id: 'b', rule: null },
          ],
          reconcile: 'none',
        },
      ],
      ['/v1/rules/rollback', { snapshot: 2 }],
    ]);
    for (const wrong of [['delete'], ['rollback', 'last'], ['rollback'], ['patch']]) {
      expect(await run('rules', ...wrong), wrong.join(' ')).toBe(2);
    }
  });

  it('tell refused and not there apart, with every mistake', async () => {
    const mistakes = [{ path: 'rules[3].ip_cidr[0]', message: 'found "x", expected a network' }];
    let answer: readonly [number, unknown] = [422, { detail: 'it has a mistake', mistakes }];
    await stand.daemon(() => answer);
    expect(await run('rules', 'put', file('list', '[]'))).toBe(1);
    expect(stand.complained).toBe(
      'rules[3].ip_cidr[0]: found "x", expected a network\nsluice: it has a mistake\n',
    );
    answer = [404, { detail: 'there is no rule "a"' }];
    expect(await run('rules', 'delete', 'a')).toBe(3);
    expect(await run('rules', 'refresh', 'a/b')).toBe(3);
    expect(stand.asked.at(-1)).toMatchObject({ method: 'POST', path: '/v1/rule-sets/a%2Fb/refresh' });
  });

  it('follow what takes long to its end, or do not wait', async () => {
    const states = ['compiling', 'rejudging', 'done'];
    await stand.daemon(({ method }) => {
      if (method === 'PUT') return [202, installation];
      const state = states[Math.min(stand.asked.length - 2, 2)] as string;
      return [200, { ...installation, state, result: state === 'done' ? changed : null }];
    });
    expect(await run('rules', 'put', file('list', '[]'), '--json')).toBe(0);
    expect(JSON.parse(stand.printed)).toEqual(changed);
    expect(stand.asked.slice(1).map(({ path }) => path)).toEqual(
      Array.from({ length: 3 }, () => '/v1/rules/installations/4'),
    );
    stand.asked = [];
    stand.printed = '';
    expect(await run('rules', 'put', file('list', '[]'), '--no-wait')).toBe(0);
    expect(stand.asked).toHaveLength(1);
    expect(stand.printed).toBe('rules: compiling; GET /v1/rules/installations/4 tells how it goes on\n');
  });

  it('end with the refusal of one that failed on the way', async () => {
    const problem = {
      status: 422,
      detail: 'it has a mistake',
      mistakes: [{ path: 'rules[0]', message: 'no' }],
    };
    await stand.daemon(({ method }) =>
      method === 'PUT' ? [202, installation] : [200, { ...installation, state: 'failed', problem }],
    );
    expect(await run('rules', 'put', file('list', '[]'))).toBe(1);
    expect(stand.complained).toBe('rules[0]: no\nsluice: it has a mistake\n');
  });
});

describe('sluice rules explain', () => {
  it('asks exactly what the options say, and prints what was looked at', async () => {
    const looked = [
      { item: 'port', result: 'match', matched: '443' },
      { item: 'process_name', result: 'needs' },
    ];
    await stand.daemon(() => [
      200,
      {
        snapshot: 7,
        rule: null,
        action: 'route',
        outbound: 'direct',
        needs: ['process_name'],
        rules: [
          { id: 'a', path: 'rules[0]', result: 'needs', items: looked },
          { id: 'b', path: 'rules[1]', result: 'no_match', items: [] },
        ],
      },
    ]);
    const words = {
      target: 'www.example.com',
      address: '192.0.2.1',
      inbound: 'socks',
      service: 'alice',
      user: 'alice',
      network: 'tcp',
      protocol: 'tls',
      source: '10.0.0.1',
      'source-port': '4000',
      'process-name': 'curl',
      'process-path': '/usr/bin/curl',
      'user-id': '0',
      device: 'known',
      time: '2026-01-31T08:30',
      judgement: 'http://j.example/?a=b=yes',
    };
    const options = Object.entries(words).flatMap(([key, value]) => [`--${key}`, value]);
    expect(await run('rules', 'explain', ...options, '--judgement', 'https://k/=no')).toBe(0);
    expect(stand.asked[0]?.body).toEqual({
      target: 'www.example.com',
      port: 443,
      addresses: ['192.0.2.1'],
      inbound: 'socks',
      service: 'alice',
      user: 'alice',
      network: 'tcp',
      protocol: 'tls',
      source: '10.0.0.1',
      source_port: 4000,
      process_name: 'curl',
      process_path: '/usr/bin/curl',
      user_id: 0,
      device: 'known',
      time: '2026-01-31T08:30',
      externals: { 'http://j.example/?a=b': true, 'https://k/': false },
    });
    expect(stand.printed).toBe(
      'snapshot 7, no rule: route by direct\nnot known: process_name\n\n' +
        'RULE  WRITTEN AT  RESULT     ITEM          RESULT     MATCHED\n' +
        'a     rules[0]    not known  port          match          443\n' +
        '                             process_name  not known        -\n' +
        'b     rules[1]    no match   -             -                -\n',
    );
    for (const wrong of [
      [],
      ['--target', 'x', '--port', '65536'],
      ['--target', 'x', '--judgement', 'http://j'],
    ]) {
      expect(await run('rules', 'explain', ...wrong), wrong.join(' ')).toBe(2);
    }
  });
});

describe('sluice rules convert', () => {
  it('writes a list as rule-set source and back, without a daemon', async () => {
    const list = file('ads.txt', '# ads\nads.example\n.below.example\n');
    expect(await runAlone('rules', 'convert', list, '--from', 'domains')).toBe(0);
    const source = JSON.parse(stand.printed) as { rules: unknown[] };
    expect(source.rules.length).toBeGreaterThan(0);
    const converted = file('ads.json', stand.printed);
    const back = stand.path('back.txt');
    expect(await runAlone('rules', 'convert', converted, '--to', 'domains', '-o', back)).toBe(0);
    stand.printed = '';
    expect(await runAlone('rules', 'convert', back, '--from', 'domains')).toBe(0);
    expect(JSON.parse(stand.printed)).toEqual(source);
  });

  it('refuses what the other format has no words for, and files with mistakes', async () => {
    const text = '{"version": 1, "rules": [{"domain": "a.example", "port": 443}]}';
    expect(await runAlone('rules', 'convert', file('r.json', text), '--to', 'domains')).toBe(1);
    expect([stand.printed, stand.complained]).toEqual(['', expect.stringContaining('port')]);
    stand.complained = '';
    const wrong = '{\n "version": 1,\n "rules": [{"domain": 5}]\n}';
    expect(await runAlone('rules', 'convert', file('r.json', wrong))).toBe(1);
    expect(stand.complained).toMatch(/r\.json:3:\d+ rules\[0\]\.domain/);
    expect(await runAlone('rules', 'convert', stand.path('missing'))).toBe(1);
    expect(await runAlone('rules', 'convert', 'x', '--to', 'binary')).toBe(2);
    const unwritable = stand.path('no/such/directory');
    expect(await runAlone('rules', 'convert', file('l.txt', 'a.example\n'), '-o', unwritable)).toBe(1);
  });
});

describe('sluice rules test', () => {
  const judged = async (...words: string[]) => {
    stand.printed = '';
    stand.complained = '';
    const code = await runAlone('rules', 'test', ...words);
    return [code, stand.printed || stand.complained];
  };

  it('says whether a rule set matches, by words and exit code', async () => {
    const source = file('ads.json', '{"version":1,"rules":[{"domain_suffix":"ads.example","port":443}]}');
    const target = (name: string) => ['--target', name];
    expect(await judged(source, ...target('www.ads.example'))).toEqual([
      0,
      expect.stringMatching(/^match: /),
    ]);
    expect(await judged(source, ...target('ads.example.org'))).toEqual([3, 'no match\n']);
    expect(await judged(source, ...target('www.ads.example'), '--port', '80')).toEqual([3, 'no match\n']);
    const list = file('list', '10.0.0.0/8\n2001:db8::/32\n');
    expect(await judged(list, ...target('10.1.2.3'))).toEqual([0, 'match: ip_cidr 10.0.0.0/8\n']);
    expect((await judged(list, ...target('2001:db9::1')))[0]).toBe(3);
    expect((await judged(list, ...target('10.1.2.3'), '--from', 'domains'))[0]).toBe(1);
    const program = file('p.json', '{"version":1,"rules":[{"process_name":"curl"}]}');
    expect(await judged(program, ...target('a.example'))).toEqual([3, 'not known without process\n']);
    expect((await judged(program, ...target('a.example'), '--process-name', 'curl'))[0]).toBe(0);
    expect(await judged(list, ...target('no name'))).toEqual([
      1,
      expect.stringContaining('the connection target: '),
    ]);
  });

  it('says which rule of a configuration decides', async () => {
    file('ads.txt', '||ads.example^\n');
    const configuration = `inbounds: [{ tag: s, type: http, listen: "127.0.0.1:0" }]
rule_sets: [{ tag: ads, path: ads.txt }]
rules:
  - { id: evening, time: "18:00-24:00", action: reject }
  - { id: ads, rule_set: ads, domain_regex: "^ad[0-9]+\\\\.", action: reject }
  - { id: mine, user: alice, outbound: direct }
`;
    const edge = file('edge.yaml', configuration);
    const at = (...words: string[]) =>
      judged('-c', edge, '--time', '2026-01-31T08:30', '--json', '--target', ...words);
    const verdict = async (...words: string[]) => {
      const [code, text] = await at(...words);
      const { rule: id, action } = JSON.parse(String(text)) as { rule: string | null; action: string };
      return [code, id, action];
    };
    expect(await verdict('www.ads.example')).toEqual([0, 'ads', 'reject']);
    expect(await verdict('ad17.example.org')).toEqual([0, 'ads', 'reject']);
    expect(await verdict('www.example.org', '--user', 'alice')).toEqual([0, 'mine', 'route']);
    expect(await verdict('www.example.org', '--user', 'bob')).toEqual([3, null, 'route']);
    const evening = ['--target', 'a.example', '--time', '2026-01-31T20:00'];
    expect(await judged('-c', edge, ...evening)).toEqual([
      0,
      expect.stringMatching(/^rule evening: reject\n/),
    ]);
    const wrong = file('wrong.yaml', `${configuration}  - { domain: 5 }\n`);
    expect(await judged('-c', wrong, ...evening)).toEqual([
      1,
      expect.stringMatching(/wrong\.yaml:7:\d+ rules\[3\]\.domain: /),
    ]);
    const remote =
      'inbounds: [{ type: http, listen: "127.0.0.1:0" }]\nrule_sets: [{ tag: far, url: "https://lists.example/a.srs" }]\n';
    expect(await judged('-c', file('far.yaml', remote), ...evening)).toEqual([
      1,
      expect.stringContaining('nothing is fetched'),
    ]);
  });

  it('wants a rule set or a configuration, and a target', async () => {
    for (const wrong of [['x'], ['--target', 'a'], ['x', '-c', 'y', '--target', 'a'], ['x', '--target']]) {
      expect(await runAlone('rules', 'test', ...wrong), wrong.join(' ')).toBe(2);
    }
  });
});
