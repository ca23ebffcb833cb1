// Evictions: ends exactly the connections that a filter names, at the price of those connections. The control thread
// plans (eviction-plan.ts) and adds up what the workers answer; the workers that have such connections walk them
// (path/evict.ts). Reconciliations are the same walk after a change: of the connections that the change concerns, those are
// ended that what is in force now would not let in.
//
//   start ─► running ──all workers done──► done
//               ├── cancel, or stopped ──► cancelled
//               └── a worker died ────────► counted as done, and noted: its connections have ended with it
//
// Control thread only. The last EVICTIONS_KEPT are remembered, those of before a restart from the store.

import { EVERYTHING, EVICT_COUNT, EVICT_END, EVICT_RECONCILE, SAMPLE_MAX } from '../layout/messages.ts';
import type { ControlMessage, EvictionJob, WorkerMessage } from '../layout/messages.ts';
import type { Tables } from '../layout/tables.ts';
import { LIST_RULE } from '../layout/lists.ts';
import { RULE_REJECTED } from '../layout/reasons.ts';
import { WORKER_STARTING } from '../layout/worker.ts';
import type { Reconcile, Reconciled } from './contradiction.ts';
import type { Directory } from './directory.ts';
import { SluiceError } from './errors.ts';
import { concerns, connectionsToWalk, planEviction } from './eviction-plan.ts';
import type { PlannedEviction } from './eviction-plan.ts';
import { addNamed, newRunning, snapshotOf, sum } from './eviction-record.ts';
import type { Eviction, EvictionRequest, Running } from './eviction-record.ts';
import { createSourceEntries } from './source-entries.ts';

const EVICTIONS_KEPT = 1_000;
/** Under way at one time; further ones are refused. */
const RUNNING_MAX = 1_024;
/** Those may last for days, and workers walk so many beside each other (path/evict.ts): none waits behind another. */
const RATED_MAX = 64;
/** A worker that walks says so every tenth of a second. */
const STANDSTILL_MS = 10_000;

export interface Evictions {
  /** @throws SluiceError eviction_invalid: nothing has been half-applied */
  start(request: EvictionRequest): Eviction;
  get(id: number): Eviction | undefined;
  /** Resolves when it is over, or after `ms`, with its state then. @throws RangeError for an id that is not known */
  wait(id: number, ms: number): Promise<Eviction>;
  cancel(id: number): Eviction | undefined;
  /** The last 1,000, the newest first. */
  list(): readonly Eviction[];
  /**
   * Ends what contradicts the tables as they are now. Resolves when every worker has walked those lists.
   * @throws SluiceError reconcile_late where one did not in time: indexes must not be used again then
   */
  readonly reconcile: Reconcile;
  /**
   * Judges the connections of these rules again, by a snapshot, and ends those that it would treat otherwise; or counts
   * them. At most as many a second as the rate says, on all workers together.
   */
  rejudge(job: RejudgeJob): Rejudgement;
  /** A worker's answer. */
  receive(worker: number, message: Evicted): void;
  /** Its thread has ended, and its connections with it. @param isStopped it was told to */
  workerGone(worker: number, isStopped: boolean): void;
  statistics(): EvictionStatistics;
}

export interface RejudgeJob {
  /** List keys of rules. */
  readonly keys: readonly number[];
  /** REJUDGE_*. */
  readonly mode: number;
  /** The row must stay until it is over. */
  readonly snapshotRow: number;
  readonly dryRun: boolean;
  /** 0: no limit. */
  readonly ratePerSecond: number;
}

export interface Rejudgement {
  /** Resolves when every worker has walked its lists, or left the rest alone after `cancel`. Never rejects. */
  readonly over: Promise<RejudgementResult>;
  cancel(): void;
}

export interface RejudgementResult extends Reconciled {
  readonly matched: number;
  readonly undecided: number;
  readonly byService: Readonly<Record<string, number>>;
  readonly byInbound: Readonly<Record<string, number>>;
  readonly sample: readonly string[];
  readonly isCancelled: boolean;
}

export interface EvictionStatistics {
  readonly started: number;
  readonly running: number;
  /** Connections that evictions have ended, reconciliations not among them. */
  readonly closed: number;
  readonly reconciliations: number;
  readonly lastReconcile: Reconciled | undefined;
}

type Evicted = Extract<WorkerMessage, { kind: 'evicted' }>;

export interface EvictionsInit {
  readonly tables: Tables;
  readonly directory: Directory;
  /** @returns whether the worker lives and was told */
  readonly tell: (worker: number, message: ControlMessage) => boolean;
  /** Monotonic milliseconds, as the workers count them. */
  readonly nowMs: () => number;
  /** An eviction is over, or was only counted. */
  readonly over: (eviction: Eviction) => void;
  /** Of before the start, in the order of their numbers. */
  readonly past: readonly Eviction[];
  /** The store knows those below. */
  readonly firstId: number;
}

