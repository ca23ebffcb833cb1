// Reads connections from the workers' slots while the workers go on: nobody is asked, nothing is locked. Control thread.
//
//   filter with a key   → the shortest of its lists is followed (connection-lists.ts), the rest of the filter is asked of each
//   any other           → the slots are looked at in their order; of a source alone, too: who is still in a handshake
//                         belongs to no service, and so stands in no list of a source
//
// Both yield the same order (worker, slot), so that a page may end anywhere and the next begins behind it. A record counts
// only if the generation was the same before and after reading it.

import { setImmediate } from 'node:timers/promises';
import { contains } from '../layout/network-set.ts';
import { DOWN, UP } from '../layout/slot.ts';
import type { SlotTable } from '../layout/slot.ts';
import type { Tables } from '../layout/tables.ts';
import { WORKER_STARTING } from '../layout/worker.ts';
import { type ConnectionFilter, countOfOneKey, slotsInLists } from './connection-lists.ts';
import type { ObjectReference } from './directory.ts';

/** A scan lets others have the thread after so many slots: less than a millisecond. */
const SLOTS_PER_TURN = 8_192;
const READ_TRIES = 4;

/** Name of a connection outside: `worker-slot-generation`. */
export interface ConnectionId {
  readonly worker: number;
  readonly slot: number;
  readonly generation: number;
}

/** What its slot says at one moment. */
export interface Connection extends ConnectionId {
  readonly state: number;
  readonly service: ObjectReference;
  readonly user: ObjectReference;
  readonly inbound: ObjectReference;
  readonly outbound: ObjectReference;
  readonly rule: number;
  readonly snapshot: number;
  /** Four words of an IPv6 address, IPv4 mapped; all 0 of a Unix socket. */
  readonly source: Int32Array;
  readonly sourcePort: number;
  readonly target: Int32Array;
  /** 0: nothing has been chosen yet. */
  readonly targetPort: number;
  /** Of a target that an operator wrote, or -1. */
  readonly targetIndex: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
  /** Of CLOCK_MONOTONIC. */
  readonly startedMs: number;
}

export interface ConnectionsPage {
  readonly connections: readonly Connection[];
  /** Where the next page begins: behind this one; undefined: there is none. */
  readonly next: Pick<ConnectionId, 'worker' | 'slot'> | undefined;
}

/** The connections behind `after` that match, in the order of (worker, slot), at most `limit`. */
export async function readConnections(
  tables: Tables,
  filter: ConnectionFilter,
  after: Pick<ConnectionId, 'worker' | 'slot'> | undefined,
  limit: number,
): Promise<ConnectionsPage> {
  const found: Connection[] = [];
  for (let worker = after?.worker ?? 0; worker < tables.slots.length; worker++) {
    if (filter.worker !== undefined && filter.worker !== worker) continue;
    // What it holds then are its own rehearsals.
    if (tables.workers.life(worker) === WORKER_STARTING) continue;
    const first = worker === after?.worker ? after.slot + 1 : 0;
    // One more than asked for tells whether there is a next page.
    await readWorker(tables, worker, filter, first, limit + 1, found);
    if (found.length > limit) break;
  }
  const connections = found.slice(0, limit);
  const last = connections.at(-1);
  const next =
    found.length > limit && last !== undefined ? { worker: last.worker, slot: last.slot } : undefined;
  return { connections, next };
}

/** The connection of that name, while it lives. */
export function readConnection(tables: Tables, id: ConnectionId): Connection | undefined {
  const slots = tables.slots[id.worker];
  if (slots === undefined || id.slot >= slots.count) return undefined;
  const connection = readSlot(slots, id.worker, id.slot);
  return connection?.generation === id.generation ? connection : undefined;
}

/** How many there are, where that is known without looking at them: of everything, or of one key. */
export function countConnections(tables: Tables, filter: ConnectionFilter): number | undefined {
  let count = 0;
  for (let worker = 0; worker < tables.slots.length; worker++) {
    if (filter.worker !== undefined && filter.worker !== worker) continue;
    const ofWorker = countOfOneKey(tables, worker, filter);
    if (ofWorker === undefined) return undefined;
    count += ofWorker;
  }
  return Math.max(0, count);
}

/** `worker-slot-generation`; undefined for anything else. */
export function parseConnectionId(text: string): ConnectionId | undefined {
  const parts = /^(\d{1,4})-(\d{1,10})-(-?\d{1,10})$/.exec(text);
  if (parts === null) return undefined;
  const [worker, slot, generation] = parts.slice(1).map(Number) as [number, number, number];
  return { worker, slot, generation };
}

