import type { FastifyInstance } from 'fastify';
import { afterEach, describe, expect, it } from 'vitest';
import type { Tables } from '../layout/tables.ts';
import { buildTestApi, dropConnection, makeTables, noteEvictions, putConnection } from './api.fixture.ts';
import type { ConnectionsAnswer } from './connections.ts';

let app: FastifyInstance | undefined;
afterEach(async () => {
  await app?.close();
  app = undefined;
});

async function setUp(parts: object = {}) {
  const tables: Tables = makeTables();
  app = await buildTestApi(tables, parts);
  const get = async (path: string) => {
    const answer = await (app as FastifyInstance).inject({ method: 'GET', url: `/v1/connections${path}` });
    return { status: answer.statusCode, type: answer.headers['content-type'], body: answer.json() };
  };
  const list = async (path: string) => (await get(path)).body as ConnectionsAnswer;
  return { tables, get, list };
}

describe('GET /v1/connections', () => {
  it('shows a connection by names and addresses', async () => {
    const { tables, list } = await setUp();
    const now = Number(process.hrtime.bigint()) / 1e6;
    putConnection(tables, {
      worker: 1,
      slot: 5,
      service: 1,
      inbound: 0,
      user: 2,
      host: 9,
      startedMs: now - 60_000,
    });
    tables.slots[1]?.setBytes(5, 0, 12);
    tables.slots[1]?.setBytes(5, 1, 34);
    const { connections, next, total } = await list('');
    expect({ next, total }).toEqual({ next: null, total: 1 });
    expect(connections).toEqual([
      {
        id: '1-5-1',
        service: 'bob',
        user: 'bob-desk',
        source: '10.0.0.9:4005',
        inbound: 'socks',
        outbound: 'direct',
        rule: null,
        snapshot: null,
        target: '127.0.0.1:443',
        state: 'relaying',
        bytes_up: 12,
        bytes_down: 34,
        started_at: expect.stringMatching(/^\d{4}-.*Z$/),
        age_ms: expect.any(Number),
      },
    ]);
    const { age_ms: ageMs = 0, started_at: startedAt = '' } = connections[0] ?? {};
    expect(ageMs).toBeGreaterThanOrEqual(60_000);
    expect(Math.abs(Date.now() - Date.parse(startedAt) - ageMs)).toBeLessThan(1_000);
  });

  it('names nothing that has gone, or was never known', async () => {
    const { tables, list } = await setUp();
    putConnection(tables, { worker: 0, slot: 0, service: 0, inbound: 0 });
    const slots = tables.slots[0] as Tables['slots'][number];
    slots.setServiceGeneration(0, 3);
    slots.setOutbound(0, -1);
    slots.setTargetPort(0, 0);
    for (let word = 0; word < 4; word++) slots.setSource(0, word, 0);
    const [connection] = (await list('')).connections;
    expect(connection).toMatchObject({
      service: null,
      user: null,
      outbound: null,
      target: null,
      source: 'unix',
    });
  });

  it('filters by each key, and by all together', async () => {
    const { tables, list } = await setUp();
    const ids: string[] = [];
    for (let at = 0; at < 12; at++) {
      ids.push(
        putConnection(tables, {
          worker: at % 2,
          slot: at,
          service: (at % 3) % 2,
          inbound: at < 6 ? 0 : 1,
          host: at,
        }),
      );
    }
    const expected = (test: (at: number) => boolean) =>
      [0, 1].flatMap((worker) => ids.filter((_id, at) => at % 2 === worker && test(at)));
    const found = async (query: string) => (await list(query)).connections.map(({ id }) => id);
    expect(await found('')).toEqual(expected(() => true));
    expect(await found('?service=bob')).toEqual(expected((at) => (at % 3) % 2 === 1));
    expect(await found('?inbound=web')).toEqual(expected((at) => at >= 6));
    expect(await found('?inbound=web&service=bob')).toEqual(expected((at) => at >= 6 && at % 3 === 1));
    expect(await found('?source=10.0.0.3')).toEqual(expected((at) => at === 3));
    expect(await found('?source=10.0.0.0/30&service=alice')).toEqual(
      expected((at) => at < 4 && at % 3 !== 1),
    );
    expect(await found('?worker=1')).toEqual(expected((at) => at % 2 === 1));
    expect(await found('?outbound=direct')).toEqual([]);
    expect((await list('?service=bob')).total).toBe(4);
    expect((await list('?service=bob&inbound=web')).total).toBeUndefined();
    expect((await list('?source=10.0.0.3')).total).toBeUndefined();
  });

  it('answers in pages that hold everything once', async () => {
    const { tables, list } = await setUp();
    for (let slot = 0; slot < 25; slot++) {
      putConnection(tables, { worker: slot % 2, slot: slot * 2, service: slot % 2, inbound: 0 });
    }
    for (const filter of ['', '&inbound=socks', '&service=bob']) {
      const seen: string[] = [];
      let cursor = '';
      do {
        const page = await list(`?limit=4${filter}${cursor}`);
        expect(page.connections.length).toBeLessThanOrEqual(4);
        seen.push(...page.connections.map(({ id }) => id));
        cursor = page.next === null ? '' : `&cursor=${page.next}`;
      } while (cursor !== '');
      expect(new Set(seen).size).toBe(seen.length);
      expect(seen.length).toBe(filter === '&service=bob' ? 12 : 25);
    }
  });

  it('is exact where the list is broken: it scans', async () => {
    const { tables, list } = await setUp();
    const ids = [0, 1, 2].map((slot) => putConnection(tables, { worker: 0, slot, service: 0, inbound: 0 }));
    // As a worker that is in the midst of a change may leave it for a moment.
    tables.slots[0]?.setLinkNext(1, 1, 40);
    expect((await list('?service=alice')).connections.map(({ id }) => id)).toEqual(ids);
    tables.slots[0]?.setLinkNext(1, 1, 2);
    expect((await list('?service=alice')).connections.map(({ id }) => id)).toEqual(ids);
  });

  it('does not show what a starting worker rehearses', async () => {
    const { tables, list } = await setUp();
    putConnection(tables, { worker: 0, slot: 0, service: 0, inbound: 0 });
    tables.workers.setLife(0, 0);
    expect((await list('')).connections).toEqual([]);
  });

  it('tells every mistake at once, with the nearest name', async () => {
    const { get } = await setUp();
    const { status, type, body } = await get(
      '?service=alise&inbound=nowhere&source=10.0.0.1/8&limit=0&cursor=x&worker=7&outbond=direct',
    );
    expect([status, type]).toEqual([422, expect.stringContaining('application/problem+json')]);
    expect(body.code).toBe('request_invalid');
    const mistakes = new Map(body.mistakes.map((mistake: { path: string }) => [mistake.path, mistake]));
    expect([...mistakes.keys()].toSorted()).toEqual(
      ['cursor', 'inbound', 'limit', 'outbond', 'service', 'source', 'worker'].toSorted(),
    );
    expect(mistakes.get('service')).toMatchObject({ found: '"alise"', nearest: 'alice' });
    expect(mistakes.get('outbond')).toMatchObject({ nearest: 'outbound' });
    expect(mistakes.get('limit')).toMatchObject({ found: '0', expected: 'a whole number from 1 to 1000' });
  });
});

