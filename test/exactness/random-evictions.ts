// Evictions in the middle of a seed: at random moments, by random lists, of connections in whatever state they are. What
// became of each the receipts say; and whoever was meant and still lives when an eviction says that it is done is a mistake,
// as is whoever was ended and not meant. The connections that were ended may be cut anywhere, all others not at all.

import { LIST_INBOUND, LIST_OUTBOUND, LIST_SERVICE, LIST_SOURCE, LIST_USER } from '../../src/layout/lists.ts';
import { EVERY_CONNECTION, EVICT_COUNT } from '../../src/layout/messages.ts';
import type { EvictionJob, WorkerMessage } from '../../src/layout/messages.ts';
import { EVICTED } from '../../src/layout/reasons.ts';
import { SLOT_LINGERING, SLOT_SILENT } from '../../src/layout/slot.ts';
import { RECEIPTS_WHOLE } from '../../src/layout/worker.ts';
import type { Random } from '../../src/sys/simulated/random.ts';
import { pick } from './connections.ts';
import type { Connection } from './connections.ts';
import type { Edge } from './simulated-edge.ts';

const EVICTIONS_MAX = 4;
const WITHIN_MS = 100;
const USERS = 2;

type Evicted = Extract<WorkerMessage, { kind: 'evicted' }>;

export interface RandomEvictions {
  /** Looks at an answer of the worker at the moment at which it is given. */
  answered(message: Evicted): void;
  /** Connections that evictions have ended; complains of those that none of them meant. */
  ended(connections: readonly Connection[]): ReadonlySet<Connection>;
  readonly mistakes: string[];
}

interface Started {
  readonly job: Partial<EvictionJob>;
  readonly atMs: number;
  closed: number;
}

/** @param inboundOf the inbound of each connection, so that what was ended is judged by what the test knows itself */
export function evictAtRandom(
  edge: Edge,
  random: Random,
  inbounds: number,
  inboundOf: (connection: Connection) => number,
): RandomEvictions {
  const started = new Map<number, Started>();
  const mistakes: string[] = [];
  edge.tables.machine.setReceipts(0, 1);
  edge.tables.machine.setReceiptsShare(0, RECEIPTS_WHOLE);
  for (let count = random.below(EVICTIONS_MAX + 1); count > 0; count--) {
    edge.network.at(random.next() * WITHIN_MS, () => {
      const job = randomJob(edge, random, inbounds);
      started.set(edge.evict(job), { job, atMs: edge.network.nowMs(), closed: 0 });
    });
  }
  return {
    mistakes,
    answered({ id, isDone, matched, closed }) {
      const one = started.get(id);
      if (one === undefined || !isDone) return;
      one.closed = closed;
      const isDry = one.job.action === EVICT_COUNT;
      if (closed !== (isDry ? 0 : matched)) mistakes.push(`eviction ${id} ended ${closed} of ${matched}`);
      // With a rate some may have come meanwhile, and become what it means.
      if (isDry || (one.job.ratePerSecond ?? 0) > 0) return;
      const { table, slots } = edge.w;
      for (let slot = 0; slot < slots.touched; slot++) {
        if ((table.generation(slot) & 1) === 0 || table.startedMs(slot) >= one.atMs) continue;
        if (isMeant(edge, one.job, slot)) mistakes.push(`eviction ${id} left slot ${slot} alone`);
      }
    },
    ended(connections) {
      const gone = new Set<Connection>();
      const counts = new Map<number, number>();
      const [ring, receipts] = [edge.tables.receiptRings[0], edge.tables.receipts[0]];
      if (edge.w.row.receiptsDropped(0) > 0) mistakes.push('receipts were dropped');
      for (let record = ring?.first() ?? -1; record >= 0; record = ring?.first() ?? -1) {
        const id = receipts?.eviction(record) ?? 0;
        const port = receipts?.sourcePort(record);
        const reason = receipts?.reason(record);
        ring?.release();
        if ((id !== 0) !== (reason === EVICTED))
          mistakes.push(`reason ${reason} on a receipt of eviction ${id}`);
        if (id === 0) continue;
        counts.set(id, (counts.get(id) ?? 0) + 1);
        const connection = connections.find(({ clientPort }) => clientPort === port);
        const job = started.get(id)?.job;
        if (connection === undefined || job === undefined) {
          mistakes.push(`eviction ${id} ended somebody from port ${port}`);
          continue;
        }
        gone.add(connection);
        if ((job.inbound ?? -1) >= 0 && inboundOf(connection) !== job.inbound)
          mistakes.push(`eviction ${id} ended connection ${connection.id} of another inbound`);
        if ((job.credential ?? -1) >= 0 && userOf(connection) !== job.credential)
          mistakes.push(`eviction ${id} ended connection ${connection.id} of another user`);
      }
      for (const [id, { closed }] of started) {
        if ((counts.get(id) ?? 0) !== closed)
          mistakes.push(`eviction ${id} says ${closed}, and receipts say ${counts.get(id) ?? 0}`);
      }
      return gone;
    },
  };
}

