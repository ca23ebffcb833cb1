import type { FastifyInstance } from 'fastify';
import { afterEach, describe, expect, it } from 'vitest';
import { SluiceError } from '../control/errors.ts';
import { buildTestApi, makeTables, noteEvictions } from './api.fixture.ts';

let app: FastifyInstance | undefined;
afterEach(async () => {
  await app?.close();
  app = undefined;
});

async function setUp() {
  const noted = noteEvictions();
  app = await buildTestApi(makeTables(), { evictions: noted.evictions });
  const ask = async (method: 'GET' | 'POST' | 'DELETE', path: string, payload?: object | string) => {
    const url = `/v1/evictions${path}`;
    const headers = typeof payload === 'string' ? { 'content-type': 'application/json' } : {};
    const answer = await (app as FastifyInstance).inject({
      method,
      url,
      headers,
      ...(payload === undefined ? {} : { payload }),
    });
    return { status: answer.statusCode, headers: answer.headers, body: answer.json() };
  };
  const refused = async (payload: object | string) => {
    const { status, body } = await ask('POST', '', payload);
    expect(status).toBe(422);
    expect(noted.requests).toEqual([]);
    return new Map<string, Record<string, string>>(
      body.mistakes.map((mistake: { path: string }) => [mistake.path, mistake]),
    );
  };
  return { ...noted, ask, refused };
}

describe('POST /v1/evictions', () => {
  it('passes on what is asked, and answers what was done', async () => {
    const { ask, requests } = await setUp();
    const filter = {
      service: 'alice',
      user: 'bob-phone',
      source: '10.0.0.0/8',
      inbound: 'web',
      outbound: 'direct',
    };
    const { status, body } = await ask('POST', '', { ...filter, dry_run: true, close: 'fin', rate: '90/m' });
    expect(status).toBe(200);
    expect(requests).toEqual([{ ...filter, dryRun: true, orderly: true, ratePerSecond: 1.5 }]);
    expect(body).toEqual({
      id: 1,
      state: 'done',
      note: null,
      dry_run: true,
      total: 2,
      matched: 2,
      closed: 0,
      duration_us: 70,
      worker_us: 40,
      started_at: '1970-01-01T00:00:01.000Z',
      last_gone_at: null,
      by_service: { alice: 2 },
      by_inbound: { socks: 2 },
      filter: { ...filter, close: 'fin', rate: '90/m' },
    });
    expect((await ask('POST', '', { all: true, close: 'reset' })).body.filter).toEqual({ all: true });
    expect(requests[1]).toEqual({ all: true });
  });

  it('is looked up by its number where it takes long, and can be cancelled', async () => {
    const { ask, outcome } = await setUp();
    Object.assign(outcome, { state: 'running', lastGoneAtMs: 2_000 });
    const { status, headers, body } = await ask('POST', '', { service: 'alice' });
    expect([status, headers['location'], body.state]).toEqual([202, '/v1/evictions/1', 'running']);
    expect(body.last_gone_at).toBe('1970-01-01T00:00:02.000Z');
    expect((await ask('GET', '/1')).body).toEqual(body);
    expect((await ask('DELETE', '/1')).body.state).toBe('cancelled');
    await ask('POST', '', { service: 'bob' });
    const listed = (await ask('GET', '')).body.evictions as { id: number }[];
    expect(listed.map(({ id }) => id)).toEqual([2, 1]);
    for (const id of ['3', '0', '-1', 'x', '1.0', '99999999999']) {
      expect((await ask('GET', `/${id}`)).status, id).toBe(404);
      expect((await ask('DELETE', `/${id}`)).status, id).toBe(404);
    }
  });

  it('refuses a filter that names nothing, and one that contradicts itself', async () => {
    const { refused } = await setUp();
    for (const empty of [{}, { all: false }, { dry_run: true }, { rate: '1/s', close: 'fin' }]) {
      expect((await refused(empty)).get('')?.['message']).toContain('"all": true');
    }
    const contradictory = await refused({ all: true, service: 'alice', source: '10.0.0.1' });
    expect(contradictory.get('all')?.['found']).toBe('"all" together with "service", "source"');
  });

  it('tells every mistake at once: of keys, types, names, addresses and rates', async () => {
    const { refused } = await setUp();
    const mistakes = await refused({
      servce: 'alice',
      user: 'bob-phon',
      inbound: 7,
      outbound: '',
      source: '10.0.0.256',
      rule: 'ads',
      all: 'yes',
      dry_run: 1,
      close: 'fim',
      rate: '100',
    });
    expect([...mistakes.keys()].toSorted()).toEqual(
      [
        'all',
        'close',
        'dry_run',
        'inbound',
        'outbound',
        'rate',
        'rule',
        'servce',
        'source',
        'user',
      ].toSorted(),
    );
    expect(mistakes.get('servce')).toMatchObject({ nearest: 'service', found: 'unknown key "servce"' });
    expect(mistakes.get('user')).toMatchObject({ nearest: 'bob-phone', found: '"bob-phon"' });
    expect(mistakes.get('close')).toMatchObject({ nearest: 'fin' });
    expect(mistakes.get('inbound')).toMatchObject({ found: '7', expected: 'a string' });
    expect(mistakes.get('dry_run')).toMatchObject({ found: '1', expected: 'true or false' });
    expect(mistakes.get('rate')?.['message']).toContain('has no unit');
    for (const { message, found, expected } of mistakes.values()) {
      expect([message, found, expected].every((text) => typeof text === 'string' && text !== '')).toBe(true);
    }
  });

  it('tells bodies that are no objects, and no JSON, apart', async () => {
    const { ask, refused } = await setUp();
    for (const wrong of ['[]', '"all"', 'null', '5']) {
      expect([...(await refused(wrong)).entries()], wrong).toEqual([
        ['', expect.objectContaining({ expected: 'an object' })],
      ]);
    }
    for (const malformed of ['{', '{"all": tru', '{"__proto__": {}}']) {
      expect(await ask('POST', '', malformed), malformed).toMatchObject({
        status: 400,
        body: { code: 'malformed_json' },
      });
    }
    const xml = await (app as FastifyInstance).inject({
      method: 'POST',
      url: '/v1/evictions',
      headers: { 'content-type': 'text/xml' },
      payload: '<all/>',
    });
    expect([xml.statusCode, xml.json().code]).toEqual([415, 'media_type_not_supported']);
  });

  it('passes on what the evictions themselves refuse', async () => {
    const { ask, evictions } = await setUp();
    const mistakes = [
      { path: 'service', found: '"alice"', expected: 'a service', message: 'gone meanwhile' },
    ];
    evictions.start = () => {
      throw new SluiceError('eviction_invalid', 'it has a mistake', { mistakes });
    };
    const { status, body } = await ask('POST', '', { service: 'alice' });
    expect([status, body.code, body.mistakes]).toEqual([422, 'eviction_invalid', mistakes]);
  });
});
