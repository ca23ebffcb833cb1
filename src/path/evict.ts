// Evictions on a worker: the connections of some lists, or those of them that match further, are ended (counted,
// reconciled), a bounded share a turn, so that whoever is not meant hardly notices.
//
//   mail ─► queue ─► a share each turn: key by key, slot by slot ─► done: answered
//                         │ rate used up: until there is allowance again
//
// A walk meets every connection that stood in its list when it came to that list, and ends none that was accepted after the
// eviction began. What the control thread published before its mail holds for all that come later. Those that a rate slows
// down wait in a row of their own: they must not keep the others waiting, reconciliations among them.
// Owner worker only; rare, so it may allocate.

import { CURSORS_MAX } from '../connection/lists.ts';
import type { EvictionJob } from '../layout/messages.ts';
import {
  EVERY_CONNECTION,
  EVICT_COUNT,
  EVICT_END,
  EVICT_RECONCILE,
  REJUDGE_NOT,
  SAMPLE_MAX,
} from '../layout/messages.ts';
import { EVICTED } from '../layout/reasons.ts';
import { NO_SLOT } from '../layout/lists.ts';
import { SLOT_LINGERING, SLOT_SILENT } from '../layout/slot.ts';
import type { DataWorker } from './data-worker.ts';
import type { Breakdown } from './eviction-answers.ts';
import { countOne, report } from './eviction-answers.ts';
import { isMeant } from './eviction-filters.ts';
import { retire } from './retire.ts';
import { rejudge, UNDECIDED } from './rules/rejudge.ts';
import { whatWentStale } from './stale.ts';

/**
 * What all evictions together may take of a turn: a share of what the turn took before them, so that they come to an end on
 * a busy worker too, within bounds. Looked at after every so many slots.
 */
const TURN_SHARE = 1 / 8;
const TURN_US_MIN = 150;
const TURN_US_MAX = 1_000;
const SLOTS_PER_LOOK = 8;
/** Keys whose lists are empty cost little, but are looked at by the thousand. */
const KEYS_PER_LOOK = 256;
const REPORT_EVERY_MS = 100;
const RATE_BURST_MS = 50;
/** Of those with a rate, and of those without: behind these they wait their turn. Each may hold a cursor. */
const RUNNING_MAX = CURSORS_MAX / 2;

/** The turns are counted from 0 again after so many. */
const EVICTION_TURNS = 2 ** 30;
const CLOSED = -1;

/** An eviction under way. */
export class Eviction {
  readonly job: EvictionJob;
  /** The key whose list is walked, and its cursor; or the next slot where all are walked. */
  keyAt = 0;
  cursor = CLOSED;
  matched = 0;
  closed = 0;
  workerUs = 0;
  lastMs = 0;
  /** Ends that the rate allows now. */
  allowance = 0;
  allowedMs: number;
  reportedMs: number;
  readonly beganMs: number;
  isDone = false;
  /** Of a rejudgement: those that nobody can judge. */
  undecided = 0;
  /** Of a count: slot and generation of those that matched first. */
  readonly sample: number[] = [];
  readonly byService: Breakdown = new Map();
  readonly byInbound: Breakdown = new Map();

  constructor(job: EvictionJob, nowMs: number) {
    this.job = job;
    this.beganMs = nowMs;
    this.reportedMs = nowMs;
    this.allowedMs = nowMs;
    this.allowance = job.ratePerSecond > 0 ? 1 : Number.POSITIVE_INFINITY;
  }
}

export function startEviction(w: DataWorker, job: EvictionJob): void {
  if (w.evictions.length === 0) w.evictionsRanUs = w.sys.nowUs();
  w.evictions.push(new Eviction(job, w.sys.nowMs()));
}

/** Leaves the rest of it alone. */
export function cancelEviction(w: DataWorker, id: number): void {
  for (const eviction of w.evictions) if (eviction.job.id === id) eviction.isDone = true;
}

