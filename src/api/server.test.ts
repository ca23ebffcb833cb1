import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkConfiguration } from '../config/check.ts';
import { SluiceError } from '../control/errors.ts';
import { createEdge } from '../control/edge.ts';
import { createNames } from '../control/names.ts';
import type { ReloadResult } from '../control/reload.ts';
import { createUsageBook } from '../control/usage-book.ts';
import { createVerifier } from '../control/verifier.ts';
import { deriveNameKeys } from '../layout/name-hash.ts';
import { FINISHED, REASONS_COUNT, reasonName } from '../layout/reasons.ts';
import { attachTables, createTables } from '../layout/tables.ts';
import { createLibc } from '../sys/libc/libc.ts';
import { SocketAddress } from '../sys/socket-address.ts';
import type { ApiContext } from './context.ts';
import { startApi } from './server.ts';
import type { ApiServer } from './server.ts';

const sys = createLibc();
let directory = '';
let api: ApiServer | undefined;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-api-'));
});
afterEach(async () => {
  await api?.close();
  api = undefined;
  rmSync(directory, { recursive: true });
});

async function setUp(reload: () => ReloadResult = () => ({}) as ReloadResult, testFaults = false) {
  const text =
    'admin: { listen: "127.0.0.1:0" }\ninbounds: [{ tag: s, type: http, listen: "unix:./s.sock" }]';
  const { configuration, mistakes } = checkConfiguration(text, join(directory, 'edge.yaml'));
  if (configuration === undefined) throw new Error(JSON.stringify(mistakes));
  const limits = {
    workers: 1,
    slotsPerWorker: 1,
    pipesPerWorker: 1,
    services: 4,
    credentials: 4,
    serverNames: 4,
    targets: 4,
    sources: 1024,
    networkWords: 1024,
    ruleWords: 65_536,
    receipts: 64,
    isIndexed: true,
  };
  const tables = attachTables(createTables(limits, new Int32Array(4)));
  const edge = createEdge({
    sys,
    tables,
    address: new SocketAddress(sys),
    descriptorLimit: 1_000,
    distribute: async () => {},
  });
  await edge.apply(configuration);
  edge.closeListeners();
  tables.workers.addEnded(0, FINISHED, 3);
  tables.workers.setAccepted(0, 4);
  const state = { phase: 'running' as const, deaths: 0, stalled: false };
  const failed: number[] = [];
  const context = {
    version: '9.9.9',
    startedAtMs: Date.now(),
    tables,
    edge,
    supervisor: { states: () => [state], fail: (worker: number) => failed.push(worker) > 0 },
    names: createNames(),
    verifier: createVerifier({
      credentials: tables.credentials,
      keys: deriveNameKeys(new Int32Array(4)),
      hashOf: () => undefined,
      decoyOf: () => undefined,
    }),
    reloader: { reload: async () => reload(), last: () => undefined },
    evictions: {
      statistics: () => ({
        started: 0,
        running: 0,
        closed: 0,
        lastReconcile: { ended: 1, durationUs: 9_000, workerUs: 10, lastGoneUs: 8_000 },
      }),
    },
    keeper: {
      statistics: () => ({
        receiptsWritten: 0,
        receiptsFiltered: 0,
        accessLogErrors: 0,
        storeState: 'ok',
        storeError: null,
        commits: 0,
        evictionsDropped: 2,
        lastCommitAtMs: 0,
      }),
    },
    hotSet: { size: 0 },
    book: createUsageBook(),
    phase: () => 'ready',
    logDropped: () => 2,
    testFaults,
  } as unknown as ApiContext;
  const log = { info: () => {}, warn: () => {}, error: () => {} };
  api = await startApi(sys, configuration.admin, context, log);
  const [host = '', port = ''] = (api.address ?? '').split(':');
  const overUnix = (path: string, method = 'GET') =>
    ask({ socketPath: configuration.admin.socketPath, path, method });
  const overTcp = (path: string, headers: Record<string, string> = {}) =>
    ask({ host, port: Number(port), path, headers });
  return { state, configuration, overUnix, overTcp, failed };
}

function ask(options: object): Promise<{ status: number; type: string; text: string }> {
  return new Promise((done, failed) => {
    const outgoing = request(options, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => {
        const type = String(response.headers['content-type']).split(';')[0] as string;
        done({ status: response.statusCode ?? 0, type, text });
      });
    });
    outgoing.on('error', failed);
    outgoing.end();
  });
}

