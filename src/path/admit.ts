// Admit: may this service have a connection now? Reads the service's row in place, parses nothing, allocates nothing.
// Owner worker only. The row is looked at again when a connection resumes after it waited for somebody.

import { SERVICE_DISABLED, SERVICE_REMOVED } from '../layout/reasons.ts';
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
  return (services.flags(service) & SERVICE_ENABLED) !== 0 ? CONTINUE : SERVICE_DISABLED;
}
