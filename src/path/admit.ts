// Admit: may this service have a connection now? Reads the service's row in place, parses nothing, allocates nothing.
// Owner worker only. The row is looked at again when a connection resumes after it waited for somebody.

import { containsIn } from '../layout/network-set.ts';
import { SERVICE_DISABLED, SERVICE_REMOVED, SOURCE_NOT_ALLOWED } from '../layout/reasons.ts';
import { SERVICE_ENABLED } from '../layout/service.ts';
import type { DataWorker } from './data-worker.ts';
import { CONTINUE } from './flags.ts';

/** First sight of the service that `identify` has found, perhaps some messages ago. @returns CONTINUE or a retire reason */
export function admit(w: DataWorker, slot: number): number {
  return w.table.service(slot) < 0 ? SERVICE_REMOVED : readmit(w, slot);
}

/** Whether what admitted the connection still holds. @returns CONTINUE or a retire reason */
export function readmit(w: DataWorker, slot: number): number {
  const service = w.table.service(slot);
  const services = w.tables.services;
  const generation = services.generation(service);
  if ((generation & 1) === 0 || generation !== w.table.serviceGeneration(slot)) return SERVICE_REMOVED;
  if ((services.flags(service) & SERVICE_ENABLED) === 0) return SERVICE_DISABLED;
  const sources = services.sources(service);
  return sources === 0 || isAmong(w, slot, sources) ? CONTINUE : SOURCE_NOT_ALLOWED;
}

/**
 * Whether the client comes from one of the networks of the block at word `at`. A client on a Unix socket has no address
 * (all zero), so it is in none of them: not in ::/0 either.
 */
function isAmong(w: DataWorker, slot: number, at: number): boolean {
  const table = w.table;
  const word0 = table.source(slot, 0);
  const word1 = table.source(slot, 1);
  const word2 = table.source(slot, 2);
  const word3 = table.source(slot, 3);
  if ((word0 | word1 | word2 | word3) === 0) return false;
  const networks = w.tables.networks;
  return containsIn(networks, at + 1, networks[at] as number, word0, word1, word2, word3);
}
