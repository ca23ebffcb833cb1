// Follows the lists of the governance index (layout/lists.ts) from another thread than the one that changes them: for whoever
// wants to see the connections of one service, user or inbound without looking at all others. Control thread.
//
// The worker changes lists while they are followed. Each slot is therefore checked after its link was read: still living,
// still in that list. So whoever stays in the list all the time is found; a walk that lost its way starts again, and gives up
// after WALK_TRIES.

import {
  LIST_INBOUND,
  LIST_OUTBOUND,
  LIST_RULE,
  LIST_SERVICE,
  LIST_SOURCE,
  LIST_USER,
  NOT_LINKED,
  NO_SLOT,
} from '../layout/lists.ts';
import type { SlotTable } from '../layout/slot.ts';
import type { Tables } from '../layout/tables.ts';
import type { ObjectReference } from './directory.ts';
import { createSourceEntries } from './source-entries.ts';

const WALK_TRIES = 3;
/** Longer lists are not worth their jumps through memory: the slots in a row are read faster. */
const WALKED_MAX = 65_536;

/** Which connections; undefined: any. */
export interface ConnectionFilter {
  readonly worker?: number | undefined;
  readonly service?: ObjectReference | undefined;
  readonly user?: ObjectReference | undefined;
  readonly inbound?: ObjectReference | undefined;
  readonly outbound?: ObjectReference | undefined;
  readonly rule?: ObjectReference | undefined;
  /** Networks (layout/network-set.ts). */
  readonly source?: Int32Array | undefined;
}

/** One list, or several of a kind that a connection is in one of. */
interface ListKeys {
  /** LIST_*. */
  readonly kind: number;
  readonly keys: ArrayLike<number>;
}

/**
 * The slots of the shortest list of the filter, ascending; more may match it than do.
 * @returns undefined where there is no list, or none that is worth it
 */
export function slotsInLists(tables: Tables, worker: number, filter: ConnectionFilter): number[] | undefined {
  const slots = tables.slots[worker];
  const lists = tables.lists[worker];
  // Without the index (a switch of the benchmarks) lists are empty, which says nothing.
  if (slots === undefined || lists === undefined || !tables.shared.limits.isIndexed) return undefined;
  let shortest: ListKeys | undefined;
  let length = Infinity;
  for (const candidate of [...listsOf(filter), ...sourceLists(tables, filter)]) {
    let count = 0;
    for (let i = 0; i < candidate.keys.length; i++)
      count += lists.count(candidate.kind, candidate.keys[i] as number);
    if (count >= length) continue;
    shortest = candidate;
    length = count;
  }
  if (shortest === undefined || length > WALKED_MAX) return undefined;
  const { kind, keys } = shortest;
  for (let attempt = 0; attempt < WALK_TRIES; attempt++) {
    const walked = new Set<number>();
    let isWhole = true;
    for (let i = 0; i < keys.length && isWhole; i++) {
      const key = keys[i] as number;
      isWhole = walk(slots, lists.first(kind, key), kind, key, length * 2 + 64, walked);
    }
    if (isWhole) return [...walked].sort((a, b) => a - b);
  }
  return undefined;
}

/** How many connections of a worker match, where a head says so. */
export function countOfOneKey(tables: Tables, worker: number, filter: ConnectionFilter): number | undefined {
  const [first, ...others] = listsOf(filter);
  if (filter.source !== undefined || others.length > 0) return undefined;
  if (first === undefined) return tables.workers.connections(worker);
  if (!tables.shared.limits.isIndexed) return undefined;
  return tables.lists[worker]?.count(first.kind, first.keys[0] as number);
}

function listsOf(filter: ConnectionFilter): ListKeys[] {
  const lists: ListKeys[] = [];
  const add = (kind: number, object: ObjectReference | undefined) => {
    if (object !== undefined) lists.push({ kind, keys: [object.index] });
  };
  add(LIST_SERVICE, filter.service);
  add(LIST_USER, filter.user);
  add(LIST_INBOUND, filter.inbound);
  add(LIST_OUTBOUND, filter.outbound);
  add(LIST_RULE, filter.rule);
  return lists;
}

/** An address within a service has lists of its own. */
function sourceLists(tables: Tables, { service, source }: ConnectionFilter): ListKeys[] {
  if (service === undefined || source === undefined || source.length === 0) return [];
  const entries = createSourceEntries(tables).find(source, service.index, false);
  return entries === undefined ? [] : [{ kind: LIST_SOURCE, keys: entries }];
}

/** Adds the slots of a list. @returns false where the way was lost, or took longer than `stepsMax` */
function walk(
  slots: SlotTable,
  first: number,
  kind: number,
  key: number,
  stepsMax: number,
  walked: Set<number>,
): boolean {
  let slot = first;
  for (let step = 0; slot !== NO_SLOT; step++) {
    if (slot < 0 || slot >= slots.count || step === stepsMax) return false;
    const generation = slots.generation(slot);
    const next = slots.linkNext(slot, kind);
    const stands = slots.linkPrevious(slot, kind) !== NOT_LINKED && keyOf(slots, slot, kind) === key;
    if ((generation & 1) === 0 || !stands || slots.generation(slot) !== generation) return false;
    walked.add(slot);
    slot = next;
  }
  return true;
}

function keyOf(slots: SlotTable, slot: number, kind: number): number {
  switch (kind) {
    case LIST_SOURCE:
      return slots.sourceEntry(slot);
    case LIST_SERVICE:
      return slots.service(slot);
    case LIST_USER:
      return slots.credential(slot);
    case LIST_INBOUND:
      return slots.inbound(slot);
    case LIST_OUTBOUND:
      return slots.outbound(slot);
    default:
      return slots.rule(slot);
  }
}
