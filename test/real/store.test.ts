// The keeper as a thread, and the store after a death: of the thread, and of the whole process by SIGKILL.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, it } from 'vitest';
import type { UsageDelta } from '../../src/layout/keeper-messages.ts';
import { openSqlite } from '../../src/keeper/sqlite.ts';
import { openStore } from '../../src/keeper/store.ts';
import { costMsOf } from '../cost.ts';
import { atEnd } from './harness/at-end.ts';
import { makeDirectory, SLUICE, startDaemon } from './harness/daemon.ts';
import { createKeptTables } from './harness/keeper.ts';
import { run } from './harness/programs.ts';
import { until } from './harness/until.ts';

const BUILT = new URL('../../dist/src/', import.meta.url).href;
const USAGE_EVERY_MS = 50;
/** What may be missing after SIGKILL, and what the times of two processes differ by at most. */
const MISSING_MS_MAX = 1_000;
const KILLS = 3;

/** Accounts one connection each time, and says when it did: what a control thread does with its hot set. */
const ACCOUNTANT = `
import { Worker } from 'node:worker_threads';
const { createKeeper } = await import('${BUILT}control/keeper-link.js');
const { attachTables, createTables } = await import('${BUILT}layout/tables.js');
const [storePath] = process.argv.slice(1);
const limits = { workers: 1, slotsPerWorker: 4, pipesPerWorker: 1, services: 4, credentials: 4, serverNames: 4,
  targets: 4, sources: 1024, networkWords: 1024, receipts: 64, isIndexed: true };
const tables = attachTables(createTables(limits, new Int32Array(4)));
const say = (facts) => process.stderr.write(JSON.stringify(facts));
const keeper = createKeeper({
  tables, storePath, accessLog: null, log: { info: say, warn: say, error: say },
  spawn: (start) => new Worker(new URL('${BUILT}keeper.js'), { workerData: start, transferList: [start.port], execArgv: [] }),
});
const loaded = await keeper.start();
console.log(JSON.stringify({ loaded: loaded.usage[0]?.connections ?? 0 }));
setInterval(() => {
  const atMs = Date.now();
  const delta = { service: 's', username: 'u', upBytes: 10, downBytes: 0, connections: 1, refused: [], atMs };
  keeper.usage([delta]);
  console.log(JSON.stringify({ atMs }));
}, ${USAGE_EVERY_MS});
`;

function delta(upBytes: number): UsageDelta {
  return { service: 's', username: '', upBytes, downBytes: 0, connections: 1, refused: [], atMs: Date.now() };
}

