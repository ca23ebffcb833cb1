// What a worker answers about an eviction: how many it has met and ended so far, in the end also whose they were. Owner worker
// only; rare, so it may allocate.

import { OTHERS } from '../layout/messages.ts';
import type { DataWorker } from './data-worker.ts';
import type { Eviction } from './evict.ts';

/** Services, and inbounds, that an answer tells apart; the rest is counted together. */
const BREAKDOWN_MAX = 256;
const NOTHING = new Int32Array(0);

/** How many matched, by index; under the generation of the first. */
export type Breakdown = Map<number, { readonly generation: number; count: number }>;

export function countOne(counts: Breakdown, index: number, generation: number): void {
  const known = counts.get(index);
  if (known !== undefined && known.generation === generation) known.count++;
  else if (known === undefined && counts.size < BREAKDOWN_MAX) counts.set(index, { generation, count: 1 });
  else if (index !== OTHERS) countOne(counts, OTHERS, 0);
  else counts.set(OTHERS, { generation: 0, count: 1 });
}

/** Says how far it has come; at its end also whom it met. */
export function report(w: DataWorker, eviction: Eviction): void {
  const { isDone } = eviction;
  w.mailbox.post({
    kind: 'evicted',
    id: eviction.job.id,
    matched: eviction.matched,
    closed: eviction.closed,
    workerUs: eviction.workerUs,
    lastMs: eviction.lastMs,
    isDone,
    byService: isDone ? triples(eviction.byService) : NOTHING,
    byInbound: isDone ? triples(eviction.byInbound) : NOTHING,
    sample: isDone ? Int32Array.from(eviction.sample) : NOTHING,
    undecided: eviction.undecided,
  });
}

function triples(counts: Breakdown): Int32Array {
  return Int32Array.from([...counts].flatMap(([index, { generation, count }]) => [index, generation, count]));
}
