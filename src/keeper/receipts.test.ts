import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { AccessLog, KeeperReport } from '../layout/keeper-messages.ts';
import { parseIp } from '../layout/ip-address.ts';
import { NameBook } from '../layout/name-book.ts';
import type { ObjectName } from '../layout/name-book.ts';
import { CONNECT_REFUSED, EVICTED, FINISHED } from '../layout/reasons.ts';
import { attachTables, createTables } from '../layout/tables.ts';
import type { Tables } from '../layout/tables.ts';
import { createLibc } from '../sys/libc/libc.ts';
import { createReceipts } from './receipts.ts';
import type { Receipts } from './receipts.ts';

const RING = 1_024;
const sys = createLibc();
let directory = '';
let path = '';
let receipts: Receipts | undefined;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-receipts-'));
  path = join(directory, 'access.log');
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});
afterEach(async () => {
  vi.useRealTimers();
  await receipts?.close();
  rmSync(directory, { recursive: true });
});

function setUp(accessLog: Partial<AccessLog> | null = {}, mail: ObjectName[] = [], afterMail = () => {}) {
  const limits = {
    workers: 2,
    slotsPerWorker: 4,
    pipesPerWorker: 1,
    services: 4,
    credentials: 4,
    serverNames: 4,
    targets: 4,
    sources: 1024,
    networkWords: 64,
    ruleWords: 65_536,
    receipts: RING,
    isIndexed: true,
  };
  const tables = attachTables(createTables(limits, new Int32Array(4)));
  const names = new NameBook();
  const reports: KeeperReport[] = [];
  receipts = createReceipts({
    tables,
    names,
    readMail() {
      names.add(mail.splice(0));
      afterMail();
    },
    report: (report) => reports.push(report),
  });
  const all = { path, sample: 1, reasons: [], services: [] };
  const configure = (changes: Partial<AccessLog> | null) =>
    (receipts as Receipts).configure(changes === null ? null : { ...all, ...changes });
  configure(accessLog);
  return { tables, names, reports, configure, receipts };
}

interface Ended {
  readonly service: number;
  readonly generation: number;
  readonly reason: number;
  readonly slot: number;
}

/** @returns false where the ring is full */
function end(tables: Tables, worker: number, ended: Partial<Ended> = {}): boolean {
  const ring = tables.receiptRings[worker];
  const r = tables.receipts[worker];
  const at = ring?.claim() ?? -1;
  if (ring === undefined || r === undefined || at < 0) return false;
  r.clear(at);
  r.setStartedMs(at, sys.nowMs() - 1_500);
  r.setTotalMs(at, 1_500);
  r.setSlot(at, ended.slot ?? 0);
  r.setGeneration(at, 7);
  for (const set of [r.setInbound, r.setCredential, r.setOutbound, r.setRule, r.setSnapshot])
    set.call(r, at, -1);
  for (const set of [r.setTargetIndex, r.setHandshakeMs, r.setConnectMs]) set.call(r, at, -1);
  r.setService(at, ended.service ?? -1);
  r.setServiceGeneration(at, ended.generation ?? 1);
  r.setReason(at, ended.reason ?? FINISHED);
  ring.publish();
  return true;
}

const lines = (file = path) =>
  readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

const SERVICE: ObjectName = { kind: 'service', index: 2, generation: 1, name: 'alice' };

