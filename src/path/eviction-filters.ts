// Whom of the connections that an eviction comes by it means. Owner worker only.

import type { EvictionJob } from '../layout/messages.ts';
import { contains } from '../layout/network-set.ts';
import type { DataWorker } from './data-worker.ts';

/** Whether an eviction's filters let it through, each of which says nothing (-1, null) or has to fit. */
export function isMeant(w: DataWorker, job: EvictionJob, slot: number): boolean {
  const table = w.table;
  return (
    fits(job.service, job.serviceGeneration, table.service(slot), table.serviceGeneration(slot)) &&
    fits(
      job.credential,
      job.credentialGeneration,
      table.credential(slot),
      table.credentialGeneration(slot),
    ) &&
    fits(job.inbound, job.inboundGeneration, table.inbound(slot), table.inboundGeneration(slot)) &&
    fits(job.outbound, job.outboundGeneration, table.outbound(slot), table.outboundGeneration(slot)) &&
    (job.rule < 0 || table.rule(slot) === job.rule) &&
    (job.source === null ||
      contains(
        job.source,
        table.source(slot, 0),
        table.source(slot, 1),
        table.source(slot, 2),
        table.source(slot, 3),
      ))
  );
}

function fits(wanted: number, wantedGeneration: number, index: number, generation: number): boolean {
  return wanted < 0 || (index === wanted && generation === wantedGeneration);
}
