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
  const entry = w.sources.hold(slot, service);
  if (entry === NO_ENTRY) return SOURCES_EXHAUSTED;
  table.setSourceEntry(slot, entry);
  w.lists.link(LIST_SOURCE, entry, slot);
  return CONTINUE;
}

/** Takes an ending connection out of every list that it stands in. */
export function expel(w: DataWorker, slot: number): void {
  const table = w.table;
  const usage = table.usage(slot);
  if (usage !== NONE) markDirty(w, usage);
  if (!w.isIndexed) return;
  const { lists } = w;
  lists.unlink(LIST_INBOUND, table.inbound(slot), slot);
  if (lists.isLinked(LIST_SERVICE, slot)) lists.unlink(LIST_SERVICE, table.service(slot), slot);
  if (lists.isLinked(LIST_USER, slot)) lists.unlink(LIST_USER, table.credential(slot), slot);
  if (lists.isLinked(LIST_OUTBOUND, slot)) lists.unlink(LIST_OUTBOUND, table.outbound(slot), slot);
  if (lists.isLinked(LIST_RULE, slot)) lists.unlink(LIST_RULE, table.rule(slot), slot);
  const entry = table.sourceEntry(slot);
  if (entry === NONE) return;
  lists.unlink(LIST_SOURCE, entry, slot);
  w.sources.release(entry);
  table.setSourceEntry(slot, NONE);
}
