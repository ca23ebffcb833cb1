// Evictions on the control thread, with workers that the test plays: who is told, what their answers add up to, and what
// becomes of an eviction whose worker dies, answers late, or never.

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { LIST_INBOUND, LIST_SERVICE } from '../layout/lists.ts';
import { EVICT_COUNT, EVICT_RECONCILE } from '../layout/messages.ts';
import type { ControlMessage, EvictionJob, WorkerMessage } from '../layout/messages.ts';
import { attachTables, createTables } from '../layout/tables.ts';
import { WORKER_READY } from '../layout/worker.ts';
import type { Directory, Names } from './directory.ts';
import { SluiceError } from './errors.ts';
import { createEvictions } from './evictions.ts';
import { evictionOf, rowOf } from './eviction-record.ts';
import type { Eviction } from './eviction-record.ts';

type Evicted = Extract<WorkerMessage, { kind: 'evicted' }>;

const WORKERS = 3;

/** The workers' clock began long before. */
const clockMs = () => performance.now() + 1_000_000;

function namesOf(...names: readonly string[]): Names {
  return {
    find: (name) => (names.includes(name) ? { index: names.indexOf(name), generation: 1 } : undefined),
    nameOf: (index, generation) => (generation === 1 ? names[index] : undefined),
    all: () => names,
  };
}

function setUp(firstId = 1, past: readonly Eviction[] = []) {
  const limits = {
    workers: WORKERS,
    slotsPerWorker: 8,
    pipesPerWorker: 1,
    services: 8,
    credentials: 8,
    serverNames: 8,
    targets: 8,
    sources: 64,
    networkWords: 64,
    ruleWords: 65_536,
    receipts: 8,
    isIndexed: true,
  };
  const tables = attachTables(createTables(limits, Int32Array.of(1, 2, 3, 4)));
  for (let worker = 0; worker < WORKERS; worker++) tables.workers.setLife(worker, WORKER_READY);
  const directory: Directory = {
    services: namesOf('web', 'mail', 'constructor', '__proto__'),
    users: namesOf(),
    inbounds: namesOf('socks', 'http'),
    outbounds: namesOf('direct'),
    rules: namesOf(),
  };
  const told: { worker: number; message: ControlMessage }[] = [];
  const absent = new Set<number>();
  const over: Eviction[] = [];
  const evictions = createEvictions({
    tables,
    directory,
    tell(worker, message) {
      if (absent.has(worker) || worker >= WORKERS) return false;
      told.push({ worker, message });
      return true;
    },
    nowMs: clockMs,
    over: (eviction) => over.push(eviction),
    past,
    firstId,
  });
  return {
    tables,
    evictions,
    told,
    absent,
    over,
    jobs: () =>
      told.flatMap(({ worker, message }) => (message.kind === 'evict' ? [{ worker, job: message.job }] : [])),
    /** A worker's answer. */
    answer(worker: number, id: number, changes: Partial<Evicted> = {}) {
      const message: Evicted = {
        kind: 'evicted',
        id,
        matched: 0,
        closed: 0,
        workerUs: 0,
        lastMs: 0,
        isDone: true,
        byService: new Int32Array(0),
        byInbound: new Int32Array(0),
        sample: new Int32Array(0),
        undecided: 0,
        ...changes,
      };
      evictions.receive(worker, message);
    },
    /** Connections of service `web`, by worker. */
    populate(...counts: readonly number[]) {
      for (const [worker, count] of counts.entries()) tables.lists[worker]?.addCount(LIST_SERVICE, 0, count);
    },
  };
}

