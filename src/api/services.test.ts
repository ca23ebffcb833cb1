// The resource over HTTP: codes, headers, pages, and that no password ever leaves.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FastifyInstance, InjectOptions } from 'fastify';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { configured, startServices } from '../control/services.fixture.ts';
import { LIST_SERVICE } from '../layout/lists.ts';
import type { ApiContext } from './context.ts';
import { buildApi } from './server.ts';

let directory = '';
let app: FastifyInstance;
let started: Awaited<ReturnType<typeof startServices>>;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-api-services-'));
  const file = `
    inbounds: [{ type: socks5, listen: "unix:./s.sock" }]
    services: [{ name: filed, users: [{ username: f, password: top-secret }] }]`;
  started = await startServices(configured(directory, file));
  const { edge, tables, changes } = started;
  const used = { upBytes: 5, downBytes: 6, connections: 7, refused: { auth_failed: 1 } };
  const usage = { ...used, users: new Map([['f', { ...used, upBytes: 4, refused: {} }]]) };
  const book = { of: (name: string) => (name === 'filed' ? usage : undefined) };
  const context = { version: '1', edge, tables, serviceChanges: changes, book } as unknown as ApiContext;
  const log = { info() {}, warn() {}, error() {} };
  app = await buildApi(context, log, () => true);
});
afterEach(async () => {
  await app.close();
  started.edge.closeListeners();
  rmSync(directory, { recursive: true });
});

async function call(method: string, url: string, payload?: unknown, headers: Record<string, string> = {}) {
  const options = { method, url, headers, ...(payload === undefined ? {} : { payload }) } as InjectOptions;
  const response = await app.inject(options);
  const body = (response.payload === '' ? undefined : JSON.parse(response.payload)) as Record<
    string,
    unknown
  >;
  expect(response.payload).not.toContain('secret');
  return { status: response.statusCode, headers: response.headers, body };
}

const ALICE = { users: [{ username: 'alice', password: 'very-secret' }] };

describe('/v1/services/{name}', () => {
  it('shows a service in the words of the configuration, and what it does now', async () => {
    started.tables.lists[0]?.addCount(LIST_SERVICE, started.rowOf('filed'), 2);
    const { status, headers, body } = await call('GET', '/v1/services/filed');
    expect([status, headers['etag']]).toEqual([200, '"1"']);
    expect(body).toEqual({
      name: 'filed',
      owner: 'file',
      implicit: false,
      enabled: true,
      revision: 1,
      users: [{ username: 'f', usage: { bytes_up: 4, bytes_down: 6, connections: 7, refused: {} } }],
      server_names: [],
      target: null,
      outbound: null,
      sources: [],
      gate: null,
      rate: null,
      devices: null,
      connections: 2,
      online: true,
      usage: { bytes_up: 5, bytes_down: 6, connections: 7, refused: { auth_failed: 1 } },
    });
    const written = {
      ...ALICE,
      gate: { rate: '10/m', burst: 3 },
      rate: { down: '12.5MB/s' },
      sources: ['10.0.0.0/8'],
      devices: { limit: 2, linger: '90s', check: 'http://u:secret@judge.example/' },
      outbound: 'direct',
    };
    expect((await call('PUT', '/v1/services/alice', written)).body).toMatchObject({
      gate: { rate: '10/m', burst: 3 },
      rate: { up: null, down: '100mbit' },
      outbound: 'direct',
      devices: { limit: 2, linger: '1m30s', per: 'source', check: 'http://...@judge.example/' },
    });
  });

  it('is created with 201, replaced with 200, patched, and removed with 204', async () => {
    const created = await call('PUT', '/v1/services/al%20ice', ALICE);
    expect(created.status).toBe(422);
    const put = await call('PUT', '/v1/services/a%2Fb', ALICE);
    expect([put.status, put.headers['etag'], put.headers['location']]).toEqual([
      201,
      '"1"',
      '/v1/services/a%2Fb',
    ]);
    expect(put.body).toMatchObject({ name: 'a/b', reconciled: { ended: 0 }, warnings: [] });
    expect(put.body['effective_us']).toBeGreaterThan(0);
    expect((await call('PUT', '/v1/services/a%2Fb', { ...ALICE, enabled: false })).status).toBe(200);
    const type = { 'content-type': 'application/merge-patch+json' };
    const patched = await call('PATCH', '/v1/services/a%2Fb', '{"enabled":null,"rate":{"up":"1mbit"}}', type);
    expect(patched.body).toMatchObject({ enabled: true, rate: { up: '1mbit' }, revision: 3 });
    expect(patched.body['warnings']).toMatchObject([{ path: 'rate' }]);
    expect((await call('DELETE', '/v1/services/a%2Fb')).status).toBe(204);
    expect((await call('GET', '/v1/services/a%2Fb')).status).toBe(404);
  });

  it('answers conditions with 412 and the revision in force', async () => {
    await call('PUT', '/v1/services/alice', ALICE, { 'if-none-match': '*' });
    const refused = [
      await call('PUT', '/v1/services/alice', ALICE, { 'if-none-match': '*' }),
      await call('PATCH', '/v1/services/alice', {}, { 'if-match': '"9"' }),
      await call('PATCH', '/v1/services/alice', {}, { 'if-match': 'W/"1"' }),
      await call('DELETE', '/v1/services/alice', undefined, { 'if-match': '1' }),
      await call('PUT', '/v1/services/nobody', {}, { 'if-match': '*' }),
    ];
    expect(refused.map(({ status }) => status)).toEqual([412, 412, 412, 412, 412]);
    expect(refused[0]?.body).toMatchObject({ code: 'revision_conflict', revision: 1 });
    expect((await call('PATCH', '/v1/services/alice', {}, { 'if-match': '"7", "1"' })).status).toBe(200);
    expect((await call('DELETE', '/v1/services/alice', undefined, { 'if-match': '*' })).status).toBe(204);
  });

  it('refuses with the code that says why', async () => {
    await call('PUT', '/v1/services/alice', ALICE);
    expect(await call('PATCH', '/v1/services/filed', {})).toMatchObject({
      status: 409,
      body: { code: 'owned_by_file', service: 'filed' },
    });
    expect(await call('PATCH', '/v1/services/alise', {})).toMatchObject({
      status: 404,
      body: { code: 'service_unknown', nearest: 'alice' },
    });
    const json = { 'content-type': 'application/json' };
    expect((await call('PUT', '/v1/services/alice', '{"users":', json)).status).toBe(400);
    expect((await call('PUT', '/v1/services/alice', 'a: 1', { 'content-type': 'text/yaml' })).status).toBe(
      415,
    );
    expect(await call('PUT', '/v1/services/alice', { rate: { upp: '1mbit' }, gate: 5 })).toMatchObject({
      status: 422,
      body: {
        code: 'request_invalid',
        mistakes: [{ path: 'gate' }, { path: 'rate.upp', nearest: 'up', found: 'unknown key "upp"' }],
      },
    });
  });
});