describe('/v1/connections/{id}', () => {
  it('is found while it lives, and never again', async () => {
    const { tables, get } = await setUp();
    const id = putConnection(tables, { worker: 0, slot: 3, service: 0, inbound: 0 });
    expect(await get(`/${id}`)).toMatchObject({ status: 200, body: { id, service: 'alice' } });
    dropConnection(tables, 0, 3);
    expect(await get(`/${id}`)).toMatchObject({ status: 404, body: { code: 'not_found' } });
    putConnection(tables, { worker: 0, slot: 3, service: 0, inbound: 0 });
    expect((await get(`/${id}`)).status).toBe(404);
    for (const nonsense of ['0-3', '9-0-1', '0-99999-1', '0-3-1x', '0-3-0', '-1-0-1', '%00']) {
      expect((await get(`/${nonsense}`)).status, nonsense).toBe(404);
    }
  });

  it('is ended by an eviction of exactly this one', async () => {
    const { evictions, requests, outcome } = noteEvictions();
    const { tables } = await setUp({ evictions });
    const id = putConnection(tables, { worker: 1, slot: 3, service: 0, inbound: 0 });
    const end = (path: string) =>
      (app as FastifyInstance).inject({ method: 'DELETE', url: `/v1/connections/${path}` });
    Object.assign(outcome, { matched: 1, closed: 1 });
    const ended = await end(id);
    expect(ended.json()).toMatchObject({ state: 'done', closed: 1, filter: { connection: id } });
    expect((await end(`${id}?close=fin`)).json()).toMatchObject({ filter: { close: 'fin' } });
    expect(requests).toEqual([
      { connection: { worker: 1, slot: 3, generation: 1 }, orderly: false },
      { connection: { worker: 1, slot: 3, generation: 1 }, orderly: true },
    ]);
    const wrong = await end(`${id}?close=politely`);
    expect(wrong.statusCode).toBe(422);
    expect(wrong.json().mistakes[0]).toMatchObject({ path: 'close', expected: 'one of reset, fin' });
    // It ended by itself before its worker looked.
    Object.assign(outcome, { matched: 0, closed: 0 });
    expect((await end(id)).statusCode).toBe(404);
    dropConnection(tables, 1, 3);
    expect((await end(id)).statusCode).toBe(404);
    expect(requests).toHaveLength(3);
  });
});