describe('an eviction', () => {
  it('asks those workers that have such connections, and adds up what they say', () => {
    const { evictions, jobs, answer, over, populate } = setUp(41);
    populate(2, 0, 5);
    const began = evictions.start({ service: 'web', ratePerSecond: 10 });
    expect(began).toMatchObject({ id: 41, state: 'running', matched: 0, closed: 0, lastGoneAtMs: undefined });
    expect(jobs().map(({ worker }) => worker)).toEqual([0, 2]);
    // The rate is all workers' together.
    expect(jobs().map(({ job }) => [job.id, job.ratePerSecond])).toEqual([
      [41, 5],
      [41, 5],
    ]);
    const nowMs = clockMs();
    answer(0, 41, { matched: 1, closed: 1, workerUs: 4, isDone: false });
    expect(evictions.get(41)).toMatchObject({ state: 'running', matched: 1, closed: 1, workerUs: 4 });
    answer(2, 41, {
      matched: 5,
      closed: 5,
      workerUs: 7,
      lastMs: nowMs - 1_000,
      byService: Int32Array.of(0, 1, 5),
      byInbound: Int32Array.of(0, 1, 3, 1, 1, 2),
      sample: new Int32Array(0),
      undecided: 0,
    });
    answer(0, 41, {
      matched: 2,
      closed: 2,
      workerUs: 9,
      lastMs: nowMs - 2_000,
      byService: Int32Array.of(0, 1, 2),
      // An inbound that has gone since, and one that nobody knew.
      byInbound: Int32Array.of(0, 3, 1, -1, 0, 2),
      sample: new Int32Array(0),
      undecided: 0,
    });
    const done = evictions.get(41) as Eviction;
    expect(done).toMatchObject({
      state: 'done',
      matched: 7,
      closed: 7,
      workerUs: 16,
      byService: { web: 7 },
      byInbound: { socks: 3, http: 2, '(gone)': 1, '(none)': 2 },
    });
    const goneAgoMs = Date.now() - (done.lastGoneAtMs ?? 0);
    expect(goneAgoMs).toBeGreaterThan(900);
    // By the clock of the machine, which may be busy.
    expect(goneAgoMs).toBeLessThan(5_000);
    expect(over).toMatchObject([{ id: 41, state: 'done', closed: 7 }]);
    expect(evictions.statistics()).toMatchObject({ started: 1, running: 0, closed: 7 });
    // The time that it took stands still from now on.
    expect(evictions.get(41)?.durationUs).toBe(done.durationUs);
  });

  it('counts objects by name, whatever they are called', () => {
    const { evictions, answer, populate } = setUp();
    populate(9);
    const { id } = evictions.start({ service: 'web' });
    answer(0, id, { byService: Int32Array.of(2, 1, 4, 3, 1, 5) });
    expect(Object.entries(evictions.get(id)?.byService ?? {})).toEqual([
      ['constructor', 4],
      ['__proto__', 5],
    ]);
  });

  it('is over at once where nobody has such connections, or no worker is there', () => {
    const { evictions, told, over, absent, populate } = setUp();
    expect(evictions.start({ service: 'mail' })).toMatchObject({ state: 'done', matched: 0, closed: 0 });
    expect(told).toEqual([]);
    populate(3, 3, 3);
    for (let worker = 0; worker < WORKERS; worker++) absent.add(worker);
    expect(evictions.start({ all: true })).toMatchObject({ state: 'done' });
    expect(evictions.start({ connection: { worker: 99, slot: 0, generation: 1 } })).toMatchObject({
      state: 'done',
    });
    expect(over.map(({ id }) => id)).toEqual([1, 2, 3]);
    expect(evictions.statistics()).toMatchObject({ started: 3, running: 0 });
  });

  it('with a mistake in it starts nothing, and takes no number', () => {
    const { evictions, told, populate } = setUp();
    populate(1, 1, 1);
    expect(() => evictions.start({ service: 'web', inbound: 'sucks' })).toThrow(SluiceError);
    expect(() => evictions.start({})).toThrow(SluiceError);
    expect([told, evictions.list()]).toEqual([[], []]);
    expect(evictions.start({ service: 'web', dryRun: true }).id).toBe(1);
    expect(evictions.statistics().started).toBe(1);
  });

  it('of one connection asks its worker alone', () => {
    const { evictions, jobs } = setUp();
    evictions.start({ connection: { worker: 1, slot: 6, generation: 11 } });
    expect(jobs()).toMatchObject([{ worker: 1, job: { slot: 6, generation: 11 } }]);
  });

  it('that only counts says so to the workers', () => {
    const { evictions, jobs } = setUp();
    evictions.start({ all: true, dryRun: true });
    expect(jobs().map(({ job }) => job.action)).toEqual([EVICT_COUNT, EVICT_COUNT, EVICT_COUNT]);
  });

  it('goes on without a worker that dies; its connections have ended with it', () => {
    const { evictions, answer, over, populate } = setUp();
    populate(1, 1, 1);
    const { id } = evictions.start({ service: 'web' });
    answer(0, id, { matched: 1, closed: 1 });
    answer(1, id, { matched: 1, closed: 1, isDone: false });
    evictions.workerGone(0, false);
    expect(evictions.get(id)).toMatchObject({ state: 'running', note: undefined });
    evictions.workerGone(2, false);
    expect(evictions.get(id)).toMatchObject({ state: 'running', note: 'workers_died' });
    evictions.workerGone(1, false);
    expect(evictions.get(id)).toMatchObject({ state: 'done', note: 'workers_died', closed: 2 });
    evictions.workerGone(1, false);
    // Its successor has the same number, and nothing to do with it.
    answer(1, id, { matched: 9, closed: 9 });
    expect(evictions.get(id)).toMatchObject({ state: 'done', closed: 2 });
    expect(over.length).toBe(1);
  });

  it('is cancelled by the stop of a worker that had not been through', () => {
    const { evictions, answer, over, populate } = setUp();
    populate(1, 4);
    const { id } = evictions.start({ service: 'web', ratePerSecond: 1 });
    answer(0, id, { matched: 1, closed: 1 });
    answer(1, id, { matched: 2, closed: 2, isDone: false });
    evictions.workerGone(0, true);
    evictions.workerGone(1, true);
    expect(over).toMatchObject([{ state: 'cancelled', note: undefined, total: 5, closed: 3 }]);
  });

  it('says how many it may come to, before anything has been met', () => {
    const { evictions, answer, populate, tables } = setUp();
    populate(3, 1);
    tables.workers.addConnections(2, 30);
    expect(evictions.start({ service: 'web', inbound: 'socks' }).total).toBe(0);
    expect(evictions.start({ all: true }).total).toBe(30);
    expect(evictions.start({ connection: { worker: 0, slot: 0, generation: 1 } }).total).toBe(1);
    const { id, total } = evictions.start({ service: 'web', ratePerSecond: 1 });
    expect(total).toBe(4);
    answer(0, id, { matched: 1, closed: 1, isDone: false });
    expect(evictions.get(id)).toMatchObject({ total: 4, matched: 1 });
    // One came into the list while the workers were told.
    answer(0, id, { matched: 4, closed: 4 });
    answer(1, id, { matched: 1, closed: 1 });
    expect(evictions.get(id)).toMatchObject({ state: 'done', total: 5, matched: 5 });
  });

  it('is remembered over a restart, as far as the store has it', () => {
    const { evictions, over, populate } = setUp();
    populate(0);
    const request = { service: 'web', ratePerSecond: 2 };
    evictions.start(request);
    const row = rowOf(over[0] as Eviction);
    const rows = Array.from({ length: 1_000 }, (_, at) => ({ ...row, id: at + 1 }));
    rows[999] = { ...row, id: 1_000, request: '[', note: 'workers_died' };
    const later = setUp(1_001, rows.map(evictionOf)).evictions;
    expect(later.list().map(({ id }) => id)).toEqual(rows.map(({ id }) => id).reverse());
    expect(later.get(7)).toEqual({ ...over[0], id: 7, byService: {}, byInbound: {} });
    expect(later.get(1_000)).toMatchObject({ request: {}, note: 'workers_died' });
    expect(later.cancel(7)).toEqual(later.get(7));
    // No more than before are remembered.
    expect(later.start({ service: 'web' }).id).toBe(1_001);
    expect([later.list().length, later.get(1)]).toEqual([1_000, undefined]);
    expect(
      later
        .list()
        .slice(0, 2)
        .map(({ id }) => id),
    ).toEqual([1_001, 1_000]);
  });

  it('is not moved by answers that are not its own', () => {
    const { evictions, answer, over, populate } = setUp();
    populate(1, 1);
    const { id } = evictions.start({ service: 'web' });
    answer(2, id, { matched: 7 });
    answer(0, id + 1, { matched: 7 });
    answer(0, id, { matched: 1, byService: Int32Array.of(0, 1, 1) });
    answer(0, id, { matched: 7, byService: Int32Array.of(0, 1, 7) });
    expect(evictions.get(id)).toMatchObject({ state: 'running', matched: 1, byService: { web: 1 } });
    answer(1, id);
    answer(1, id, { matched: 7 });
    expect(evictions.get(id)).toMatchObject({ state: 'done', matched: 1 });
    expect(over.length).toBe(1);
  });

  it('is cancelled: its workers are told, and it is over when they have answered', async () => {
    const { evictions, told, answer, over, populate } = setUp();
    populate(4, 4);
    const { id } = evictions.start({ service: 'web' });
    told.length = 0;
    expect(evictions.cancel(id)).toMatchObject({ state: 'cancelled' });
    expect(told).toEqual([0, 1].map((worker) => ({ worker, message: { kind: 'cancel_eviction', id } })));
    expect(evictions.cancel(id)).toMatchObject({ state: 'cancelled' });
    expect(told.length).toBe(2);
    const waiting = evictions.wait(id, 10_000);
    answer(0, id, { matched: 1, closed: 1 });
    expect(evictions.statistics().running).toBe(1);
    answer(1, id, { matched: 2, closed: 2 });
    expect(await waiting).toMatchObject({ state: 'cancelled', closed: 3 });
    expect(over).toMatchObject([{ state: 'cancelled', closed: 3 }]);
    expect([evictions.cancel(99), evictions.cancel(id)?.state]).toEqual([undefined, 'cancelled']);
  });

  it('that is done can not be cancelled any more', () => {
    const { evictions, told, answer, populate } = setUp();
    populate(1);
    const { id } = evictions.start({ service: 'web' });
    answer(0, id);
    expect(evictions.cancel(id)?.state).toBe('done');
    expect(told.length).toBe(1);
  });
});

