// The shared tables as a whole: sized once at start, handed to each thread as one object of buffers, laid out anew by
// each. Memory that no record has touched costs nothing but address space.

import { HashTable, hashTableBytes } from '../memory/hash-table.ts';
import { Ring, ringBytes } from '../memory/ring.ts';
import { ListHeads, listHeadsBytes } from './lists.ts';
import type { ListKeys } from './lists.ts';
import { receiptType } from './receipt.ts';
import type { ReceiptTable } from './receipt.ts';
import { factsType } from './facts.ts';
import type { FactsTable } from './facts.ts';
import { SNAPSHOTS_MAX, snapshotType } from './rules.ts';
import type { SnapshotTable } from './rules.ts';
import { sourceType } from './source.ts';
import type { SourceTable } from './source.ts';
import { SPARE_ROWS } from './spare-rows.ts';
import { usageRows, usageType } from './usage.ts';
import type { UsageTable } from './usage.ts';
import { credentialType, serviceType, targetType } from './service.ts';
import type { CredentialTable, ServiceTable, TargetTable } from './service.ts';
import { slotType } from './slot.ts';
import type { SlotTable } from './slot.ts';
import { machineType, pipeType, workerType } from './worker.ts';
import type { MachineTable, PipeTable, WorkerTable } from './worker.ts';

/** Bounds of the tables. All are counts of records. */
export interface TableLimits {
  readonly workers: number;
  readonly slotsPerWorker: number;
  readonly pipesPerWorker: number;
  readonly services: number;
  readonly credentials: number;
  readonly serverNames: number;
  readonly targets: number;
  /** Source entries; a power of two. */
  readonly sources: number;
  /** Words of all services' source networks. */
  readonly networkWords: number;
  /** Words of the arena of rules. */
  readonly ruleWords: number;
  /** Of each worker; a power of two. */
  readonly receipts: number;
  /** False only for the benchmark that measures what the lists cost: nothing can be evicted then. */
  readonly isIndexed: boolean;
}

/** Bounds of a plan: inbounds and outbounds each; and rules that lists are kept for, those that have gone with them. */
export const PLAN_OBJECTS_MAX = 1_024;
export const RULE_KEYS_MAX = 65_536;

/** Keys of each kind of list, in the order of LIST_*. */
function listKeys(limits: TableLimits): ListKeys {
  return [
    limits.sources,
    limits.services + SPARE_ROWS,
    limits.credentials,
    PLAN_OBJECTS_MAX,
    PLAN_OBJECTS_MAX,
    RULE_KEYS_MAX,
  ];
}

/** What crosses to another thread. */
export interface SharedTables {
  readonly limits: TableLimits;
  /** Key of every keyed hash in this process: four random words. */
  readonly hashKey: Int32Array;
  readonly machine: SharedArrayBuffer;
  readonly workers: SharedArrayBuffer;
  readonly slots: readonly SharedArrayBuffer[];
  readonly pipes: readonly SharedArrayBuffer[];
  readonly services: SharedArrayBuffer;
  readonly credentials: SharedArrayBuffer;
  readonly targets: SharedArrayBuffer;
  readonly userNames: SharedArrayBuffer;
  readonly serverNames: SharedArrayBuffer;
  /** By worker. */
  readonly lists: readonly SharedArrayBuffer[];
  readonly usage: readonly SharedArrayBuffer[];
  readonly dirty: readonly SharedArrayBuffer[];
  readonly receipts: readonly SharedArrayBuffer[];
  readonly receiptRings: readonly SharedArrayBuffer[];
  readonly released: readonly SharedArrayBuffer[];
  readonly supplies: readonly SharedArrayBuffer[];
  readonly sources: SharedArrayBuffer;
  readonly sourceBuckets: SharedArrayBuffer;
  readonly networks: SharedArrayBuffer;
  /** By worker. */
  readonly facts: readonly SharedArrayBuffer[];
  readonly snapshots: SharedArrayBuffer;
  readonly rules: SharedArrayBuffer;
}

/** What a thread works with. */
export interface Tables {
  readonly shared: SharedTables;
  readonly machine: MachineTable;
  readonly workers: WorkerTable;
  /** By worker. */
  readonly slots: readonly SlotTable[];
  readonly pipes: readonly PipeTable[];
  readonly services: ServiceTable;
  readonly credentials: CredentialTable;
  readonly targets: TargetTable;
  /** User name → credential index. */
  readonly userNames: HashTable;
  /** Server name, or the name after `*.` → service row; the two kinds are hashed with different keys. */
  readonly serverNames: HashTable;
  /** By worker: heads of its lists. */
  readonly lists: readonly ListHeads[];
  /** By worker: its counters for each service and credential; and the rows that it has marked dirty (values: rows). */
  readonly usage: readonly UsageTable[];
  readonly dirty: readonly Ring[];
  /** By worker: receipts, and the ring whose positions are their indexes. */
  readonly receipts: readonly ReceiptTable[];
  readonly receiptRings: readonly Ring[];
  /** By worker: source entries that nobody holds any more (worker → control), and entries to use again (control → worker). */
  readonly released: readonly Ring[];
  readonly supplies: readonly Ring[];
  readonly sources: SourceTable;
  /** First entry of each bucket, + 1; twice as many as entries. */
  readonly sourceBuckets: Int32Array;
  /** Blocks of networks (ServiceTable.sources). The control thread places them. */
  readonly networks: Int32Array;
  /** By worker: what rules know of a slot beside it. */
  readonly facts: readonly FactsTable[];
  readonly snapshots: SnapshotTable;
  /** The arena of rules (layout/rules.ts). The compiler writes. */
  readonly rules: Int32Array;
}

