// What is known of an eviction: what was asked for, and what the workers have answered so far. Control thread.

import type { EvictionRow } from '../layout/keeper-messages.ts';
import { OTHERS } from '../layout/messages.ts';
import type { Names } from './directory.ts';

/** Not known yet, in counts by name. */
const NAMELESS = '(none)';
/** It had a name when its connections matched, and has gone since. */
const GONE = '(gone)';
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
  /** `workers_died`: those ended their connections with them, and told no more counts. */
  readonly note: 'workers_died' | undefined;
  /** Connections in the lists that are walked, when it began: no more can match. */
  readonly total: number;
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
  /** Of a rejudgement: those that nobody can judge again without asking. */
  undecided: number;
  isDone: boolean;
}

export interface Running {
  readonly id: number;
  readonly request: EvictionRequest;
  readonly startedAtMs: number;
  readonly beganMs: number;
  readonly total: number;
  readonly shares: Map<number, Share>;
  readonly byService: Record<string, number>;
  readonly byInbound: Record<string, number>;
  /** Of a dry run: names of the first connections that matched. */
  readonly sample: string[];
  durationUs: number;
  state: Eviction['state'];
  note: Eviction['note'];
  readonly waiting: Set<() => void>;
}

export function newRunning(id: number, request: EvictionRequest, total: number): Running {
  return {
    id,
    request,
    startedAtMs: Date.now(),
    beganMs: performance.now(),
    total,
    shares: new Map(),
    byService: emptyCounts(),
    byInbound: emptyCounts(),
    sample: [],
    durationUs: 0,
    state: 'running',
    note: undefined,
    waiting: new Set(),
  };
}

/** @param nowMs the workers' clock */
export function snapshotOf(one: Running, isOver: boolean, nowMs: number): Eviction {
  const { matched, closed, workerUs, lastMs } = sum(one);
  const { id, request, startedAtMs, state, note } = one;
  return {
    id,
    request,
    startedAtMs,
    state,
    note,
    // Whoever came into a list just before it was walked was not counted yet.
    total: Math.max(one.total, matched),
    matched,
    closed,
    durationUs: isOver ? one.durationUs : Math.round((performance.now() - one.beganMs) * 1000),
    workerUs,
    lastGoneAtMs: lastMs === 0 ? undefined : Math.round(Date.now() - (nowMs - lastMs)),
    byService: { ...one.byService },
    byInbound: { ...one.byInbound },
  };
}

/** For the store. */
export function rowOf(eviction: Eviction): EvictionRow {
  const { id, startedAtMs, request, state, note, total, matched, closed, durationUs, workerUs } = eviction;
  return {
    id,
    atMs: startedAtMs,
    request: JSON.stringify(request),
    matched,
    closed,
    durationUs,
    workerUs,
    state,
    total,
    note: note ?? null,
    lastGoneAtMs: eviction.lastGoneAtMs ?? null,
  };
}

/** As the store has it: without the counts by name. */
export function evictionOf(row: EvictionRow): Eviction {
  const { id, atMs, matched, closed, durationUs, workerUs } = row;
  return {
    id,
    request: readRequest(row.request),
    startedAtMs: atMs,
    state: row.state as Eviction['state'],
    note: row.note === 'workers_died' ? row.note : undefined,
    total: Math.max(row.total, matched),
    matched,
    closed,
    durationUs,
    workerUs,
    lastGoneAtMs: row.lastGoneAtMs ?? undefined,
    byService: {},
    byInbound: {},
  };
}

/** Somebody may have edited the file. */
function readRequest(json: string): EvictionRequest {
  try {
    const request = JSON.parse(json) as EvictionRequest | null;
    return typeof request === 'object' && request !== null ? request : {};
  } catch {
    return {};
  }
}

export function sum(one: Running): Omit<Share, 'isDone'> {
  const total = { matched: 0, closed: 0, workerUs: 0, lastMs: 0, undecided: 0 };
  for (const share of one.shares.values()) {
    total.matched += share.matched;
    total.closed += share.closed;
    total.workerUs += share.workerUs;
    total.undecided += share.undecided;
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
    const name = nameIn(names, index, triples[at + 1] as number);
    counts[name] = (counts[name] ?? 0) + (triples[at + 2] as number);
  }
}

function nameIn(names: Names, index: number, generation: number): string {
  if (index === OTHERS) return OTHER_NAMES;
  return index < 0 ? NAMELESS : (names.nameOf(index, generation) ?? GONE);
}
