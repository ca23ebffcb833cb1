// The shared tables as a whole: sized once at start, handed to each thread as one object of buffers, laid out anew by
// each. Memory that no record has touched costs nothing but address space.

import { HashTable, hashTableBytes } from '../memory/hash-table.ts';
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
}

/**
 * Rows behind the last service and the last target, one a worker: those that it warms itself with (path/warm.ts). No name
 * leads to them.
 */
export const SPARE_ROWS = 64;

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
  };
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
  };
}
