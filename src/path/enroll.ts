// Enroll: from here on a connection is its service's, its user's and its source's: it stands in their lists, where an
// eviction finds it, and counts in their counters. At the earliest moment at which that is known, so before it may wait for
// anything further. `expel` takes it out of every list again. Owner worker only.

import {
  LIST_INBOUND,
  LIST_OUTBOUND,
  LIST_RULE,
  LIST_SERVICE,
  LIST_SOURCE,
  LIST_USER,
} from '../layout/lists.ts';
import { SOURCES_EXHAUSTED } from '../layout/reasons.ts';
import { NO_ENTRY } from '../layout/source-index.ts';
import { usageOfCredential, usageOfService } from '../layout/usage.ts';
import { markDirty } from './account.ts';
import type { DataWorker } from './data-worker.ts';
import { CONTINUE } from './flags.ts';

const NONE = -1;

/**
 * Whose connection it is. The row's generation is taken with it: if the row changes hands from here on, that is noticed.
 * @param credential  that admitted it, with its generation; -1: nobody was asked for one
 * @returns CONTINUE or a retire reason
 */
export function enroll(
  w: DataWorker,
  slot: number,
  service: number,
  credential: number,
  credentialGeneration: number,
): number {
  const table = w.table;
  table.setService(slot, service);
  if (service < 0) return CONTINUE;
  table.setServiceGeneration(slot, w.tables.services.generation(service));
  table.setCredential(slot, credential);
  table.setCredentialGeneration(slot, credentialGeneration);
  const row =
    credential === NONE
      ? usageOfService(service)
      : usageOfCredential(w.tables.shared.limits.services, credential);
  table.setUsage(slot, row);
  w.usage.addConnections(row, 1);
  markDirty(w, row);
  if (!w.isIndexed) return CONTINUE;
  w.lists.link(LIST_SERVICE, service, slot);
  if (credential !== NONE) w.lists.link(LIST_USER, credential, slot);
  return standAtSource(w, slot, service);
}

/**
 * Puts a connection into the list of its source: under its service, or with those of which nobody knows yet whose they are,
 * so that whoever evicts an address finds them in their handshake too.
 * @param service  row, or UNIDENTIFIED
 * @returns CONTINUE or a retire reason
 */
export function standAtSource(w: DataWorker, slot: number, service: number): number {
  if (!w.isIndexed) return CONTINUE;
  const entry = w.sources.hold(slot, service);
  // Held before the old one is let go, so that the entry of the address need not come anew.
  leaveSource(w, slot);
  if (entry === NO_ENTRY) return SOURCES_EXHAUSTED;
  w.table.setSourceEntry(slot, entry);
  w.lists.link(LIST_SOURCE, entry, slot);
  return CONTINUE;
}

function leaveSource(w: DataWorker, slot: number): void {
  const entry = w.table.sourceEntry(slot);
  if (entry === NONE) return;
  w.lists.unlink(LIST_SOURCE, entry, slot);
  w.sources.release(entry);
  w.table.setSourceEntry(slot, NONE);
}

/** Takes an ending connection out of every list that it stands in. */
export function expel(w: DataWorker, slot: number): void {
  leaveOwner(w, slot);
  if (w.isIndexed) w.lists.unlink(LIST_INBOUND, w.table.inbound(slot), slot);
}

/** From here on a connection is nobody's: only its inbound knows it. */
export function leaveOwner(w: DataWorker, slot: number): void {
  const { table, lists } = w;
  const usage = table.usage(slot);
  if (usage !== NONE) markDirty(w, usage);
  table.setUsage(slot, NONE);
  if (!w.isIndexed) return;
  if (lists.isLinked(LIST_SERVICE, slot)) lists.unlink(LIST_SERVICE, table.service(slot), slot);
  if (lists.isLinked(LIST_USER, slot)) lists.unlink(LIST_USER, table.credential(slot), slot);
  if (lists.isLinked(LIST_OUTBOUND, slot)) lists.unlink(LIST_OUTBOUND, table.outbound(slot), slot);
  if (lists.isLinked(LIST_RULE, slot)) lists.unlink(LIST_RULE, table.rule(slot), slot);
  leaveSource(w, slot);
}
