// Refuse: no, said in the client's protocol where that has words for it, or as a rule wants it said; then over. Owner worker
// only.

import { unpin } from '../layout/facts.ts';
import { RULE_REJECTED } from '../layout/reasons.ts';
import { REJECT_DROP, REJECT_FIN, REJECT_REPLY } from '../layout/rules.ts';
import { hasFacts } from './aim.ts';
import { sayRefused } from './answer.ts';
import type { DataWorker } from './data-worker.ts';
import { startLinger } from './linger.ts';
import { retire } from './retire.ts';
import { fallSilent } from './silence.ts';

export function refuse(w: DataWorker, slot: number, reason: number): void {
  // It may linger, and nobody's rules are to wait for that.
  if (hasFacts(w, slot)) unpin(w.facts, w.tables.snapshots, slot);
  if (take(w, slot, reason, reason === RULE_REJECTED ? w.route.method : REJECT_REPLY) !== 0)
    retire(w, slot, reason);
}

/** @returns 0: it is kept a while; else it is over */
function take(w: DataWorker, slot: number, reason: number, method: number): number {
  switch (method) {
    case REJECT_REPLY:
      return sayRefused(w, slot, reason) ? startLinger(w, slot, reason) : reason;
    case REJECT_FIN:
      return startLinger(w, slot, reason);
    case REJECT_DROP:
      return fallSilent(w, slot, reason);
    default:
      return reason;
  }
}
