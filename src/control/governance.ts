// What goes on beside the connections, put together: evictions and reconciliations, the hot set and what it adds up to,
// source entries that nobody holds. Two timers look at rings that are empty while nothing happens. Control thread.

import type { EvictionRow, Loaded, UsageDelta } from '../layout/keeper-messages.ts';
import type { ControlMessage } from '../layout/messages.ts';
import type { Tables } from '../layout/tables.ts';
import { usageOfCredential } from '../layout/usage.ts';
import type { Directory } from './directory.ts';
import { createEvictions } from './evictions.ts';
import { evictionOf, rowOf } from './eviction-record.ts';
import type { Evictions } from './evictions.ts';
import { createHotSet } from './hot-set.ts';
import type { HotSet, RowOwner } from './hot-set.ts';
import type { Log } from './log.ts';
import type { Quiescence } from './quiescence.ts';
import { createSourceSweeper } from './source-sweeper.ts';
import { createUsageBook } from './usage-book.ts';
import type { UsageBook } from './usage-book.ts';

/** With the store's batches this keeps what a crash loses under a second. */
const PASS_EVERY_MS = 400;
/** Entries that come and go stay meanwhile: to hold one again costs less than to make one. */
const SWEEP_EVERY_MS = 1_000;
const FORGET_EVERY_MS = 24 * 3_600_000;

export interface GovernanceInit {
  readonly tables: Tables;
  readonly directory: Directory;
  readonly quiescence: Quiescence;
  readonly log: Log & { debug(facts: object, message: string): void };
  /** @returns whether the worker lives and was told */
  readonly tell: (worker: number, message: ControlMessage) => boolean;
  /** Monotonic milliseconds. */
  readonly nowMs: () => number;
  /** Into the store. */
  readonly keepUsage: (deltas: readonly UsageDelta[]) => void;
  readonly keepEviction: (row: EvictionRow) => void;
  /** Out of it again. */
  readonly forgetUsage: (services: readonly string[]) => void;
  /** What the store knew at start. */
  readonly loaded: Pick<Loaded, 'usage' | 'evictions' | 'lastEvictionId'>;
}

export interface Governance {
  readonly evictions: Evictions;
  readonly hotSet: HotSet;
  readonly book: UsageBook;
  /** Of a connection whose worker has died. */
  releaseSource(entry: number): void;
  /** Drops what services have used that went long ago, as it is done each day. */
  forgetGone(): Promise<void>;
  /** Folds what there is; the timers stop. */
  close(): Promise<void>;
}

export function createGovernance(init: GovernanceInit): Governance {
  const { tables, directory, log } = init;
  const book = createUsageBook();
  book.load(init.loaded.usage);
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
      const { id, matched, closed, durationUs, state, note, request } = eviction;
      const facts = { event: 'evicted', id, request, state, note, matched, closed, duration_us: durationUs };
      // One connection is what happens to connections: of those nothing is logged.
      const level = request.connection === undefined ? 'info' : 'debug';
      log[level](facts, `eviction ${id} ended ${closed} connections`);
    },
    past: init.loaded.evictions.map(evictionOf),
    firstId: init.loaded.lastEvictionId + 1,
  });
  const passes = setInterval(() => void hotSet.pass(), PASS_EVERY_MS);
  const sweeps = setInterval(() => sweeper.sweep(), SWEEP_EVERY_MS);
  const forgets = setInterval(() => void forgetGone(), FORGET_EVERY_MS);

  async function forgetGone(): Promise<void> {
    const exists = (name: string) => directory.services.find(name) !== undefined;
    const services = await book.forgetGone(exists, Date.now());
    if (services.length === 0) return;
    init.forgetUsage(services);
    log.info(
      { event: 'usage_forgotten', services: services.length },
      'forgot the usage of services long gone',
    );
  }

  return {
    evictions,
    hotSet,
    book,
    releaseSource: (entry) => sweeper.release(entry),
    forgetGone,
    async close() {
      clearInterval(forgets);
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
