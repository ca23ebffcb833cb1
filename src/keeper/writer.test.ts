import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { EvictionRow, KeeperReport, UsageDelta } from '../layout/keeper-messages.ts';
import { Backlog } from './backlog.ts';
import { openStore } from './store.ts';
import type { Store } from './store.ts';
import { createWriter } from './writer.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-writer-'));
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
  rmSync(directory, { recursive: true });
});

function delta(service: string, upBytes: number, rest: Partial<UsageDelta> = {}): UsageDelta {
  return { service, username: '', upBytes, downBytes: 0, connections: 1, refused: [], atMs: 1, ...rest };
}

function eviction(id: number): EvictionRow {
  const counts = { total: 1, matched: 1, closed: 1, durationUs: 7, workerUs: 3 };
  return { id, atMs: 5, request: '{}', ...counts, state: 'done', note: null, lastGoneAtMs: 6 };
}

/** A store whose disk can be full. */
function setUp() {
  const real = openStore(join(directory, 'store.db'));
  const disk = { isFull: false };
  const orFull = <Parameters extends unknown[]>(work: (...parameters: Parameters) => void) => {
    return (...parameters: Parameters) => {
      if (disk.isFull) throw new Error('database or disk is full');
      work(...parameters);
    };
  };
  const store: Store = {
    ...real,
    commit: orFull(real.commit),
    changeServices: orFull(real.changeServices),
  };
  const reports: KeeperReport[] = [];
  const writer = createWriter(store, (report) => reports.push(report));
  const stored = () => real.load().usage.map(({ service, upBytes }) => [service, upBytes]);
  return { writer, disk, reports, stored, real };
}

describe('the writer', () => {
  it('commits usage together, at most 400 ms after the first of it came', () => {
    const { writer, stored } = setUp();
    writer.usage([delta('a', 1), delta('b', 10)]);
    vi.advanceTimersByTime(200);
    writer.usage([delta('a', 2)]);
    expect(stored()).toEqual([]);
    vi.advanceTimersByTime(200);
    expect(stored()).toEqual([
      ['a', 3],
      ['b', 10],
    ]);
    expect(writer.statistics()).toMatchObject({ commits: 1, storeState: 'ok' });
    vi.advanceTimersByTime(10_000);
    expect(writer.statistics().commits).toBe(1);
    writer.close();
  });

  it('gathers usage while the disk is full, says so once, and loses nothing', () => {
    const { writer, disk, reports, stored } = setUp();
    disk.isFull = true;
    for (let i = 0; i < 50; i++) {
      writer.usage([delta('a', 1), delta('b', 2, { refused: [['evicted', 1]] })]);
      vi.advanceTimersByTime(250);
    }
    expect(stored()).toEqual([]);
    expect(reports).toEqual([{ kind: 'store_failed', message: 'database or disk is full' }]);
    expect(writer.statistics()).toMatchObject({
      storeState: 'failed',
      storeError: 'database or disk is full',
      commits: 0,
    });
    disk.isFull = false;
    vi.advanceTimersByTime(1_100);
    expect(stored()).toEqual([
      ['a', 50],
      ['b', 100],
    ]);
    expect(reports.slice(1)).toEqual([{ kind: 'store_recovered' }]);
    expect(writer.statistics()).toMatchObject({ storeState: 'ok', storeError: null });
    writer.close();
  });

  it('answers a change of services when it is in the store, or with what went wrong', () => {
    const { writer, disk, reports, real } = setUp();
    const service = { name: 's', revision: 1, definition: '{}' };
    disk.isFull = true;
    writer.changeServices(1, [service], []);
    expect(reports).toContainEqual({
      kind: 'not_committed',
      request: 1,
      message: 'database or disk is full',
    });
    expect(real.load().services).toEqual([]);
    disk.isFull = false;
    writer.changeServices(2, [service], []);
    expect(reports.at(-1)).toEqual({ kind: 'committed', request: 2 });
    expect(real.load().services).toEqual([service]);
    writer.close();
  });

  it('has everything in the store when a flush is answered, and when it was closed', () => {
    const { writer, disk, reports, stored } = setUp();
    const many = Array.from({ length: 45_000 }, (_, i) => delta(`s${i}`, 1));
    writer.usage(many);
    writer.flush(7);
    expect(reports).toEqual([{ kind: 'committed', request: 7 }]);
    expect(stored().length).toBe(45_000);
    disk.isFull = true;
    writer.usage([delta('z', 1)]);
    writer.flush(8);
    expect(reports.at(-1)).toMatchObject({ kind: 'not_committed', request: 8 });
    disk.isFull = false;
    writer.close();
    const again = openStore(join(directory, 'store.db'));
    expect(again.load().usage.length).toBe(45_001);
    again.close();
  });
});

describe('the backlog', () => {
  it('holds the sum of what came, whatever is taken and put back', () => {
    const deltas = fc.array(fc.record({ service: fc.constantFrom('a', 'b', 'c'), upBytes: fc.nat(1_000) }));
    const step = fc.record({ deltas, max: fc.integer({ min: 1, max: 4 }), fails: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const backlog = new Backlog();
        let came = 0;
        let taken = 0;
        const take = (max: number, fails: boolean) => {
          const batch = backlog.take(max);
          expect(batch.usage.length).toBeLessThanOrEqual(max);
          if (fails) backlog.putBack(batch);
          else taken += batch.usage.reduce((sum, { upBytes }) => sum + upBytes, 0);
        };
        for (const { deltas: some, max, fails } of steps) {
          backlog.add(some.map(({ service, upBytes }) => delta(service, upBytes)));
          came += some.reduce((sum, { upBytes }) => sum + upBytes, 0);
          take(max, fails);
        }
        while (!backlog.isEmpty) take(3, false);
        expect(taken).toBe(came);
      }),
    );
  });

  it('keeps the newest 10,000 evictions, and counts the others', () => {
    const backlog = new Backlog();
    for (let id = 1; id <= 10_000; id++) backlog.addEviction(eviction(id));
    const batch = backlog.take(4);
    for (let id = 10_001; id <= 10_007; id++) backlog.addEviction(eviction(id));
    backlog.putBack(batch);
    expect(backlog.evictionsDropped).toBe(7);
    const ids = backlog.take(Infinity).evictions.map(({ id }) => id);
    expect([ids.length, ids[0], ids.at(-1)]).toEqual([10_000, 8, 10_007]);
  });
});