describe('/v1/services', () => {
  it('is read page by page, also while services come and go', async () => {
    const services = ['d', 'b', 'c', 'a'].map((name) => ({ name }));
    expect((await call('POST', '/v1/services', { services })).body).toMatchObject({ added: 4 });
    const names = (body: Record<string, unknown>) =>
      (body['services'] as { name: string }[]).map(({ name }) => name);
    const first = await call('GET', '/v1/services?limit=2');
    expect([names(first.body), first.body['next']]).toEqual([['a', 'b'], 'b']);
    await call('DELETE', '/v1/services/b');
    const second = await call('GET', '/v1/services?limit=2&cursor=b');
    expect([names(second.body), second.body['next']]).toEqual([['c', 'd'], 'd']);
    const third = await call('GET', '/v1/services?limit=2&cursor=d');
    expect([names(third.body), third.body['next']]).toEqual([['filed'], null]);
    expect(names((await call('GET', '/v1/services?owner=file')).body)).toEqual(['filed']);
    started.tables.lists[0]?.addCount(LIST_SERVICE, started.rowOf('c'), 1);
    expect(names((await call('GET', '/v1/services?online=true')).body)).toEqual(['c']);
    expect(names((await call('GET', '/v1/services?online=false&owner=api')).body)).toEqual(['a', 'd']);
    expect((await call('GET', '/v1/services?limit=0&ownr=api')).status).toBe(422);
  });

  it('takes many as one, or none', async () => {
    const services = [{ name: 'a' }, { name: 'b', rate: { up: 5 } }];
    const refused = await call('POST', '/v1/services', { services });
    expect(refused).toMatchObject({ status: 422, body: { mistakes: [{ path: 'services[1].rate.up' }] } });
    expect((await call('PUT', '/v1/services', { services: [{ name: 'a' }] })).body).toMatchObject({
      added: 1,
    });
    expect((await call('PUT', '/v1/services', { services: [] })).body).toMatchObject({ removed: 1 });
    expect((await call('POST', '/v1/services', { service: [] })).status).toBe(422);
    // A megabyte is too much for any other route.
    const users = [{ username: 'u', password: 'x'.repeat(255) }];
    const many = Array.from({ length: 5_000 }, (_, index) => ({
      name: `s${index}`,
      users,
      sources: ['10.0.0.0/8'],
    }));
    expect((await call('POST', '/v1/services', { services: many })).status).toBe(422);
    expect((await call('PUT', '/v1/services/a', { many })).status).toBe(413);
  });
});