describe('receipts in the access log', () => {
  it('say all that is known of a connection, in fields that are always there', () => {
    const kinds = ['service', 'user', 'inbound', 'outbound', 'target'] as const;
    const { tables } = setUp(
      {},
      kinds.map((kind, index) => ({ kind, index, generation: 1, name: `the ${kind}` })),
    );
    const before = Date.now();
    expect(end(tables, 1, { slot: 3 })).toBe(true);
    const r = tables.receipts[1] as NonNullable<(typeof tables.receipts)[1]>;
    for (let word = 0; word < 4; word++) {
      r.setSource(0, word, parseIp('192.0.2.9')?.[word] ?? 0);
      r.setTarget(0, word, parseIp('2001:db8::1')?.[word] ?? 0);
    }
    r.setSourcePort(0, 5678);
    r.setTargetPort(0, 443);
    r.setUpBytes(0, 2 ** 40);
    r.setDownBytes(0, 3);
    r.setService(0, 0);
    r.setCredential(0, 1);
    r.setCredentialGeneration(0, 1);
    r.setInbound(0, 2);
    r.setInboundGeneration(0, 1);
    r.setOutbound(0, 3);
    r.setOutboundGeneration(0, 1);
    r.setHandshakeMs(0, 4);
    r.setConnectMs(0, 9);
    r.setReason(0, EVICTED);
    r.setEviction(0, 12);
    end(tables, 0, { reason: CONNECT_REFUSED });
    vi.advanceTimersByTime(300);
    const [nothing, all] = lines();
    expect(all).toEqual({
      time: expect.any(String),
      id: '1-3-7',
      service: 'the service',
      user: 'the user',
      source: '192.0.2.9:5678',
      inbound: 'the inbound',
      outbound: 'the outbound',
      rule: null,
      snapshot: null,
      target: '[2001:db8::1]:443',
      bytes_up: 2 ** 40,
      bytes_down: 3,
      started: expect.any(String),
      gate_ms: 0,
      handshake_ms: 4,
      connect_ms: 9,
      total_ms: 1_500,
      reason: 'evicted',
      ended_by: 'operator',
      eviction: 12,
    });
    expect(Math.abs(Date.parse(all?.['time'] as string) - before)).toBeLessThan(1_000);
    expect(Date.parse(all?.['time'] as string) - Date.parse(all?.['started'] as string)).toBe(1_500);
    expect(Object.keys(nothing ?? {})).toEqual(Object.keys(all ?? {}));
    expect(nothing).toMatchObject({ service: null, user: null, source: null, target: null, eviction: null });
    expect(nothing).toMatchObject({ inbound: null, outbound: null, connect_ms: null, ended_by: 'server' });
  });

  it('name a target as the operator wrote it', () => {
    const { tables } = setUp({}, [{ kind: 'target', index: 1, generation: 1, name: 'db.example:5432' }]);
    end(tables, 0);
    tables.receipts[0]?.setTargetIndex(0, 1);
    tables.receipts[0]?.setTargetGeneration(0, 1);
    vi.advanceTimersByTime(300);
    expect(lines()[0]).toMatchObject({ target: 'db.example:5432' });
  });

  it('find the name of an object that came into being while the mail was read', () => {
    const mail: ObjectName[] = [];
    let isNew = true;
    const { tables } = setUp({}, mail, () => {
      if (!isNew) return;
      isNew = false;
      mail.push(SERVICE);
      for (const worker of [0, 1]) end(tables, worker, { service: 2 });
    });
    vi.advanceTimersByTime(500);
    expect(lines().map((line) => line['service'])).toEqual(['alice', 'alice']);
  });

  it('never carry the name of whoever got the index later', () => {
    const mail = [SERVICE];
    const { tables } = setUp({}, mail);
    end(tables, 0, { service: 2, generation: 1 });
    // Names that are on their way are there before the receipt is.
    mail.push({ ...SERVICE, generation: 3, name: 'bob' });
    end(tables, 0, { service: 2, generation: 3 });
    end(tables, 0, { service: 2, generation: 5 });
    vi.advanceTimersByTime(300);
    expect(lines().map((line) => line['service'])).toEqual(['alice', 'bob', null]);
  });

  it('come from every ring, all of them and in order, also when there are many, and make room for more', () => {
    const { tables, receipts: running } = setUp();
    let count = 0;
    for (let round = 0; round < 6; round++) {
      for (const worker of [0, 1]) {
        let slot = round * RING;
        while (end(tables, worker, { slot })) slot++;
        expect(slot).toBe((round + 1) * RING);
        count += RING;
      }
      vi.advanceTimersByTime(300);
    }
    const ids = lines().map((line) => line['id']);
    expect(ids.length).toBe(count);
    for (const worker of [0, 1]) {
      const own = ids.filter((id) => (id as string).startsWith(`${worker}-`));
      expect(own).toEqual(own.map((_, slot) => `${worker}-${slot}-7`));
    }
    expect(running.statistics()).toEqual({ receiptsWritten: count, receiptsFiltered: 0, accessLogErrors: 0 });
  });

  it('are filtered by reason and by service, and counted', () => {
    const { tables, configure, receipts: running } = setUp({ services: ['alice'] }, [SERVICE]);
    end(tables, 0, { service: 2 });
    end(tables, 0, { service: 3 });
    end(tables, 0);
    vi.advanceTimersByTime(300);
    configure({ reasons: ['evicted', 'connect_refused'] });
    for (const reason of [FINISHED, EVICTED, CONNECT_REFUSED, FINISHED]) end(tables, 0, { reason });
    vi.advanceTimersByTime(300);
    expect(lines().map((line) => [line['service'], line['reason']])).toEqual([
      ['alice', 'finished'],
      [null, 'evicted'],
      [null, 'connect_refused'],
    ]);
    expect(running.statistics()).toEqual({ receiptsWritten: 3, receiptsFiltered: 4, accessLogErrors: 0 });
  });

  it('go to the new file after a rotation, and those from before it to the old one', () => {
    const { tables, configure } = setUp();
    end(tables, 0, { slot: 1 });
    vi.advanceTimersByTime(300);
    renameSync(path, `${path}.1`);
    end(tables, 0, { slot: 2 });
    configure({});
    end(tables, 0, { slot: 3 });
    vi.advanceTimersByTime(300);
    expect(lines(`${path}.1`).map((line) => line['id'])).toEqual(['0-1-7', '0-2-7']);
    expect(lines().map((line) => line['id'])).toEqual(['0-3-7']);
  });

  it('are left alone without an access log: nothing looks at the rings', () => {
    const { tables } = setUp(null);
    end(tables, 0);
    expect(vi.getTimerCount()).toBe(0);
    expect(tables.receiptRings[0]?.count).toBe(1);
  });

  it('are lost while the file cannot be written: counted, said once, and written again as soon as it can be', () => {
    mkdirSync(path);
    const { tables, reports, receipts: running } = setUp();
    for (let i = 0; i < 5; i++) {
      end(tables, 0);
      vi.advanceTimersByTime(200);
    }
    expect(reports).toEqual([{ kind: 'access_log_failed', message: expect.stringContaining('EISDIR') }]);
    expect(running.statistics().accessLogErrors).toBe(5);
    rmdirSync(path);
    const opened = performance.now() + 1_100;
    vi.spyOn(performance, 'now').mockReturnValue(opened);
    end(tables, 0, { slot: 2 });
    vi.advanceTimersByTime(300);
    vi.restoreAllMocks();
    expect(lines().map((line) => line['id'])).toEqual(['0-2-7']);
    expect(reports.slice(1)).toEqual([{ kind: 'access_log_recovered' }]);
  });

  it('are counted as lost on a full disk', () => {
    const { tables, reports, receipts: running } = setUp({ path: '/dev/full' });
    for (let i = 0; i < 10; i++) end(tables, 0);
    vi.advanceTimersByTime(300);
    expect(running.statistics().accessLogErrors).toBe(10);
    expect(reports).toEqual([{ kind: 'access_log_failed', message: expect.stringContaining('ENOSPC') }]);
  });
});
