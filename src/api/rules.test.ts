import type { FastifyInstance } from 'fastify';
import { afterEach, describe, expect, it } from 'vitest';
import { SluiceError } from '../control/errors.ts';
import type { RulesChanged } from '../control/rules-control.ts';
import { buildTestApi, makeTables } from './api.fixture.ts';
import { CHANGED, noteRules, REVISION } from './rules.fixture.ts';

let app: FastifyInstance | undefined;
afterEach(async () => {
  await app?.close();
  app = undefined;
});

async function setUp(parts: object = {}) {
  const noted = noteRules();
  const logged: { level: string; facts: object }[] = [];
  const at = (level: string) => (facts: object) => void logged.push({ level, facts });
  const log = { info: at('info'), warn: at('warn'), error: at('error') };
  app = await buildTestApi(makeTables(), { rules: noted.rules, ...parts }, log);
  const call = async (
    method: 'GET' | 'POST' | 'PUT',
    url: string,
    payload?: object | string,
    headers: Record<string, string> = {},
  ) => {
    const answer = await (app as FastifyInstance).inject({
      method,
      url,
      headers: typeof payload === 'string' ? { 'content-type': 'application/json', ...headers } : headers,
      ...(payload === undefined ? {} : { payload }),
    });
    return { status: answer.statusCode, headers: answer.headers, body: answer.json() };
  };
  /** Mistakes by path. */
  const refused = async (method: 'GET' | 'POST' | 'PUT', url: string, payload?: object | string) => {
    const { status, body } = await call(method, url, payload);
    expect(status).toBe(422);
    expect(noted.asked).toEqual([]);
    const mistakes = body.mistakes as { path: string; found: string; nearest?: string; message: string }[];
    return new Map(mistakes.map((mistake) => [mistake.path, mistake]));
  };
  return { ...noted, logged, call, refused };
}

describe('GET /v1/rules', () => {
  it('shows rules as written, and whom they decided', async () => {
    const { call } = await setUp();
    const { status, headers, body } = await call('GET', '/v1/rules');
    expect([status, headers['etag']]).toEqual([200, `"${REVISION}"`]);
    expect(body).toMatchObject({ revision: REVISION, snapshot: 7, final: 'direct', final_connections: 5 });
    expect(body.rules).toEqual([
      {
        id: 'corp',
        owner: 'api',
        position: 0,
        key: 1,
        action: 'route',
        connections: 12,
        rule: { id: 'corp', domain_suffix: 'corp.example', external: 'http://judge.example/' },
      },
      {
        id: 'ads',
        owner: 'file',
        position: 1,
        key: 2,
        action: 'reject',
        connections: 0,
        rule: { rule_set: 'ads', action: 'reject' },
      },
    ]);
    const ids = async (query: string) =>
      (await call('GET', `/v1/rules?${query}`)).body.rules.map(({ id }: { id: string }) => id);
    expect(await ids('owner=file')).toEqual(['ads']);
    expect(await ids('id=corp')).toEqual(['corp']);
    expect(await ids('id=nothing')).toEqual([]);
    expect((await call('GET', '/v1/rules?owner=somebody')).status).toBe(422);
  });

  it('comes in pages', async () => {
    const { call, refused } = await setUp();
    const page = async (query: string) => {
      const { rules, next } = (await call('GET', `/v1/rules?${query}`)).body;
      return [rules.map(({ id }: { id: string }) => id), next];
    };
    expect(await page('')).toEqual([['corp', 'ads'], null]);
    expect(await page('limit=1')).toEqual([['corp'], '1']);
    expect(await page('limit=1&cursor=1')).toEqual([['ads'], null]);
    expect(await page('limit=1&owner=file')).toEqual([['ads'], null]);
    expect(await page('cursor=7')).toEqual([[], null]);
    for (const cursor of ['x', '-1', '1e0', '9999999999']) {
      const mistakes = await refused('GET', `/v1/rules?cursor=${cursor}`);
      expect([...mistakes.keys()], cursor).toEqual(['cursor']);
    }
    expect((await call('GET', '/v1/rules?limit=1001')).status).toBe(422);
  });
});