function randomJob(edge: Edge, random: Random, inbounds: number): Partial<EvictionJob> {
  const inbound = random.chance(0.6) ? random.below(inbounds) : -1;
  const credential = random.chance(0.2) ? random.below(USERS) : -1;
  const service = random.chance(0.2) ? 0 : -1;
  const { table, slots } = edge.w;
  const slot = slots.touched === 0 ? -1 : random.below(slots.touched);
  const entry = slot < 0 ? -1 : table.sourceEntry(slot);
  const lists: [list: number, key: number][] = [
    [LIST_INBOUND, inbound],
    [LIST_USER, credential],
    [LIST_SERVICE, service],
    [LIST_SOURCE, entry],
    [LIST_OUTBOUND, 0],
    [EVERY_CONNECTION, 0],
  ];
  const [list, key] = pick(
    random,
    lists.filter(([, wanted]) => wanted >= 0),
  );
  const isSingle = slot >= 0 && random.chance(0.3);
  return {
    action: random.chance(0.15) ? EVICT_COUNT : 1,
    list,
    keys: Int32Array.of(key),
    inbound,
    inboundGeneration: 1,
    credential,
    credentialGeneration: 1,
    service,
    serviceGeneration: 1,
    ratePerSecond: random.chance(0.2) ? 50 + random.below(500) : 0,
    ...(isSingle ? { slot, generation: table.generation(slot) } : {}),
  };
}

/** Whether a slot is what a job names, by what the slot says of itself. */
function isMeant({ w }: Edge, job: Partial<EvictionJob>, slot: number): boolean {
  const { table } = w;
  const key = job.keys?.[0] ?? -1;
  const isSingle = (job.slot ?? -1) >= 0;
  if (isSingle && (slot !== job.slot || table.generation(slot) !== job.generation)) return false;
  const wasRefused = table.state(slot) === SLOT_LINGERING || table.state(slot) === SLOT_SILENT;
  // Who was refused is nobody's: only its inbound knows it.
  if (!isSingle && wasRefused && job.list !== LIST_INBOUND && job.list !== EVERY_CONNECTION) return false;
  const ofList: Record<number, number> = {
    [LIST_INBOUND]: table.inbound(slot),
    [LIST_USER]: table.credential(slot),
    [LIST_SERVICE]: table.service(slot),
    [LIST_SOURCE]: table.sourceEntry(slot),
    [LIST_OUTBOUND]: table.outbound(slot),
    [EVERY_CONNECTION]: key,
  };
  const fits = (wanted: number | undefined, found: number) => (wanted ?? -1) < 0 || wanted === found;
  return (
    (isSingle || ofList[job.list ?? EVERY_CONNECTION] === key) &&
    fits(job.inbound, table.inbound(slot)) &&
    fits(job.credential, table.credential(slot)) &&
    fits(job.service, table.service(slot))
  );
}

/** Credentials as scenario.ts adds them. */
function userOf({ protocol }: Connection): number {
  if (protocol === 'socks-hashed') return 1;
  return protocol.endsWith('-password') ? 0 : -1;
}