describe('who waits for an eviction', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('hears when it is over, or where it stands when the time is up', async () => {
    const { evictions, answer, populate } = setUp();
    populate(1);
    const { id } = evictions.start({ service: 'web' });
    const short = evictions.wait(id, 100);
    const long = evictions.wait(id, 5_000);
    answer(0, id, { matched: 1, isDone: false });
    await vi.advanceTimersByTimeAsync(100);
    expect(await short).toMatchObject({ state: 'running', matched: 1 });
    answer(0, id, { matched: 2 });
    expect(await long).toMatchObject({ state: 'done', matched: 2 });
    expect(await evictions.wait(id, 5_000)).toMatchObject({ state: 'done' });
    expect(vi.getTimerCount()).toBe(0);
    await expect(evictions.wait(77, 1)).rejects.toThrow(RangeError);
  });

  it('hears of every worker that did not reconcile in time, and nothing of it runs on', async () => {
    const { evictions, answer, jobs } = setUp();
    const reconciling = evictions.reconcile([
      { list: LIST_SERVICE, key: 0 },
      { list: LIST_INBOUND, key: 1 },
    ]);
    const failed = expect(reconciling).rejects.toMatchObject({
      code: 'reconcile_late',
      facts: { workers: [1, 2] },
    });
    const [ofService, ofInbound] = [...new Set(jobs().map(({ job }) => job.id))] as [number, number];
    for (const worker of [0, 2]) answer(worker, ofService);
    for (const worker of [0, 1]) answer(worker, ofInbound);
    await vi.advanceTimersByTimeAsync(30_000);
    await failed;
    expect(evictions.statistics()).toMatchObject({ running: 0, reconciliations: 0 });
    answer(1, ofService, { closed: 3 });
    expect(evictions.statistics()).toMatchObject({ running: 0, closed: 0 });
  });
});