describe('PUT /v1/rules', () => {
  it('replaces the rules of the API, and says what was done', async () => {
    const { call, asked } = await setUp();
    const rules = [{ domain: 'a.example', action: 'reject' }, { outbound: 'direct' }];
    const payload = { rules, reconcile: 'all', rate: '90/m', dry_run: true };
    const { status, headers, body } = await call('PUT', '/v1/rules', payload);
    expect(asked).toEqual([['replace', rules, { reconcile: 'all', ratePerSecond: 1.5, dryRun: true }]]);
    expect([status, headers['etag']]).toEqual([200, `"${REVISION + 1}"`]);
    expect(body).toEqual({
      installation: 1,
      snapshot: 8,
      revision: REVISION + 1,
      dry_run: true,
      rollback_of: null,
      rules: 2,
      added: ['new'],
      changed: [],
      removed: [],
      moved: ['corp'],
      compile: {
        duration_us: 1_500,
        cpu_us: 1_200,
        words: 900,
        sets: [{ tag: 'ads', words: 40, domains: 3, networks: 0, rules: 1 }],
      },
      effective_us: 2_001,
      reconciled: {
        matched: 5,
        ended: 4,
        undecided: 1,
        duration_us: 300,
        worker_us: 20,
        last_gone_us: 4_000,
        by_service: { alice: 4 },
        by_inbound: { socks: 4 },
        sample: [],
        superseded: false,
      },
      warnings: CHANGED.warnings,
    });
    await call('PUT', '/v1/rules', { rules: [] });
    expect(asked[1]).toEqual(['replace', [], {}]);
  });

  it('changes some by their ids, as a mapping or in an order', async () => {
    const { call, asked } = await setUp();
    const rule = { action: 'reject' };
    await call('PUT', '/v1/rules', { patch: { corp: null, b: rule } });
    const list = [
      { id: 'b', rule, before: 'corp' },
      { id: 'c', rule, before: null },
      { id: 'd', rule: null },
    ];
    await call('PUT', '/v1/rules', { patch: list, reconcile: 'none' });
    expect(asked).toEqual([
      [
        'patch',
        [
          { id: 'corp', rule: null },
          { id: 'b', rule },
        ],
        {},
      ],
      ['patch', list, { reconcile: 'none' }],
    ]);
  });

  it('makes a change only to the revision that was meant', async () => {
    const { call, asked } = await setUp();
    const revisionAsked = async (ifMatch: string) => {
      await call('PUT', '/v1/rules', { rules: [] }, { 'if-match': ifMatch });
      return (asked.at(-1)?.at(-1) as { ifRevision?: number } | undefined)?.ifRevision;
    };
    expect(await revisionAsked(`"${REVISION}"`)).toBe(REVISION);
    expect(await revisionAsked(`"9", "${REVISION}"`)).toBe(REVISION);
    expect(await revisionAsked('"0"')).toBe(0);
    expect(await revisionAsked('*')).toBeUndefined();
    for (const nothing of ['W/"3"', '3', '', '"03"']) expect(await revisionAsked(nothing)).toBe(-1);
  });

  it('answers 202 for what takes long, and tells later what came of it', async () => {
    const { call, outcome } = await setUp();
    let finish: (changed: RulesChanged) => void = () => {};
    outcome.pending = new Promise((resolve) => {
      finish = resolve;
    });
    const { status, headers, body } = await call('PUT', '/v1/rules', { rules: [] });
    expect([status, headers['location'], headers['etag']]).toEqual([
      202,
      '/v1/rules/installations/1',
      undefined,
    ]);
    expect(body).toMatchObject({
      id: 1,
      state: 'compiling',
      compiling: { what: 'ads', done: 10, all: 100 },
      result: null,
    });
    const began = { id: 1, cause: 'api', startedAtMs: 1_000, compiling: undefined } as const;
    outcome.state = { ...began, state: 'done', snapshot: 8, result: CHANGED, error: undefined };
    finish(CHANGED);
    const done = (await call('GET', '/v1/rules/installations/1')).body;
    expect(done).toMatchObject({ state: 'done', compiling: null, problem: null, result: { snapshot: 8 } });
    const error = new SluiceError('request_invalid', 'wrong', { mistakes: [] });
    outcome.state = { ...began, state: 'failed', snapshot: undefined, result: undefined, error };
    const listed = (await call('GET', '/v1/rules/installations')).body.installations;
    expect(listed).toMatchObject([{ state: 'failed', problem: { code: 'request_invalid', status: 422 } }]);
    for (const id of ['2', 'x', '-1', '1e0', '99999999999']) {
      expect((await call('GET', `/v1/rules/installations/${id}`)).status, id).toBe(404);
    }
  });

  it('tells every mistake of the request at once, and asks nothing of the compiler then', async () => {
    const { refused } = await setUp();
    const mistakes = await refused('PUT', '/v1/rules', {
      rules: ['reject', { action: 'reject' }],
      reconcle: 'all',
      reconcile: 'rejct',
      rate: '100',
      dry_run: 'yes',
    });
    expect([...mistakes.keys()].toSorted()).toEqual(
      ['dry_run', 'rate', 'reconcile', 'reconcle', 'rules[0]'].toSorted(),
    );
    expect(mistakes.get('reconcile')).toMatchObject({ nearest: 'reject' });
    expect(mistakes.get('reconcle')).toMatchObject({ nearest: 'reconcile' });
    expect(mistakes.get('rate')?.message).toContain('has no unit');
  });

  it('says of a rule that is nested too deeply which one it is', async () => {
    const { call, refused, asked } = await setUp();
    const nested = (levels: number) => `${'{"a":['.repeat(levels / 2)}${']}'.repeat(levels / 2)}`;
    for (const levels of [66, 5_000, 200_000]) {
      const whole = await refused('PUT', '/v1/rules', `{"rules": [{}, ${nested(levels)}]}`);
      expect([...whole.keys()], `${levels}`).toEqual(['rules[1]']);
      expect(whole.get('rules[1]')?.found).toContain('more than 64');
      const byId = await refused('PUT', '/v1/rules', `{"patch": {"x": ${nested(levels)}}}`);
      expect([...byId.keys()]).toEqual(['patch.x']);
      const listed = await refused('PUT', '/v1/rules', `{"patch": [{"id": "x", "rule": ${nested(levels)}}]}`);
      expect([...listed.keys()]).toEqual(['patch[0]']);
    }
    const inTwo = `{"rules": [${nested(64)}]}`;
    expect((await call('PUT', '/v1/rules', inTwo)).status).toBe(200);
    expect(asked).toHaveLength(1);
  });

  it('wants either rules or a patch', async () => {
    const { refused } = await setUp();
    expect((await refused('PUT', '/v1/rules', {})).get('')?.found).toBe('neither "rules" nor "patch"');
    expect((await refused('PUT', '/v1/rules', { rules: [], patch: {} })).get('')?.found).toContain(
      'together',
    );
    for (const body of ['[]', 'null', '5']) {
      expect((await refused('PUT', '/v1/rules', body)).get(''), body).toBeDefined();
    }
    const mistakes = await refused('PUT', '/v1/rules', { patch: [{ id: 'a', rle: {} }] });
    expect([...mistakes.keys()]).toContain('patch[0].rule');
  });

  it('passes on what the compiler finds', async () => {
    const { call, outcome } = await setUp();
    const mistakes = [{ path: 'rules[3].ip_cidr[0]', found: '"x"', expected: 'a network', message: 'no' }];
    outcome.error = new SluiceError('request_invalid', 'it has a mistake', { mistakes });
    expect(await call('PUT', '/v1/rules', { rules: [] })).toMatchObject({ status: 422, body: { mistakes } });
  });
});

