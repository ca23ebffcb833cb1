// Requests at the edges: the longest names, paths that cannot be read, other methods and media, and bodies that are
// meant to hurt. Every answer is a problem with its status, and none is a fault of ours.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FastifyInstance, InjectOptions } from 'fastify';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { configured, startServices } from '../control/services.fixture.ts';
import type { ApiContext } from './context.ts';
import { buildApi } from './server.ts';

let directory = '';
let app: FastifyInstance;
let started: Awaited<ReturnType<typeof startServices>>;
const failures: object[] = [];

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-api-odd-'));
  started = await startServices(
    configured(directory, 'inbounds: [{ type: socks5, listen: "unix:./s.sock" }]'),
  );
  const { edge, tables, changes } = started;
  const book = { of: () => undefined };
  const context = { version: '1', edge, tables, serviceChanges: changes, book } as unknown as ApiContext;
  const log = { info() {}, warn() {}, error: (facts: object) => void failures.push(facts) };
  app = await buildApi(context, log, () => true);
});
afterEach(async () => {
  expect(failures.splice(0)).toEqual([]);
  await app.close();
  started.edge.closeListeners();
  rmSync(directory, { recursive: true });
});

async function call(method: string, url: string, payload?: unknown, type = 'application/json') {
  const headers = payload === undefined ? {} : { 'content-type': type };
  const response = await app.inject({ method, url, headers, payload } as InjectOptions);
  const body = (response.payload === '' ? {} : JSON.parse(response.payload)) as Record<string, unknown>;
  if (response.statusCode >= 400)
    expect(response.headers['content-type']).toContain('application/problem+json');
  return { status: response.statusCode, allow: response.headers['allow'], body };
}

describe('names', () => {
  for (const [what, name] of [
    ['the longest', 'n'.repeat(128)],
    ['the longest of three bytes a character', '語'.repeat(128)],
    ['the longest of four bytes', '🦆'.repeat(64)],
    ['one with a slash', 'a/b'],
  ] as const) {
    it(`work in every method: ${what}`, async () => {
      const path = `/v1/services/${encodeURIComponent(name)}`;
      expect(await call('PUT', path, {})).toMatchObject({ status: 201, body: { name } });
      expect(await call('GET', path)).toMatchObject({ status: 200, body: { name } });
      expect((await call('PATCH', path, { enabled: false })).status).toBe(200);
      expect((await call('DELETE', path)).status).toBe(204);
    });
  }

  it('that are too long are refused, by the check or by the router', async () => {
    expect(await call('PUT', `/v1/services/${'n'.repeat(129)}`, {})).toMatchObject({
      status: 422,
      body: { mistakes: [{ path: 'name' }] },
    });
    const refused = await call('GET', `/v1/services/${'n'.repeat(2_000)}`);
    expect(refused).toMatchObject({ status: 414, body: { code: 'path_too_long' } });
  });

  it('with control characters are mistakes, of services and of users', async () => {
    for (const name of ['a\u001b[2J', 'a\u0000', 'a\u007f', 'a\u009b31m']) {
      expect(await call('PUT', `/v1/services/${encodeURIComponent(name)}`, {})).toMatchObject({
        status: 422,
        body: { mistakes: [{ path: 'name' }] },
      });
      const users = [{ username: name, password: 'p' }];
      expect(await call('PUT', '/v1/services/a', { users })).toMatchObject({
        status: 422,
        body: { mistakes: [{ path: 'users[0].username' }] },
      });
    }
  });
});

describe('requests that the router or the parser refuses', () => {
  it('are problems: a path that cannot be decoded', async () => {
    expect(await call('GET', '/v1/services/%zz')).toMatchObject({
      status: 400,
      body: { code: 'malformed_path' },
    });
  });

  it('a method that a path does not have', async () => {
    const wrong = await call('POST', '/v1/services/a', {});
    expect(wrong).toMatchObject({ status: 405, allow: 'DELETE, GET, HEAD, PATCH, PUT' });
    expect(wrong.body).toMatchObject({ code: 'method_not_allowed' });
    expect(await call('GET', '/v1/reload?x=1')).toMatchObject({ status: 405, allow: 'POST' });
    expect(await call('GET', '/v1/services/a/b')).toMatchObject({ status: 404, allow: undefined });
  });

  it('a body that is no JSON by its own word', async () => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/yaml'])
      expect((await call('PUT', '/v1/services/a', '{}', type)).status).toBe(415);
  });
});

describe('bodies that are meant to hurt', () => {
  const nested = (depth: number) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;

  it('are refused where they are nested deeply', async () => {
    await call('PUT', '/v1/services/a', {});
    for (const depth of [17, 100_000]) {
      const patch = `{"rate":${nested(depth)}}`;
      expect(await call('PATCH', '/v1/services/a', patch)).toMatchObject({
        status: 422,
        body: { mistakes: [{ path: 'rate' }] },
      });
      expect((await call('PUT', '/v1/services/a', patch)).status).toBe(422);
      expect((await call('POST', '/v1/services', `{"services":[${patch}]}`)).status).toBe(422);
    }
    expect((await call('PATCH', '/v1/services/a', { rate: { up: '1mbit' } })).status).toBe(200);
  });

  it('are answered with a thousand mistakes at most', async () => {
    await call('PUT', '/v1/services/a', {});
    const keys = Object.fromEntries(Array.from({ length: 5_000 }, (_, at) => [`key-${at}`, at]));
    for (const [method, path] of [
      ['PATCH', '/v1/services/a'],
      ['PUT', '/v1/services/a'],
      ['POST', '/v1/services'],
    ] as const) {
      const { status, body } = await call(method, path, keys);
      expect([status, (body['mistakes'] as unknown[]).length]).toEqual([422, 1_000]);
    }
  });

  it('name the place in what was sent where a user stands twice', async () => {
    const user = { username: 'u', password: 'p' };
    const { body } = await call('PUT', '/v1/services/a', { users: [user, user] });
    expect(body['mistakes']).toMatchObject([
      { path: 'users[1].username', message: 'user name "u" is already used at users[0].username' },
    ]);
  });
});