describe('admin API', () => {
  it('is open on its Unix socket, which is its owner’s', async () => {
    const { overUnix, configuration } = await setUp();
    expect(statSync(configuration.admin.socketPath).mode & 0o777).toBe(0o600);
    const { status, text } = await overUnix('/v1/status');
    expect(status).toBe(200);
    expect(JSON.parse(text)).toMatchObject({
      version: '9.9.9',
      phase: 'ready',
      ended: { finished: 3 },
      log: { dropped: 2 },
      names: { refused_source: 0 },
      totals: { accepted: 4 },
      last_reload: null,
    });
    await api?.close();
    api = undefined;
    expect(() => statSync(configuration.admin.socketPath)).toThrow('ENOENT');
  });

  it('asks for the token over TCP, but for metrics and health on loopback', async () => {
    const { overTcp, configuration } = await setUp();
    for (const path of ['/v1/status', '/v1/openapi.json', '/nothing', '/metrics/../v1/status', '//metrics']) {
      expect(await overTcp(path)).toMatchObject({ status: 401, type: 'application/problem+json' });
    }
    expect(api?.address).toBe(`127.0.0.1:${api?.endpoint?.port}`);
    expect(api?.endpoint?.words).toEqual([0, 0, 0xffff, 0x7f000001]);
    expect((await overTcp('/v1/status', { authorization: 'Bearer wrong' })).status).toBe(401);
    const token = readFileSync(configuration.admin.tokenFile, 'utf8').trim();
    expect((await overTcp('/v1/status', { authorization: `Bearer ${token}` })).status).toBe(200);
    for (const path of ['/metrics', '/healthz', '/readyz']) expect((await overTcp(path)).status).toBe(200);
  });

  it('has one metric row for every reason', async () => {
    const { overUnix } = await setUp();
    const { text, type } = await overUnix('/metrics');
    expect(type).toBe('text/plain');
    expect(text).toContain('\nsluice_reconcile_last_violator_seconds 0.008\n');
    expect(text).toContain('\nsluice_evictions_dropped_total 2\n');
    for (let reason = 1; reason < REASONS_COUNT; reason++) {
      expect(text).toContain(
        `sluice_ended_total{reason="${reasonName(reason)}"} ${reason === FINISHED ? 3 : 0}\n`,
      );
    }
    for (const line of text.trimEnd().split('\n')) {
      expect(line).toMatch(/^(# (HELP|TYPE) sluice_\w+ .+|sluice_\w+(\{\w+="[^"]*"\})? -?[0-9.e+]+)$/);
    }
  });

  it('answers mistakes of a reload with all of them', async () => {
    const mistakes = [{ path: 'a', line: 1, column: 1, found: 'x', expected: 'y', message: 'wrong' }];
    const error = new SluiceError('configuration_invalid', 'f has a mistake', { fileName: 'f', mistakes });
    const { overUnix } = await setUp(() => ({ error }) as unknown as ReloadResult);
    const { status, type, text } = await overUnix('/v1/reload', 'POST');
    expect([status, type]).toEqual([422, 'application/problem+json']);
    expect(JSON.parse(text)).toMatchObject({ code: 'configuration_invalid', mistakes, retryable: false });
  });

  it('hides what went wrong inside, and says what does not exist', async () => {
    const { overUnix } = await setUp(() => {
      throw new Error('the secret is 42');
    });
    const inside = await overUnix('/v1/reload', 'POST');
    expect(inside).toMatchObject({ status: 500, type: 'application/problem+json' });
    expect(inside.text).not.toContain('42');
    expect(await overUnix('/v1/nothing')).toMatchObject({ status: 404, type: 'application/problem+json' });
    expect((await overUnix('/v1/test/workers/0/fail', 'POST')).status).toBe(404);
  });

  it('breaks workers only where it was started for that', async () => {
    const { overUnix, failed } = await setUp(undefined, true);
    expect((await overUnix('/v1/test/workers/3/fail', 'POST')).status).toBe(202);
    expect(failed).toEqual([3]);
  });

  it('is not healthy while a worker stalls', async () => {
    const { overUnix, state } = await setUp();
    expect((await overUnix('/healthz')).status).toBe(200);
    state.stalled = true;
    expect(await overUnix('/healthz')).toMatchObject({ status: 503, type: 'application/problem+json' });
  });

  it('describes itself', async () => {
    const { overUnix } = await setUp();
    const { paths } = JSON.parse((await overUnix('/v1/openapi.json')).text) as { paths: object };
    expect(Object.keys(paths)).toEqual(expect.arrayContaining(['/v1/status', '/v1/reload', '/metrics']));
    expect(Object.keys(paths).some((path) => path.includes('test'))).toBe(false);
  });

  it('refuses a second daemon on the same socket', async () => {
    const { configuration } = await setUp();
    const log = { info: () => {}, warn: () => {}, error: () => {} };
    const second = startApi(sys, configuration.admin, { version: '1' } as ApiContext, log);
    await expect(second).rejects.toMatchObject({ code: 'admin_listen_failed' });
  });
});
