// The sweeper of source entries with workers that the test plays: what is released leaves the table, and is used again when nobody can stand
// on it any more, not sooner.

import { describe, expect, it } from 'vitest';
import { Sources } from '../../src/connection/sources.ts';
import { NO_ENTRY, SourceIndex } from '../../src/layout/source-index.ts';
import { ANY_SERVICE } from '../../src/layout/source.ts';
import { attachTables, createTables } from '../../src/layout/tables.ts';
import type { TableLimits } from '../../src/layout/tables.ts';
import { MAPPED_WORD } from '../../src/sys/socket-address.ts';
import { createSourceSweeper } from '../../src/control/source-sweeper.ts';

const ENTRIES = 16;
const WORKERS = 2;

function setUp(changes: Partial<TableLimits> = {}) {
  const limits = {
    workers: WORKERS,
    slotsPerWorker: 2,
    pipesPerWorker: 1,
    services: 4,
    credentials: 1,
    serverNames: 1,
    targets: 1,
    sources: ENTRIES,
    networkWords: 64,
    ruleWords: 65_536,
    receipts: 1,
    isIndexed: true,
    ...changes,
  };
  const tables = attachTables(createTables(limits, Int32Array.of(1, 2, 3, 4)));
  const index = new SourceIndex(tables.sources, tables.sourceBuckets, tables.shared.hashKey);
  const quiet: (() => void)[] = [];
  const sweeper = createSourceSweeper(tables, {
    whenQuiescent: () => new Promise((resolve) => void quiet.push(resolve)),
  });
  const workers = Array.from({ length: WORKERS }, (_, worker) => new Sources(tables, worker));
  return {
    tables,
    index,
    sweeper,
    /** As the worker does for a connection from 10.0.0.`host`. */
    hold(worker: number, service: number, host: number): number {
      const slots = tables.slots[worker];
      for (const [at, word] of [0, 0, MAPPED_WORD, 0x0a000000 | host].entries())
        slots?.setSource(0, at, word);
      return workers[worker]?.hold(0, service) ?? NO_ENTRY;
    },
    release: (worker: number, entry: number) => workers[worker]?.release(entry),
    /** Every worker has turned. */
    async turn() {
      for (const resolve of quiet.splice(0)) resolve();
      await Promise.resolve();
      await Promise.resolve();
    },
    supplied: () => tables.supplies.reduce((sum, { count }) => sum + count, 0),
  };
}

describe('the sweeper of source entries', () => {
  it('gives entries back when every worker has turned, and looks at no others', async () => {
    const { sweeper, hold, release, turn, supplied, index } = setUp();
    const stays = hold(0, 0, 1);
    const goes = hold(1, 1, 2);
    expect(sweeper.sweep()).toBe(0);
    release(1, goes);
    // With it goes the entry of its address.
    expect(sweeper.sweep()).toBe(2);
    expect(index.find(1, 0, 0, MAPPED_WORD, 0x0a000002)).toBe(NO_ENTRY);
    expect(index.find(ANY_SERVICE, 0, 0, MAPPED_WORD, 0x0a000002)).toBe(NO_ENTRY);
    expect(supplied()).toBe(0);
    await turn();
    expect(supplied()).toBe(2);
    expect(index.find(0, 0, 0, MAPPED_WORD, 0x0a000001)).toBe(stays);
  });

  it('waits for one batch before it takes the next one out', async () => {
    const { sweeper, hold, release, turn, supplied } = setUp();
    const [first, second] = [hold(0, 0, 1), hold(0, 0, 2)];
    release(0, first);
    expect(sweeper.sweep()).toBe(2);
    release(0, second);
    expect(sweeper.sweep()).toBe(0);
    await turn();
    expect(sweeper.sweep()).toBe(2);
    await turn();
    expect(supplied()).toBe(4);
  });

  it('keeps the address while another service has it, and the entry that is held again', () => {
    const { sweeper, hold, release, index } = setUp();
    const [ofOne, ofOther] = [hold(0, 0, 1), hold(1, 1, 1)];
    release(0, ofOne);
    release(1, ofOther);
    expect(hold(0, 1, 1)).toBe(ofOther);
    expect(sweeper.sweep()).toBe(1);
    expect(index.find(ANY_SERVICE, 0, 0, MAPPED_WORD, 0x0a000001)).not.toBe(NO_ENTRY);
    release(0, ofOther);
    expect(sweeper.sweep()).toBe(0);
  });

  it('serves a table that is used over and over: nothing is lost', async () => {
    const { sweeper, hold, release, turn, supplied, tables } = setUp();
    for (let round = 0; round < 50; round++) {
      // Eight sources take all sixteen entries, half of them on either worker.
      const held = Array.from({ length: ENTRIES / 2 }, (_, host) => [
        host % 2,
        hold(host % 2, 0, round * 8 + host),
      ]);
      for (const [, entry] of held) expect(entry).not.toBe(NO_ENTRY);
      for (const [worker, entry] of held) release(worker as number, entry as number);
      expect(sweeper.sweep()).toBe(ENTRIES);
      await turn();
      expect(supplied()).toBe(ENTRIES);
      // Each worker has its share.
      expect(tables.supplies.map(({ count }) => count)).toEqual([ENTRIES / 2, ENTRIES / 2]);
    }
    expect(tables.machine.sourcesTouched(0)).toBe(ENTRIES);
  });

  it('releases for a worker that has died', async () => {
    const { sweeper, hold, turn, supplied } = setUp();
    const entry = hold(0, 0, 1);
    hold(1, 0, 1);
    sweeper.release(entry);
    expect(sweeper.sweep()).toBe(0);
    sweeper.release(entry);
    expect(sweeper.sweep()).toBe(2);
    await turn();
    expect(supplied()).toBe(2);
  });

  it('refuses who comes while all entries are in use, and no longer', async () => {
    const { sweeper, hold, release, turn } = setUp();
    const held = Array.from({ length: ENTRIES / 2 }, (_, host) => hold(0, 0, host));
    expect([hold(0, 0, 99), hold(1, 1, 99)]).toEqual([NO_ENTRY, NO_ENTRY]);
    release(0, held[3] as number);
    sweeper.sweep();
    expect(hold(1, 1, 99)).toBe(NO_ENTRY);
    await turn();
    expect(hold(0, 0, 99)).toBe(NO_ENTRY);
    expect(hold(1, 1, 99)).toBe(NO_ENTRY);
  });

  it('walks the members of one address once a sweep, however many go', async () => {
    const services = 32_768;
    const { sweeper, hold, release, turn, tables, supplied } = setUp({ services, sources: 65_536 });
    const entries = Array.from({ length: services }, (_, service) => hold(0, service, 1));
    expect(entries.every((entry) => entry !== NO_ENTRY)).toBe(true);
    // The oldest stand at the end of the chain: to look for each from its head would be half a billion steps.
    for (const entry of entries) release(0, entry);
    const before = process.cpuUsage();
    sweeper.sweep();
    // It goes on by itself while there are more.
    for (let turns = 0; turns < 6; turns++) await turn();
    const { user, system } = process.cpuUsage(before);
    expect(supplied()).toBe(services + 1);
    expect((user + system) / 1_000).toBeLessThan(500);
    expect(tables.sources.members(tables.sources.addressEntry(entries[0] as number))).toBe(0);
  });
});