describe('a process that is killed while it accounts', () => {
  it('leaves a file that opens, and lacks at most the last second, each time', async () => {
    const storePath = join(makeDirectory(), 'store.db');
    let before = 0;
    for (let kill = 0; kill < KILLS; kill++) {
      const child = spawn(process.execPath, ['--input-type=module', '-e', ACCOUNTANT, storePath], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      atEnd(() => void child.kill('SIGKILL'));
      const accounted: number[] = [];
      let loaded = -1;
      createInterface(child.stdout).on('line', (line) => {
        const said = JSON.parse(line) as { loaded?: number; atMs?: number };
        if (said.atMs !== undefined) accounted.push(said.atMs);
        else loaded = said.loaded ?? -1;
      });
      // Never at the same place between two commits.
      await until('it has accounted for a while', () => accounted.length >= 40 + kill * 3);
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      const killedMs = Date.now();
      await ended;
      expect(loaded).toBe(before);

      const store = openStore(storePath);
      const [usage] = store.load().usage;
      store.close();
      const database = openSqlite(storePath);
      expect(database.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' });
      database.close();
      const stored = usage?.connections ?? 0;
      const mustBeThere = accounted.filter((atMs) => atMs < killedMs - MISSING_MS_MAX).length;
      expect(mustBeThere).toBeGreaterThan(10);
      expect(stored - before).toBeGreaterThanOrEqual(mustBeThere);
      // One may have been accounted and not been said.
      expect(stored - before).toBeLessThanOrEqual(accounted.length + 1);
      expect(usage?.upBytes).toBe(stored * 10);
      before = stored;
    }
  });
});

describe('the daemon', () => {
  const INBOUND = { type: 'socks5', listen: '127.0.0.1:0' };

  it('is not started where its store cannot be used, and says which file and why', async () => {
    const directory = makeDirectory();
    const file = join(directory, 'edge.yaml');
    writeFileSync(file, JSON.stringify({ workers: 1, store: './missing/store.db', inbounds: [INBOUND] }));
    const { code, stderr } = await run([SLUICE, 'run', '-c', file], { directory });
    expect([code, stderr]).toEqual([1, expect.stringContaining('"code":"store_unusable"')]);
    expect(stderr).toContain(join(directory, 'missing', 'store.db'));
  });

  it('shares its store with no other daemon, and leaves one file, for its owner only', async () => {
    const daemon = await startDaemon({ inbounds: [INBOUND] });
    const store = join(daemon.directory, 'sluice.db');
    const directory = makeDirectory();
    const file = join(directory, 'edge.yaml');
    writeFileSync(
      file,
      JSON.stringify({ workers: 1, store, inbounds: [INBOUND], admin: { socket: './own.sock' } }),
    );
    const { code, stderr } = await run([SLUICE, 'run', '-c', file], { directory });
    expect([code, stderr]).toEqual([1, expect.stringContaining('another process has it open')]);
    expect(await daemon.stop()).toBe(0);
    const left = readdirSync(daemon.directory).filter((name) => name.startsWith('sluice.db'));
    expect(left).toEqual(['sluice.db']);
    expect(statSync(store).mode & 0o777).toBe(0o600);
  });
});

describe('the keeper as a thread', () => {
  it('hands back what it was given, after it was closed and started again', async () => {
    const storePath = join(makeDirectory(), 'store.db');
    const first = createKeptTables(storePath);
    expect(await first.link.start()).toEqual({
      ...{ services: [], usage: [], evictions: [], lastEvictionId: 0, revisionHighest: 0 },
      rules: { revision: 0, rules: '[]' },
    });
    const service = { name: 's', revision: 3, definition: '{"name":"s"}' };
    await first.link.putServices([service, { ...service, name: 'gone' }]);
    await first.link.deleteServices(['gone']);
    first.link.usage([delta(5)]);
    const eviction = {
      ...{ id: 9, atMs: 1, request: '{}', total: 1, matched: 1, closed: 1 },
      ...{ durationUs: 1, workerUs: 1, state: 'done', note: null, lastGoneAtMs: 2 },
    };
    first.link.eviction(eviction);
    await first.link.flush();
    first.link.usage([delta(6)]);
    await first.link.close();

    const second = createKeptTables(storePath);
    const loaded = await second.link.start();
    expect(loaded.services).toEqual([service]);
    expect(loaded.usage).toMatchObject([{ service: 's', upBytes: 11, connections: 2 }]);
    expect([loaded.evictions, loaded.lastEvictionId, loaded.revisionHighest]).toEqual([[eviction], 9, 4]);
    expect([...first.logged, ...second.logged]).toEqual([]);
  });

  it('refuses to start on a file that is no store, naming it', async () => {
    const directory = makeDirectory();
    const { link } = createKeptTables(directory);
    await expect(link.start()).rejects.toMatchObject({
      code: 'store_unusable',
      message: expect.stringContaining(directory),
    });
    await link.close();
  });

  it('is replaced when it dies; what waits for an answer fails, what is sent meanwhile is kept', async () => {
    const storePath = join(makeDirectory(), 'store.db');
    const { link, threads, logged } = createKeptTables(storePath);
    await link.start();
    await link.putServices([{ name: 's', revision: 1, definition: '{}' }]);
    link.usage([delta(1)]);
    await link.flush();
    for (let death = 1; death <= 3; death++) {
      await threads.at(-1)?.terminate();
      await until('its death was noticed', () => logged.length === death);
      await expect(link.putServices([])).rejects.toMatchObject({ code: 'store_failed', retryable: true });
      link.usage([delta(10)]);
      await until('it runs again', () => threads.length === death + 1);
      await link.flush();
    }
    expect(logged).toMatchObject(Array.from({ length: 3 }, () => ({ event: 'keeper_died' })));
    expect(link.statistics().storeState).toBe('ok');
    await link.close();
    const store = openStore(storePath);
    expect(store.load().usage).toMatchObject([{ service: 's', upBytes: 31 }]);
    store.close();
  });

  it('fails requests that nobody will answer any more', async () => {
    const { link, threads } = createKeptTables(join(makeDirectory(), 'store.db'));
    await link.start();
    const services = Array.from({ length: 100_000 }, (_, i) => ({
      name: `s${i}`,
      revision: 1,
      definition: '{}',
    }));
    expect(await costMsOf(() => link.putServices(services))).toBeLessThan(1_500);
    const asked = link.putServices(services);
    void threads.at(-1)?.terminate();
    await expect(asked).rejects.toMatchObject({ code: 'store_failed' });
    await link.close();
    await expect(link.flush()).rejects.toMatchObject({ code: 'store_failed' });
  });
});
