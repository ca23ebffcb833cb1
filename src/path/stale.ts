// Whether what admitted a connection still holds: asked when it resumes after it waited for somebody, and by a
// reconciliation of those that a change has made contradictory. Owner worker only.

import { CREDENTIAL_REMOVED, INBOUND_REMOVED, OUTBOUND_REMOVED } from '../layout/reasons.ts';
import { readmit } from './admit.ts';
import type { DataWorker } from './data-worker.ts';
import { isCredentialCurrent } from './identify/credentials.ts';

/** A change that was published while the connection waited must not be slipped past. @returns 0 or a reason */
export function whatWentStale(w: DataWorker, slot: number): number {
  const table = w.table;
  const inbound = w.inbounds[table.inbound(slot)];
  if (inbound === undefined || inbound.generation !== table.inboundGeneration(slot)) return INBOUND_REMOVED;
  if (table.outbound(slot) >= 0) {
    const object = w.outbounds[table.outbound(slot)];
    if (object === undefined || object.definition.generation !== table.outboundGeneration(slot))
      return OUTBOUND_REMOVED;
  }
  if (!isCredentialCurrent(w, slot)) return CREDENTIAL_REMOVED;
  return table.service(slot) >= 0 ? readmit(w, slot) : 0;
}