export function createEvictions(init: EvictionsInit): Evictions {
  const { tables, directory } = init;
  const entries = createSourceEntries(tables);
  const kept = new Map<number, Running>();
  const past = new Map(init.past.map((one): [number, Eviction] => [one.id, one]));
  const running = new Map<number, Running>();
  let nextId = init.firstId;
  /** Of their own, below 0: receipts and the store name evictions only. */
  let nextReconciliationId = -1;
  let started = 0;
  let closed = 0;
  let reconciliations = 0;
  let lastReconcile: Reconciled | undefined;

  function begin(
    id: number,
    request: EvictionRequest,
    planned: PlannedEviction,
    workers: readonly number[],
  ): Running {
    const one = newRunning(id, request, connectionsToWalk(tables, planned));
    running.set(id, one);
    const job: EvictionJob = {
      ...planned,
      id,
      ratePerSecond: planned.ratePerSecond / Math.max(1, workers.length),
    };
    for (const worker of workers) {
      if (init.tell(worker, { kind: 'evict', job })) {
        one.shares.set(worker, {
          matched: 0,
          closed: 0,
          workerUs: 0,
          lastMs: 0,
          undecided: 0,
          isDone: false,
        });
      }
    }
    settle(one);
    return one;
  }

  /** Over, if all workers are done. */
  function settle(one: Running): void {
    if (one.state !== 'running' && one.state !== 'cancelled') return;
    if (!running.has(one.id) || [...one.shares.values()].some((share) => !share.isDone)) return;
    running.delete(one.id);
    one.durationUs = Math.round((performance.now() - one.beganMs) * 1000);
    if (one.state === 'running') one.state = 'done';
    for (const resolve of one.waiting) resolve();
    if (!kept.has(one.id)) return;
    const { closed: count } = sum(one);
    closed += count;
    init.over(snapshot(one));
  }

  function remember(one: Running): void {
    started++;
    kept.set(one.id, one);
    for (const id of past.keys()) {
      if (past.size + kept.size <= EVICTIONS_KEPT) break;
      past.delete(id);
    }
    for (const [id, old] of kept) {
      if (kept.size <= EVICTIONS_KEPT) break;
      if (old.state !== 'running') kept.delete(id);
    }
  }

  function snapshot(one: Running): Eviction {
    return snapshotOf(one, !running.has(one.id), init.nowMs());
  }

  function waitFor(one: Running, ms: number): Promise<void> {
    if (!running.has(one.id)) return Promise.resolve();
    return new Promise((resolve) => {
      const over = () => {
        clearTimeout(timer);
        one.waiting.delete(over);
        resolve();
      };
      const timer = setTimeout(over, ms);
      one.waiting.add(over);
    });
  }

  function ratedRunning(): number {
    let count = 0;
    for (const { request } of running.values()) if (request.ratePerSecond !== undefined) count++;
    return count;
  }

  /** A busy worker with many connections may take long, but it gets on. */
  async function waitWhileItProceeds(one: Running): Promise<void> {
    for (let before = -1; running.has(one.id) && before !== sum(one).workerUs; ) {
      before = sum(one).workerUs;
      await waitFor(one, STANDSTILL_MS);
    }
  }

  /** Those that may have connections: one that has not begun to take any will find what is in force by then. */
  function concernedWorkers(): number[] {
    return allWorkers().filter((worker) => tables.workers.life(worker) !== WORKER_STARTING);
  }

  function allWorkers(): number[] {
    return Array.from({ length: tables.shared.limits.workers }, (_, worker) => worker);
  }

  return {
    start(request) {
      if (running.size >= RUNNING_MAX) {
        const message = `${running.size} evictions are under way; this one was not begun`;
        throw new SluiceError('evictions_busy', message, { running: running.size });
      }
      if (request.ratePerSecond !== undefined && ratedRunning() >= RATED_MAX) {
        const message = `${RATED_MAX} evictions with a rate are under way; this one was not begun`;
        throw new SluiceError('evictions_busy', message, { running: running.size });
      }
      const planned = planEviction(request, { tables, directory, entries });
      const { connection } = request;
      const workers =
        connection !== undefined
          ? [connection.worker]
          : allWorkers().filter((worker) => concerns(tables, worker, planned));
      const one = begin(nextId++, request, planned, workers);
      remember(one);
      // With nobody to ask it is over already, before anybody could remember it.
      if (one.state === 'done') init.over(snapshot(one));
      return snapshot(one);
    },
    get(id) {
      const one = kept.get(id);
      return one === undefined ? past.get(id) : snapshot(one);
    },
    async wait(id, ms) {
      const one = kept.get(id);
      if (one === undefined) throw new RangeError(`there is no eviction ${id}`);
      await waitFor(one, ms);
      return snapshot(one);
    },
    cancel(id) {
      const one = kept.get(id);
      if (one === undefined) return past.get(id);
      if (one.state === 'running') {
        one.state = 'cancelled';
        for (const worker of one.shares.keys()) init.tell(worker, { kind: 'cancel_eviction', id });
      }
      return snapshot(one);
    },
    list: () => [...[...kept.values()].reverse().map(snapshot), ...[...past.values()].reverse()],

    async reconcile(contradictions) {
      const lists = new Map<number, Set<number>>();
      for (const { list, key } of contradictions) lists.set(list, (lists.get(list) ?? new Set()).add(key));
      const beganMs = performance.now();
      const clockMs = init.nowMs();
      const parts = [...lists].map(([list, keys]) =>
        begin(
          nextReconciliationId--,
          {},
          { ...EVERYTHING, action: EVICT_RECONCILE, list, keys: Int32Array.from(keys) },
          concernedWorkers(),
        ),
      );
      await Promise.all(parts.map(waitWhileItProceeds));
      const late = parts.filter((part) => running.delete(part.id));
      if (late.length > 0) {
        for (const { id, shares } of late)
          for (const worker of shares.keys()) init.tell(worker, { kind: 'cancel_eviction', id });
        const open = late.flatMap(({ shares }) => [...shares].filter(([, { isDone }]) => !isDone));
        const workers = [...new Set(open.map(([worker]) => worker))].sort((a, b) => a - b);
        const message = `workers ${workers.join(', ')} did not reconcile their connections in time`;
        throw new SluiceError('reconcile_late', message, { workers });
      }
      const sums = parts.map(sum);
      const lastMs = Math.max(0, ...sums.map((one) => one.lastMs));
      reconciliations++;
      lastReconcile = {
        ended: sums.reduce((total, one) => total + one.closed, 0),
        durationUs: Math.round((performance.now() - beganMs) * 1000),
        workerUs: sums.reduce((total, one) => total + one.workerUs, 0),
        lastGoneUs: lastMs === 0 ? 0 : Math.max(0, Math.round((lastMs - clockMs) * 1000)),
      };
      return lastReconcile;
    },

    rejudge({ keys, mode, snapshotRow, dryRun, ratePerSecond }) {
      const clockMs = init.nowMs();
      const planned: PlannedEviction = {
        ...EVERYTHING,
        action: dryRun ? EVICT_COUNT : EVICT_END,
        reason: RULE_REJECTED,
        list: LIST_RULE,
        keys: Int32Array.from(keys),
        rejudge: mode,
        snapshotRow,
        ratePerSecond,
      };
      // Also workers whose lists are empty now: a connection may be on its way into one.
      const one = begin(nextReconciliationId--, {}, planned, concernedWorkers());
      const result = (): RejudgementResult => {
        const { matched, closed: ended, workerUs, lastMs, undecided } = sum(one);
        return {
          matched,
          ended,
          undecided,
          workerUs,
          durationUs: one.durationUs,
          lastGoneUs: lastMs === 0 ? 0 : Math.max(0, Math.round((lastMs - clockMs) * 1000)),
          byService: one.byService,
          byInbound: one.byInbound,
          sample: one.sample,
          isCancelled: one.state === 'cancelled',
        };
      };
      const over = new Promise<RejudgementResult>((resolve) => {
        if (running.has(one.id)) one.waiting.add(() => resolve(result()));
        else resolve(result());
      });
      return {
        over,
        cancel() {
          if (!running.has(one.id)) return;
          one.state = 'cancelled';
          for (const worker of one.shares.keys()) init.tell(worker, { kind: 'cancel_eviction', id: one.id });
        },
      };
    },

    receive(worker, message) {
      const one = running.get(message.id);
      const share = one?.shares.get(worker);
      if (one === undefined || share === undefined || share.isDone) return;
      const { matched, closed: count, workerUs, lastMs, undecided, isDone } = message;
      Object.assign(share, { matched, closed: count, workerUs, lastMs, undecided, isDone });
      for (let at = 0; at + 1 < message.sample.length && one.sample.length < SAMPLE_MAX; at += 2)
        one.sample.push(`${worker}-${message.sample[at]}-${message.sample[at + 1]}`);
      addNamed(one.byService, message.byService, directory.services);
      addNamed(one.byInbound, message.byInbound, directory.inbounds);
      settle(one);
    },

    workerGone(worker, isStopped) {
      for (const one of running.values()) {
        const share = one.shares.get(worker);
        if (share === undefined || share.isDone) continue;
        share.isDone = true;
        if (!isStopped) one.note = 'workers_died';
        else if (one.state === 'running') one.state = 'cancelled';
        settle(one);
      }
    },

    statistics: () => ({ started, running: running.size, closed, reconciliations, lastReconcile }),
  };
}