describe('the rest of /v1/rules', () => {
  it('explains a connection', async () => {
    const { call, asked, refused } = await setUp();
    const wrong = await refused('POST', '/v1/rules/explain', { target: 5, prt: 443 });
    expect([...wrong.keys()].toSorted()).toEqual(['port', 'prt', 'target']);
    const connection = { target: 'www.corp.example', port: 443, externals: { 'http://j/': true } };
    const { status, body } = await call('POST', '/v1/rules/explain', connection);
    expect(asked).toEqual([['explain', connection]]);
    expect(status).toBe(200);
    expect(body).toMatchObject({ rule: 'corp', outbound: 'direct', needs: ['process_name'] });
    expect(body.rules[0].items).toEqual([
      { item: 'domain_suffix', result: 'match', matched: 'corp.example' },
    ]);
  });

  it('lists snapshots, and rolls back to one', async () => {
    const { call, asked, refused } = await setUp();
    const wrong = await refused('POST', '/v1/rules/rollback', { snapshot: 'last', reconcile: 'al' });
    expect([...wrong.keys()].toSorted()).toEqual(['reconcile', 'snapshot']);
    expect((await refused('POST', '/v1/rules/rollback', {})).get('snapshot')).toBeDefined();
    const { snapshots } = (await call('GET', '/v1/rules/snapshots')).body;
    expect(snapshots).toMatchObject([
      { id: 7, state: 'in_force', pins: 1, can_roll_back: true, released_at: null, compile_us: 1_500 },
      { id: 6, state: 'released', can_roll_back: false, released_at: '1970-01-01T00:00:02.000Z' },
    ]);
    const back = await call('POST', '/v1/rules/rollback', { snapshot: 6, reconcile: 'all' });
    expect([back.status, back.body.snapshot]).toEqual([200, 8]);
    expect(asked).toEqual([['rollback', 6, { reconcile: 'all' }]]);
  });
});