/** @returns how long the loop may sleep: not at all while there is work, else until a rate allows more */
export function evictionSleepMs(w: DataWorker, sleepMsMax: number): number {
  let sleepMs = sleepMsMax;
  for (const eviction of runningNow(w)) {
    if (eviction.isDone || eviction.allowance >= 1) return 0;
    const waitMs = Math.ceil(((1 - eviction.allowance) * 1000) / eviction.job.ratePerSecond);
    if (waitMs < sleepMs) sleepMs = waitMs;
  }
  return sleepMs;
}

/** One turn's share of the evictions under way. */
export function runEvictions(w: DataWorker): void {
  const beganAtUs = w.sys.nowUs();
  const shareUs = (beganAtUs - w.evictionsRanUs) * TURN_SHARE;
  const endsUs = beganAtUs + Math.min(TURN_US_MAX, Math.max(TURN_US_MIN, shareUs));
  const running = runningNow(w);
  // Who had the first share of this turn has the last one of the next.
  w.evictionTurn = (w.evictionTurn + 1) % EVICTION_TURNS;
  // One of them goes on in each turn, however long the thread was kept from it.
  for (let i = 0; i < running.length && (i === 0 || w.sys.nowUs() < endsUs); i++) {
    const eviction = running[(i + w.evictionTurn) % running.length] as Eviction;
    const beganUs = w.sys.threadCpuUs();
    allow(eviction, w.sys.nowMs());
    if (!eviction.isDone) walk(w, eviction, endsUs);
    eviction.workerUs += w.sys.threadCpuUs() - beganUs;
    const nowMs = w.sys.nowMs();
    if (nowMs - eviction.reportedMs < REPORT_EVERY_MS) continue;
    eviction.reportedMs = nowMs;
    if (!eviction.isDone) report(w, eviction);
  }
  w.evictionsRanUs = w.sys.nowUs();
  // Also one that was cancelled before its turn came is answered.
  for (let i = w.evictions.length - 1; i >= 0; i--) {
    const eviction = w.evictions[i] as Eviction;
    if (!eviction.isDone) continue;
    report(w, eviction);
    if (eviction.cursor !== CLOSED) w.lists.closeCursor(eviction.cursor);
    w.evictions.splice(i, 1);
  }
}

/**
 * The oldest of either row: whoever has begun to walk stays among them until it is done. While there is a reconciliation
 * the others without a rate wait for it.
 */
function runningNow(w: DataWorker): Eviction[] {
  let rated = 0;
  let unrated = 0;
  const running = w.evictions.filter(({ job }) =>
    job.ratePerSecond > 0 ? rated++ < RUNNING_MAX : unrated++ < RUNNING_MAX,
  );
  const reconciling = running.filter(({ job }) => job.action === EVICT_RECONCILE);
  return reconciling.length > 0 ? reconciling : running;
}

function allow(eviction: Eviction, nowMs: number): void {
  const rate = eviction.job.ratePerSecond;
  if (rate === 0) return;
  const allowance = eviction.allowance + ((nowMs - eviction.allowedMs) * rate) / 1000;
  eviction.allowance = Math.min(allowance, Math.max(1, (rate * RATE_BURST_MS) / 1000));
  eviction.allowedMs = nowMs;
}

function walk(w: DataWorker, eviction: Eviction, endsUs: number): void {
  const { job } = eviction;
  if (job.slot >= 0) {
    if (w.slots.isLive(job.slot, job.generation)) visit(w, eviction, job.slot);
    eviction.isDone = true;
  } else if (job.list === EVERY_CONNECTION) {
    walkSlots(w, eviction, endsUs);
  } else {
    walkLists(w, eviction, endsUs);
  }
}