/** Adds what matches from slot `first` on to `found`, until that holds `limit`. */
async function readWorker(
  tables: Tables,
  worker: number,
  filter: ConnectionFilter,
  first: number,
  limit: number,
  found: Connection[],
): Promise<void> {
  const slots = tables.slots[worker] as SlotTable;
  const listed = slotsInLists(tables, worker, filter);
  if (listed !== undefined) {
    for (const slot of listed) {
      if (found.length >= limit) return;
      if (slot < first) continue;
      const connection = readSlot(slots, worker, slot);
      if (connection !== undefined && matches(connection, filter)) found.push(connection);
    }
    return;
  }
  const highest = tables.workers.connectionsHighest(worker);
  for (let slot = first; slot < slots.count && found.length < limit; slot++) {
    // Slots are used for the first time in their order, so that one that never was ends the used ones.
    if (slots.generation(slot) === 0 && slot >= highest) return;
    if ((slot - first) % SLOTS_PER_TURN === SLOTS_PER_TURN - 1) await setImmediate();
    if (!mayMatch(slots, slot, filter)) continue;
    const connection = readSlot(slots, worker, slot);
    if (connection !== undefined && matches(connection, filter)) found.push(connection);
  }
}

/** Whether a slot is worth being copied: most are not. What it says is asked again of the copy. */
function mayMatch(slots: SlotTable, slot: number, { service, inbound, source }: ConnectionFilter): boolean {
  if ((slots.generation(slot) & 1) === 0) return false;
  if (service !== undefined && slots.service(slot) !== service.index) return false;
  if (inbound !== undefined && slots.inbound(slot) !== inbound.index) return false;
  if (source === undefined) return true;
  return contains(
    source,
    slots.source(slot, 0),
    slots.source(slot, 1),
    slots.source(slot, 2),
    slots.source(slot, 3),
  );
}

/** @returns undefined where no connection lives, or where it changed hands with every look */
function readSlot(slots: SlotTable, worker: number, slot: number): Connection | undefined {
  for (let attempt = 0; attempt < READ_TRIES; attempt++) {
    const generation = slots.generation(slot);
    if ((generation & 1) === 0) return undefined;
    const connection = copySlot(slots, worker, slot, generation);
    if (slots.generation(slot) === generation) return connection;
  }
  return undefined;
}

function copySlot(slots: SlotTable, worker: number, slot: number, generation: number): Connection {
  const source = new Int32Array(4);
  const target = new Int32Array(4);
  for (let word = 0; word < 4; word++) {
    source[word] = slots.source(slot, word);
    target[word] = slots.target(slot, word);
  }
  return {
    worker,
    slot,
    generation,
    state: slots.state(slot),
    service: { index: slots.service(slot), generation: slots.serviceGeneration(slot) },
    user: { index: slots.credential(slot), generation: slots.credentialGeneration(slot) },
    inbound: { index: slots.inbound(slot), generation: slots.inboundGeneration(slot) },
    outbound: { index: slots.outbound(slot), generation: slots.outboundGeneration(slot) },
    rule: slots.rule(slot),
    snapshot: slots.snapshot(slot),
    source,
    sourcePort: slots.sourcePort(slot),
    target,
    targetPort: slots.targetPort(slot),
    targetIndex: slots.targetIndex(slot),
    bytesUp: slots.bytes(slot, UP),
    bytesDown: slots.bytes(slot, DOWN),
    startedMs: slots.startedMs(slot),
  };
}

function matches(connection: Connection, filter: ConnectionFilter): boolean {
  const isSame = (wanted: ObjectReference | undefined, { index, generation }: ObjectReference) =>
    wanted === undefined || (wanted.index === index && wanted.generation === generation);
  return (
    isSame(filter.service, connection.service) &&
    isSame(filter.user, connection.user) &&
    isSame(filter.inbound, connection.inbound) &&
    isSame(filter.outbound, connection.outbound) &&
    (filter.rule === undefined || filter.rule.index === connection.rule) &&
    (filter.source === undefined || comesFrom(connection.source, filter.source))
  );
}

function comesFrom(address: Int32Array, networks: Int32Array): boolean {
  const [word0 = 0, word1 = 0, word2 = 0, word3 = 0] = address;
  return contains(networks, word0, word1, word2, word3);
}