describe('the list of evictions', () => {
  it('has the last thousand, the newest first, and whatever still runs', () => {
    const { evictions, answer, populate } = setUp();
    populate(1);
    const { id: running } = evictions.start({ service: 'web' });
    for (let i = 0; i < 1_100; i++) evictions.start({ service: 'mail' });
    const ids = evictions.list().map(({ id }) => id);
    expect(ids.length).toBe(1_000);
    expect([ids[0], ids.at(-2), ids.at(-1)]).toEqual([1_101, 103, running]);
    expect(evictions.get(50)).toBeUndefined();
    answer(0, running);
    evictions.start({ service: 'mail' });
    expect(evictions.list().length).toBe(1_000);
    expect(evictions.get(running)).toBeUndefined();
    expect(evictions.statistics().started).toBe(1_102);
  });
});

describe('a reconciliation', () => {
  it('walks the lists that a change concerns, each once, on every worker, and adds up who was ended', async () => {
    const { evictions, jobs, answer, over } = setUp();
    const beganMs = clockMs();
    const reconciling = evictions.reconcile([
      { list: LIST_SERVICE, key: 3 },
      { list: LIST_SERVICE, key: 5 },
      { list: LIST_INBOUND, key: 1 },
      { list: LIST_SERVICE, key: 3 },
    ]);
    const walked = (job: EvictionJob) => [job.list, [...job.keys], job.action];
    expect(jobs().map(({ job }) => walked(job))).toEqual([
      ...Array.from({ length: WORKERS }, () => [LIST_SERVICE, [3, 5], EVICT_RECONCILE]),
      ...Array.from({ length: WORKERS }, () => [LIST_INBOUND, [1], EVICT_RECONCILE]),
    ]);
    for (const { worker, job } of jobs()) {
      if (worker === 2) continue;
      answer(worker, job.id, { matched: 2, closed: 2, workerUs: 10, lastMs: beganMs + 1_000 });
    }
    evictions.workerGone(2, false);
    const reconciled = await reconciling;
    expect(reconciled).toMatchObject({ ended: 8, workerUs: 40 });
    expect(reconciled.lastGoneUs).toBeGreaterThan(500_000);
    expect(reconciled.lastGoneUs).toBeLessThanOrEqual(1_000_000);
    // Nobody asked for it: it is in no list, and no store.
    expect([evictions.list(), over]).toEqual([[], []]);
    expect(evictions.statistics()).toMatchObject({
      started: 0,
      running: 0,
      closed: 0,
      reconciliations: 1,
      lastReconcile: reconciled,
    });
  });

  it('of nothing, or without workers, is over at once', async () => {
    const { evictions, told, absent } = setUp();
    const nothing = { ended: 0, workerUs: 0, lastGoneUs: 0 };
    expect(await evictions.reconcile([])).toMatchObject(nothing);
    for (let worker = 0; worker < WORKERS; worker++) absent.add(worker);
    expect(await evictions.reconcile([{ list: LIST_SERVICE, key: 0 }])).toMatchObject(nothing);
    expect(told).toEqual([]);
  });
});
