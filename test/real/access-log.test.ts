// The access log of a running daemon: a line for each connection that ended, with names; sampled, filtered, rotated,
// switched on and off by reloads; and a keeper's thread that drains rings which somebody fills all the time.

import { existsSync, readFileSync, renameSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { FINISHED } from '../../src/layout/reasons.ts';
import { RECEIPTS_WHOLE } from '../../src/layout/worker.ts';
import { connectTo } from './harness/client.ts';
import { type Daemon, makeDirectory, startDaemon, type Written } from './harness/daemon.ts';
import { createKeptTables } from './harness/keeper.ts';
import { echo, startServer } from './harness/origin.ts';
import { run } from './harness/programs.ts';
import { until } from './harness/until.ts';

type Line = Readonly<Record<string, unknown>>;

/** Whole lines only: the last one may be on its way. */
function lines(file: string): Line[] {
  if (!existsSync(file)) return [];
  const text = readFileSync(file, 'utf8');
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);
}

/** A port where nobody listens. */
async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((done) => server.once('listening', done));
  const { port } = server.address() as { port: number };
  await new Promise((done) => server.close(done));
  return port;
}

describe('the access log of a daemon', () => {
  let daemon: Daemon;
  let file = '';
  let written: Written = {};
  let target = 0;

  beforeAll(async () => {
    target = await startServer(echo);
    const refused = await closedPort();
    written = {
      inbounds: [
        { tag: 'in', type: 'forward', listen: '127.0.0.1:0', service: 's', target: `127.0.0.1:${target}` },
        { tag: 'dead', type: 'forward', listen: '127.0.0.1:0', service: 't', target: `127.0.0.1:${refused}` },
        { tag: 'socks', type: 'socks5', listen: '127.0.0.1:0' },
      ],
      services: [{ name: 'alice', users: [{ username: 'al', password: 'secret' }] }],
    };
    daemon = await startDaemon({ ...written, access_log: {} });
    file = join(daemon.directory, 'access.log');
  });

  async function say(tag: string, text: string): Promise<void> {
    const client = await connectTo(await daemon.port(tag));
    client.send(text);
    client.finish();
    await client.rest();
    client.socket.destroy();
  }

  async function reload(changes: Written): Promise<void> {
    daemon.write({ ...written, ...changes });
    const { status, text } = await daemon.api('POST', '/v1/reload');
    expect(status, text).toBe(200);
  }

  it('has a line for each connection, by name', async () => {
    await say('in', 'hello');
    await say('dead', '');
    const socks = `al:secret@127.0.0.1:${await daemon.port('socks')}`;
    await run(
      ['curl', '-sS', '-m', '1', '--http0.9', '-x', `socks5://${socks}`, `http://127.0.0.1:${target}/`],
      {
        directory: daemon.directory,
      },
    );
    await until('three lines are there', () => lines(file).length === 3);
    // Two workers: each writes its own in order.
    const byInbound = (tag: string) => lines(file).find(({ inbound }) => inbound === tag);
    const [first, second, third] = ['in', 'dead', 'socks'].map(byInbound);
    expect(first).toMatchObject({
      service: 's',
      user: null,
      inbound: 'in',
      outbound: 'direct',
      target: `127.0.0.1:${target}`,
      bytes_up: 5,
      bytes_down: 5,
      reason: 'finished',
      ended_by: 'client',
      eviction: null,
    });
    expect(first?.['source']).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(first?.['id']).toMatch(/^[01]-\d+-\d+$/);
    expect(Math.abs(Date.parse(first?.['time'] as string) - Date.now())).toBeLessThan(10_000);
    expect(second).toMatchObject({
      service: 't',
      inbound: 'dead',
      reason: 'connect_refused',
      ended_by: 'server',
    });
    expect(third).toMatchObject({ service: 'alice', user: 'al', inbound: 'socks', outbound: 'direct' });
  });

  it('starts a new file at a reload, so that it can be rotated, and filters as the file says', async () => {
    const before = lines(file).length;
    renameSync(file, `${file}.1`);
    await reload({ access_log: { reasons: ['connect_refused'] } });
    await until('the new file is there', () => existsSync(file));
    await say('in', 'not of this reason');
    await say('dead', '');
    await until('its line is there', () => lines(file).length > 0);
    expect(lines(file)).toMatchObject([{ service: 't', reason: 'connect_refused' }]);
    expect(lines(`${file}.1`).length).toBe(before);
  });

  it('holds one of so many connections of a worker, where it is sampled', async () => {
    const sampled = join(daemon.directory, 'sampled.log');
    await reload({ access_log: { path: 'sampled.log', sample: 0.25 } });
    for (let i = 0; i < 40; i++) await say('in', 'x');
    await until('ten but for a rest of each worker', () => lines(sampled).length >= 8);
    await reload({});
    expect(lines(sampled).length).toBeLessThanOrEqual(11);
  });

  it('is off without the key, and on again with all names', async () => {
    const before = await daemon.ended('finished');
    await say('in', 'unseen');
    await until('it has ended', async () => (await daemon.ended('finished')) > before);
    const again = join(daemon.directory, 'again.log');
    await reload({ access_log: { path: './again.log', services: ['s'] } });
    await say('dead', '');
    await say('in', 'seen');
    await until('its line is there', () => lines(again).length > 0);
    expect(lines(again)).toMatchObject([{ service: 's', inbound: 'in', bytes_up: 4 }]);
  });

  it('has the lines of those that end with the daemon', async () => {
    const last = join(daemon.directory, 'last.log');
    await reload({ access_log: { path: 'last.log' } });
    const client = await connectTo(await daemon.port('in'));
    client.socket.write('still here');
    await until('its bytes came back', () => client.socket.bytesRead === 10);
    client.socket.on('error', () => {});
    expect(await daemon.stop()).toBe(0);
    expect(lines(last)).toMatchObject([
      { service: 's', reason: 'stopped', bytes_up: 10, ended_by: 'operator' },
    ]);
  });

  it('is refused with a reason that there is not', async () => {
    const other = await startDaemon({ inbounds: [{ type: 'socks5', listen: '127.0.0.1:0' }] });
    other.write({
      inbounds: [{ type: 'socks5', listen: '127.0.0.1:0' }],
      access_log: { reasons: ['evictd'] },
    });
    const { status, text } = await other.api('POST', '/v1/reload');
    expect([status, JSON.parse(text)]).toMatchObject([
      422,
      { mistakes: [{ path: 'access_log.reasons[0]', nearest: 'evicted' }] },
    ]);
  });
});

