// What goes on beside the connections, put together: evictions and reconciliations, the hot set and what it adds up to,
// source entries that nobody holds. Two timers look at rings that are empty while nothing happens. Control thread.

import type { EvictionRow, UsageDelta, UsageTotal } from '../layout/keeper-messages.ts';
import type { ControlMessage } from '../layout/messages.ts';
import type { Tables } from '../layout/tables.ts';
import { usageOfCredential } from '../layout/usage.ts';
import type { Directory } from './directory.ts';
import { createEvictions } from './evictions.ts';
import type { Eviction } from './eviction-record.ts';
import type { Evictions } from './evictions.ts';
import { createHotSet } from './hot-set.ts';
import type { HotSet, RowOwner } from './hot-set.ts';
import type { Log } from './log.ts';
import type { Quiescence } from './quiescence.ts';
import { createSourceSweeper } from './source-sweeper.ts';
import { createUsageBook } from './usage-book.ts';
import type { UsageBook } from './usage-book.ts';

/** With the store's batches this keeps what a crash loses under a second. */
const PASS_EVERY_MS = 250;
const SWEEP_EVERY_MS = 100;

export interface GovernanceInit {
  readonly tables: Tables;
  readonly directory: Directory;
  readonly quiescence: Quiescence;
  readonly log: Log;
  /** @returns whether the worker lives and was told */
  readonly tell: (worker: number, message: ControlMessage) => boolean;
  /** Monotonic milliseconds. */
  readonly nowMs: () => number;
  /** Into the store. */
  readonly keepUsage: (deltas: readonly UsageDelta[]) => void;
  readonly keepEviction: (row: EvictionRow) => void;
  /** What the store knew at start. */
  readonly usage: readonly UsageTotal[];
  readonly lastEvictionId: number;
}

export interface Governance {
  readonly evictions: Evictions;
  readonly hotSet: HotSet;
  readonly book: UsageBook;
  /** Of a connection whose worker has died. */
  releaseSource(entry: number): void;
  /** Folds what there is; the timers stop. */
  close(): Promise<void>;
}

export function createGovernance(init: GovernanceInit): Governance {
  const { tables, directory, log } = init;
  const book = createUsageBook();
  book.load(init.usage);
  const hotSet = createHotSet({
    tables,
    ownerOf: (row) => ownerOf(init, row),
    fold(deltas) {
      book.add(deltas);
      init.keepUsage(deltas);
    },
    presence: (service, connections) => book.setPresence(service, connections),
  });
  const sweeper = createSourceSweeper(tables, init.quiescence);
  const evictions = createEvictions({
    tables,
    directory,
    tell: init.tell,
    nowMs: init.nowMs,
    over(eviction) {
      if (eviction.request.dryRun === true) return;
      init.keepEviction(rowOf(eviction));
      const { id, matched, closed, durationUs, state, request } = eviction;
      const facts = { event: 'evicted', id, request, state, matched, closed, duration_us: durationUs };
      log.info(facts, `eviction ${id} ended ${closed} connections`);
    },
    firstId: init.lastEvictionId + 1,
  });
  const passes = setInterval(() => void hotSet.pass(), PASS_EVERY_MS);
  const sweeps = setInterval(() => sweeper.sweep(), SWEEP_EVERY_MS);

  return {
    evictions,
    hotSet,
    book,
    releaseSource: (entry) => sweeper.release(entry),
    async close() {
      clearInterval(passes);
      clearInterval(sweeps);
      await hotSet.pass();
      // One that was under way may have been through its rows already.
      await hotSet.pass();
    },
  };
}

/** Whose row of counters it is (layout/usage.ts). */
function ownerOf({ tables, directory }: GovernanceInit, row: number): RowOwner | undefined {
  const { services, credentials } = tables;
  const credential = row - usageOfCredential(tables.shared.limits.services, 0);
  const username =
    credential < 0 ? '' : directory.users.nameOf(credential, credentials.generation(credential));
  if (username === undefined) return undefined;
  const serviceRow = credential < 0 ? row : credentials.service(credential);
  const service = directory.services.nameOf(serviceRow, services.generation(serviceRow));
  return service === undefined ? undefined : { service, serviceRow, username };
}

function rowOf(eviction: Eviction): EvictionRow {
  const { id, startedAtMs, request, matched, closed, durationUs, workerUs, state } = eviction;
  return {
    id,
    atMs: startedAtMs,
    request: JSON.stringify(request),
    matched,
    closed,
    durationUs,
    workerUs,
    state,
  };
}
