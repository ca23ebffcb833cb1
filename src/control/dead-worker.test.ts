import { fstatSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { LIST_SERVICE } from '../layout/lists.ts';
import { WORKER_DIED } from '../layout/reasons.ts';
import { CLIENT, SERVER, SLOT_ENDED, SLOT_FREE, SLOT_RELAYING } from '../layout/slot.ts';
import { attachTables, createTables } from '../layout/tables.ts';
import { createLibc } from '../sys/libc/libc.ts';
import { settleDeadWorker } from './dead-worker.ts';

const sys = createLibc();
const limits = {
  workers: 2,
  slotsPerWorker: 8,
  pipesPerWorker: 4,
  services: 1,
  credentials: 1,
  serverNames: 1,
  targets: 1,
  sources: 1024,
  networkWords: 1024,
  ruleWords: 65_536,
  receipts: 64,
  isIndexed: true,
};

function isOpen(fd: number): boolean {
  try {
    fstatSync(fd);
    return true;
  } catch {
    return false;
  }
}

describe('a dead worker', () => {
  it('loses its descriptors, connections and share of the budget; a live one keeps its own', () => {
    const tables = attachTables(createTables(limits, new Int32Array(4)));
    const mine: number[] = [];
    const others: number[] = [];
    const open = (of: number[]) => {
      const fd = sys.eventfd();
      of.push(fd);
      return fd;
    };
    for (const [worker, of] of [mine, others].entries()) {
      const slots = tables.slots[worker];
      const pipes = tables.pipes[worker];
      if (slots === undefined || pipes === undefined) throw new Error('no tables');
      for (const slot of [0, 2]) {
        slots.setFd(slot, CLIENT, open(of));
        slots.setFd(slot, SERVER, slot === 0 ? open(of) : -1);
        slots.setState(slot, SLOT_RELAYING);
        slots.setGeneration(slot, 5);
      }
      pipes.setReadFd(1, open(of));
      pipes.setWriteFd(1, open(of));
      tables.workers.setEpollFd(worker, open(of));
      tables.workers.setSpareFd(worker, open(of));
      tables.workers.setDescriptors(worker, 6);
      tables.workers.setConnections(worker, 2);
      tables.machine.addDescriptors(0, 6);
    }
    expect(settleDeadWorker(sys, tables, 0)).toEqual({ connections: 2, descriptors: 7 });
    expect(mine.some(isOpen)).toBe(false);
    expect(others.every(isOpen)).toBe(true);
    expect(tables.machine.descriptors(0)).toBe(6);
    expect(tables.workers.descriptors(0)).toBe(0);
    expect(tables.workers.connections(0)).toBe(0);
    expect(tables.workers.ended(0, WORKER_DIED)).toBe(2);
    expect(tables.slots[0]?.generation(0)).toBe(6);
    expect(tables.slots[0]?.state(0)).toBe(SLOT_FREE);
    expect(tables.slots[1]?.generation(0)).toBe(5);
    // Once more finds nothing: no number is closed twice, whoever has it now.
    expect(settleDeadWorker(sys, tables, 0)).toEqual({ connections: 0, descriptors: 0 });
    settleDeadWorker(sys, tables, 1);
  });

  it('pins no rules any more, and nobody shows its names', () => {
    const tables = attachTables(createTables(limits, new Int32Array(4)));
    const facts = tables.facts[0];
    tables.slots[0]?.setGeneration(2, 5);
    tables.slots[0]?.setFd(2, CLIENT, -1);
    tables.slots[0]?.setFd(2, SERVER, -1);
    facts?.setPinned(2, 4);
    facts?.setNameBytes(2, 9);
    tables.snapshots.addPins(3, 2);
    settleDeadWorker(sys, tables, 0);
    settleDeadWorker(sys, tables, 0);
    // The other one is somebody else's.
    expect(tables.snapshots.pins(3)).toBe(1);
    expect(facts?.nameBytes(2)).toBe(0);
  });

  it('leaves no lists behind, gives its source entries back, and has the use of its connections looked at', () => {
    const tables = attachTables(createTables(limits, new Int32Array(4)));
    const slots = tables.slots[0];
    const [usage, ring, lists] = [tables.usage[0], tables.dirty[0], tables.lists[0]];
    // Two of one row, one of another that is marked already, one of which nobody knew whose it was, one that had ended.
    for (const [slot, row, entry] of [
      [0, 1, 7],
      [1, 1, 7],
      [2, 2, 9],
      [3, -1, -1],
      [4, 3, 8],
    ] as const) {
      slots?.setGeneration(slot, slot === 4 ? 4 : 5);
      slots?.setFd(slot, CLIENT, -1);
      slots?.setFd(slot, SERVER, -1);
      slots?.setState(slot, slot === 4 ? SLOT_ENDED : SLOT_RELAYING);
      slots?.setUsage(slot, row);
      slots?.setSourceEntry(slot, entry);
    }
    usage?.setDirty(2, 1);
    lists?.addCount(LIST_SERVICE, 1, 2);
    lists?.setFirst(LIST_SERVICE, 1, 0);
    const released: number[] = [];
    settleDeadWorker(sys, tables, 0, (entry) => released.push(entry));
    expect(released).toEqual([7, 7, 9]);
    expect([lists?.count(LIST_SERVICE, 1), lists?.first(LIST_SERVICE, 1)]).toEqual([0, -1]);
    expect([1, 2, 3].map((row) => usage?.dirty(row))).toEqual([1, 1, 0]);
    expect([ring?.count, ring?.shift()]).toEqual([1, 1]);
  });

  it('does not believe the stale words of a slot that had ended', () => {
    const tables = attachTables(createTables(limits, new Int32Array(4)));
    const fd = sys.eventfd();
    tables.slots[0]?.setFd(3, CLIENT, fd);
    tables.slots[0]?.setState(3, SLOT_ENDED);
    tables.slots[0]?.setGeneration(3, 4);
    expect(settleDeadWorker(sys, tables, 0)).toEqual({ connections: 0, descriptors: 0 });
    expect(isOpen(fd)).toBe(true);
    expect(tables.slots[0]?.generation(3)).toBe(4);
    expect(tables.slots[0]?.state(3)).toBe(SLOT_FREE);
    sys.close(fd);
  });
});