describe('the keeper as a thread of its own', () => {
  const COUNT = 50_000;

  it('takes every receipt out of rings that are filled while it looks, in order', async () => {
    const path = join(makeDirectory(), 'access.log');
    const accessLog = { path, sample: 1, reasons: [], services: [] };
    const { link, tables, logged } = createKeptTables(join(makeDirectory(), 'store.db'), accessLog, 2);
    await link.start();
    expect([tables.machine.receipts(0), tables.machine.receiptsShare(0)]).toEqual([1, RECEIPTS_WHOLE]);
    link.names([{ kind: 'service', index: 1, generation: 1, name: 'alice' }]);
    for (let written = 0; written < COUNT; ) {
      const worker = written % 2;
      const ring = tables.receiptRings[worker];
      const r = tables.receipts[worker];
      const at = ring?.claim() ?? -1;
      if (ring === undefined || r === undefined || at < 0) {
        await sleep(1);
        continue;
      }
      r.setSlot(at, written);
      r.setService(at, 1);
      r.setServiceGeneration(at, 1);
      r.setReason(at, FINISHED);
      ring.publish();
      written++;
    }
    await link.close();
    const all = lines(path);
    expect(all.length).toBe(COUNT);
    expect(new Set(all.map((line) => line['service']))).toEqual(new Set(['alice']));
    for (const worker of [0, 1]) {
      const slots = all
        .map(({ id }) => (id as string).split('-').map(Number))
        .filter(([of]) => of === worker)
        .map(([, slot]) => slot);
      expect(slots).toEqual(Array.from({ length: COUNT / 2 }, (_, i) => i * 2 + worker));
    }
    expect(link.statistics()).toMatchObject({ receiptsWritten: COUNT, accessLogErrors: 0 });
    expect(logged).toEqual([]);
  });

  it('knows all names again after it died, and writes on', async () => {
    const path = join(makeDirectory(), 'access.log');
    const accessLog = { path, sample: 0.1, reasons: [], services: [] };
    const { link, tables, threads, logged } = createKeptTables(join(makeDirectory(), 'store.db'), accessLog);
    await link.start();
    expect(tables.machine.receiptsShare(0)).toBe(Math.round(RECEIPTS_WHOLE / 10));
    link.names([{ kind: 'service', index: 1, generation: 1, name: 'told before' }]);
    await link.flush();
    await threads.at(-1)?.terminate();
    await until('its death was noticed', () => logged.length === 1);
    link.names([{ kind: 'service', index: 2, generation: 1, name: 'told meanwhile' }]);
    const r = tables.receipts[0];
    for (const service of [1, 2]) {
      const at = tables.receiptRings[0]?.claim() ?? -1;
      r?.setService(at, service);
      r?.setServiceGeneration(at, 1);
      r?.setReason(at, FINISHED);
      tables.receiptRings[0]?.publish();
    }
    await until('both lines are there', () => lines(path).length === 2);
    expect(lines(path).map((line) => line['service'])).toEqual(['told before', 'told meanwhile']);
  });
});