/** Reserves the memory. Once a process. `hashKey`: four random words. */
export function createTables(limits: TableLimits, hashKey: Int32Array): SharedTables {
  const each = (bytes: number) => Array.from({ length: limits.workers }, () => new SharedArrayBuffer(bytes));
  return {
    limits,
    hashKey,
    machine: new SharedArrayBuffer(machineType.recordBytes),
    workers: new SharedArrayBuffer(workerType.recordBytes * limits.workers),
    slots: each(slotType.recordBytes * limits.slotsPerWorker),
    pipes: each(pipeType.recordBytes * limits.pipesPerWorker),
    services: new SharedArrayBuffer(serviceType.recordBytes * (limits.services + SPARE_ROWS)),
    credentials: new SharedArrayBuffer(credentialType.recordBytes * limits.credentials),
    targets: new SharedArrayBuffer(targetType.recordBytes * (limits.targets + SPARE_ROWS)),
    userNames: new SharedArrayBuffer(hashTableBytes(limits.credentials)),
    serverNames: new SharedArrayBuffer(hashTableBytes(limits.serverNames)),
    lists: each(listHeadsBytes(listKeys(limits))),
    usage: each(usageType.recordBytes * usageRows(limits.services, limits.credentials)),
    dirty: each(ringBytes(dirtyCapacity(limits))),
    receipts: each(receiptType.recordBytes * limits.receipts),
    receiptRings: each(ringBytes(limits.receipts)),
    released: each(ringBytes(limits.sources)),
    supplies: each(ringBytes(limits.sources)),
    sources: new SharedArrayBuffer(sourceType.recordBytes * limits.sources),
    sourceBuckets: new SharedArrayBuffer(limits.sources * 2 * 4),
    networks: new SharedArrayBuffer(limits.networkWords * 4),
    facts: each(factsType.recordBytes * limits.slotsPerWorker),
    snapshots: new SharedArrayBuffer(snapshotType.recordBytes * SNAPSHOTS_MAX),
    rules: new SharedArrayBuffer(limits.ruleWords * 4),
  };
}

/**
 * Between two times that the ring is emptied a row comes into it twice at most, since its mark is taken away once at most,
 * so that it can't be full.
 */
function dirtyCapacity(limits: TableLimits): number {
  return 2 ** Math.ceil(Math.log2(2 * usageRows(limits.services, limits.credentials)));
}

/** Lays the views of this thread over the shared memory. */
export function attachTables(shared: SharedTables): Tables {
  const { limits } = shared;
  return {
    shared,
    machine: machineType.attach(shared.machine, 0, 1),
    workers: workerType.attach(shared.workers, 0, limits.workers),
    slots: shared.slots.map((buffer) => slotType.attach(buffer, 0, limits.slotsPerWorker)),
    pipes: shared.pipes.map((buffer) => pipeType.attach(buffer, 0, limits.pipesPerWorker)),
    services: serviceType.attach(shared.services, 0, limits.services + SPARE_ROWS),
    credentials: credentialType.attach(shared.credentials, 0, limits.credentials),
    targets: targetType.attach(shared.targets, 0, limits.targets + SPARE_ROWS),
    userNames: new HashTable(shared.userNames, 0, limits.credentials),
    serverNames: new HashTable(shared.serverNames, 0, limits.serverNames),
    lists: shared.lists.map((buffer) => new ListHeads(buffer, listKeys(limits))),
    usage: shared.usage.map((buffer) =>
      usageType.attach(buffer, 0, usageRows(limits.services, limits.credentials)),
    ),
    dirty: shared.dirty.map((buffer) => new Ring(buffer, dirtyCapacity(limits))),
    receipts: shared.receipts.map((buffer) => receiptType.attach(buffer, 0, limits.receipts)),
    receiptRings: shared.receiptRings.map((buffer) => new Ring(buffer, limits.receipts)),
    released: shared.released.map((buffer) => new Ring(buffer, limits.sources)),
    supplies: shared.supplies.map((buffer) => new Ring(buffer, limits.sources)),
    sources: sourceType.attach(shared.sources, 0, limits.sources),
    sourceBuckets: new Int32Array(shared.sourceBuckets),
    networks: new Int32Array(shared.networks),
    facts: shared.facts.map((buffer) => factsType.attach(buffer, 0, limits.slotsPerWorker)),
    snapshots: snapshotType.attach(shared.snapshots, 0, SNAPSHOTS_MAX),
    rules: new Int32Array(shared.rules),
  };
}
