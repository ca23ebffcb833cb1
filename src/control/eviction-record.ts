// What is known of an eviction: what was asked for, and what the workers have answered so far. Control thread.

import { OTHERS } from '../layout/messages.ts';
import type { Names } from './directory.ts';

/** What has gone, or was not known yet, in counts by name. */
const NAMELESS = '(none)';
/** All beyond those that a worker tells apart. */
const OTHER_NAMES = '(others)';

export interface EvictionRequest {
  /** Names; undefined: any. */
  readonly service?: string;
  readonly user?: string;
  readonly inbound?: string;
  readonly outbound?: string;
  readonly rule?: string;
  /** Address or prefix. */
  readonly source?: string;
  /** Needed to evict without any filter. */
  readonly all?: boolean;
  readonly dryRun?: boolean;
  /** Close with FIN instead of a reset. */
  readonly orderly?: boolean;
  readonly ratePerSecond?: number;
  readonly connection?: { readonly worker: number; readonly slot: number; readonly generation: number };
}

/** How far an eviction has come. */
export interface Eviction {
  readonly id: number;
  readonly request: EvictionRequest;
  /** Milliseconds since 1970. */
  readonly startedAtMs: number;
  readonly state: 'running' | 'done' | 'cancelled' | 'failed';
  readonly matched: number;
  readonly closed: number;
  readonly durationUs: number;
  readonly workerUs: number;
  /** Milliseconds since 1970. */
  readonly lastGoneAtMs: number | undefined;
  readonly byService: Readonly<Record<string, number>>;
  readonly byInbound: Readonly<Record<string, number>>;
}

/** What one worker has answered so far. */
export interface Share {
  matched: number;
  closed: number;
  workerUs: number;
  lastMs: number;
  isDone: boolean;
}

export interface Running {
  readonly id: number;
  readonly request: EvictionRequest;
  readonly startedAtMs: number;
  readonly beganMs: number;
  readonly shares: Map<number, Share>;
  readonly byService: Record<string, number>;
  readonly byInbound: Record<string, number>;
  durationUs: number;
  state: Eviction['state'];
  readonly waiting: Set<() => void>;
}

export function newRunning(id: number, request: EvictionRequest): Running {
  return {
    id,
    request,
    startedAtMs: Date.now(),
    beganMs: performance.now(),
    shares: new Map(),
    byService: emptyCounts(),
    byInbound: emptyCounts(),
    durationUs: 0,
    state: 'running',
    waiting: new Set(),
  };
}

/** @param nowMs the workers' clock */
export function snapshotOf(one: Running, isOver: boolean, nowMs: number): Eviction {
  const { matched, closed, workerUs, lastMs } = sum(one);
  const { id, request, startedAtMs, state } = one;
  return {
    id,
    request,
    startedAtMs,
    state,
    matched,
    closed,
    durationUs: isOver ? one.durationUs : Math.round((performance.now() - one.beganMs) * 1000),
    workerUs,
    lastGoneAtMs: lastMs === 0 ? undefined : Math.round(Date.now() - (nowMs - lastMs)),
    byService: { ...one.byService },
    byInbound: { ...one.byInbound },
  };
}

export function sum(one: Running): Omit<Share, 'isDone'> {
  const total = { matched: 0, closed: 0, workerUs: 0, lastMs: 0 };
  for (const share of one.shares.values()) {
    total.matched += share.matched;
    total.closed += share.closed;
    total.workerUs += share.workerUs;
    total.lastMs = Math.max(total.lastMs, share.lastMs);
  }
  return total;
}

/** Objects may be called `constructor`, or worse. */
function emptyCounts(): Record<string, number> {
  return Object.create(null) as Record<string, number>;
}

/** @param triples index, generation and count of each */
export function addNamed(counts: Record<string, number>, triples: Int32Array, names: Names): void {
  for (let at = 0; at + 2 < triples.length; at += 3) {
    const index = triples[at] as number;
    const name =
      index === OTHERS ? OTHER_NAMES : (names.nameOf(index, triples[at + 1] as number) ?? NAMELESS);
    counts[name] = (counts[name] ?? 0) + (triples[at + 2] as number);
  }
}