function walkSlots(w: DataWorker, eviction: Eviction, endsUs: number): void {
  for (let looked = 1; eviction.keyAt < w.slots.touched; looked++) {
    const slot = eviction.keyAt;
    if ((w.table.generation(slot) & 1) === 1) {
      if (mustWait(w, eviction, slot)) return;
      visit(w, eviction, slot);
    }
    eviction.keyAt++;
    if (looked % SLOTS_PER_LOOK === 0 && w.sys.nowUs() >= endsUs) return;
  }
  eviction.isDone = true;
}

function walkLists(w: DataWorker, eviction: Eviction, endsUs: number): void {
  const { job } = eviction;
  const { lists } = w;
  let slots = 0;
  let keys = 0;
  for (;;) {
    if (eviction.cursor === CLOSED) {
      if (eviction.keyAt === job.keys.length) break;
      if (++keys % KEYS_PER_LOOK === 0 && w.sys.nowUs() >= endsUs) return;
      eviction.cursor = lists.openCursor(job.list, job.keys[eviction.keyAt++] as number);
    }
    const slot = lists.peek(eviction.cursor);
    if (slot === NO_SLOT) {
      lists.closeCursor(eviction.cursor);
      eviction.cursor = CLOSED;
      continue;
    }
    if (mustWait(w, eviction, slot)) return;
    lists.advance(eviction.cursor);
    visit(w, eviction, slot);
    if (++slots % SLOTS_PER_LOOK === 0 && w.sys.nowUs() >= endsUs) return;
  }
  eviction.isDone = true;
}

/** The rate allows no end now, and this would be one. Whoever is only passed by does not wait, nor does a list's end. */
function mustWait(w: DataWorker, eviction: Eviction, slot: number): boolean {
  return eviction.allowance < 1 && reasonFor(w, eviction, slot, true) > 0;
}

/**
 * @param isDry nothing changes, not the list in which the connection stands either
 * @returns why the connection is to end (to be counted); 0: it is not meant; UNDECIDED: nobody can say
 */
function reasonFor(w: DataWorker, eviction: Eviction, slot: number, isDry: boolean): number {
  const { job } = eviction;
  if (!isMeant(w, job, slot)) return 0;
  if (job.action === EVICT_RECONCILE) {
    const stale = whatWentStale(w, slot);
    // Who was refused already has a reason of its own.
    return stale !== 0 && wasRefused(w, slot) ? w.table.reason(slot) : stale;
  }
  // It may have got the slot of one that the walk over all had not come to yet.
  if (w.table.startedMs(slot) > eviction.beganMs) return 0;
  if (job.rejudge === REJUDGE_NOT) return job.reason;
  return rejudge(w, slot, job.snapshotRow, job.rejudge, isDry);
}

function wasRefused(w: DataWorker, slot: number): boolean {
  const state = w.table.state(slot);
  return state === SLOT_LINGERING || state === SLOT_SILENT;
}

function visit(w: DataWorker, eviction: Eviction, slot: number): void {
  const { job } = eviction;
  const reason = reasonFor(w, eviction, slot, job.action === EVICT_COUNT);
  if (reason === UNDECIDED) eviction.undecided++;
  if (reason <= 0) return;
  eviction.matched++;
  countOne(eviction.byService, w.table.service(slot), w.table.serviceGeneration(slot));
  countOne(eviction.byInbound, w.table.inbound(slot), w.table.inboundGeneration(slot));
  if (job.action === EVICT_COUNT) {
    if (eviction.sample.length < SAMPLE_MAX * 2) eviction.sample.push(slot, w.table.generation(slot));
    return;
  }
  // What nobody asked for by a number (a rejudgement) has none in receipts.
  w.evictionId = job.action === EVICT_END && job.id > 0 ? job.id : 0;
  w.evictOrderly = job.orderly;
  retire(w, slot, reason);
  w.evictionId = 0;
  w.evictOrderly = false;
  w.row.addEvicted(w.index, reason === EVICTED ? 1 : 0);
  eviction.closed++;
  eviction.allowance--;
  eviction.lastMs = w.sys.nowMs();
}