describe('/v1/rule-sets', () => {
  it('says how fresh each is, and reads one now', async () => {
    const { call, asked, outcome } = await setUp();
    expect((await call('GET', '/v1/rule-sets')).body.rule_sets).toMatchObject([
      {
        tag: 'ads',
        from: 'https://lists.example/ads.srs',
        state: 'stale',
        error: 'answered 503',
        failures: 7,
        last_ok_at: '1970-01-01T00:00:01.000Z',
        domains: 3,
      },
    ]);
    expect((await call('POST', '/v1/rule-sets/ads/refresh')).body.tag).toBe('ads');
    expect((await call('POST', '/v1/rule-sets/a%2Fb/refresh')).status).toBe(404);
    outcome.error = new SluiceError('request_invalid', 'line 3 is wrong', { mistakes: [] });
    expect((await call('POST', '/v1/rule-sets/ads/refresh')).status).toBe(422);
    outcome.error = new Error('connect ECONNREFUSED 192.0.2.1:443');
    expect(await call('POST', '/v1/rule-sets/ads/refresh')).toMatchObject({
      status: 503,
      body: { code: 'rule_set_unavailable', detail: expect.stringContaining('ECONNREFUSED') },
    });
    expect(asked.map(([, tag]) => tag)).toEqual(['ads', 'a/b', 'ads', 'ads']);
  });
});

describe('the log', () => {
  it.each([
    new SluiceError('rules_busy', 'too many are read', { snapshots: 256 }),
    new SluiceError('rule_set_unavailable', 'nobody answers', { ruleSet: 'ads', from: 'https://a.example/' }),
  ])('has a line without a stack of what may work later: $code', async (error) => {
    const { call, outcome, logged } = await setUp();
    outcome.error = error;
    expect((await call('PUT', '/v1/rules', { rules: [] })).status).toBe(503);
    const { code, message: detail } = error;
    const facts = { event: 'api_refused', code, detail, url: '/v1/rules' };
    expect(logged).toEqual([{ level: 'warn', facts }]);
  });

  it.each([new SluiceError('compiler_failed', 'it died', {}), new Error('oh')])(
    'has the stack of a failure of ours: $message',
    async (error) => {
      const { call, outcome, logged } = await setUp();
      outcome.error = error;
      expect((await call('PUT', '/v1/rules', { rules: [] })).status).toBeGreaterThanOrEqual(500);
      expect(logged).toEqual([
        { level: 'error', facts: { event: 'api_error', err: error, url: '/v1/rules' } },
      ]);
    },
  );
});

describe('status and metrics', () => {
  it('say what is in force and how fresh', async () => {
    const processes = { asked: 9, found: 7, elsewhere: 0, not_found: 2, refused: 0 };
    const externals = { asked: 5, match: 2, no_match: 0, remembered: 0, joined: 0 };
    const none = { late: 3, failed: 0, status: 0, garbage: 0, refused: 0, refused_source: 0 };
    const lookUps = { statistics: () => ({ processes, externals: { ...externals, ...none }, gone: 0 }) };
    const { call } = await setUp({ lookUps });
    expect((await call('GET', '/v1/status')).body.rules).toEqual({
      snapshot: 7,
      count: 2,
      swaps: 4,
      pins: 1,
      sets: 1,
      sets_stale: 1,
      ended: 4,
      undecided: 1,
      process_lookups: 9,
      judgements: 5,
      arena_words: 940,
    });
    const { payload } = await (app as FastifyInstance).inject('/metrics');
    for (const line of [
      'sluice_rules 2',
      'sluice_rule_snapshot 7',
      'sluice_rule_snapshots{state="retired"} 2',
      'sluice_rule_compile_last_seconds 0.0015',
      'sluice_rule_process_lookups_total{outcome="not_found"} 2',
      'sluice_rule_judgements_total{result="late"} 3',
      'sluice_rule_set_ok{rule_set="ads"} 0',
      'sluice_rule_set_failures_total{rule_set="ads"} 7',
      'sluice_rule_set_last_ok_timestamp_seconds{rule_set="ads"} 1',
    ]) {
      expect(payload).toContain(`\n${line}\n`);
    }
  });
});
