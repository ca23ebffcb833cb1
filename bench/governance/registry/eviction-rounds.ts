// The measurement: 32 real connections of one (service, source) are opened among all that are registered, and evicted by
// mail; the worker's own account of its time (thread CPU) is the figure. Then the same match by a walk over all slots,
// counted only, is what a proxy without an index would do.
//
// Nothing is kept warm that would be cold in a daemon: before each eviction 64 filled connections that were drawn at
// random end, and the 32 take slots from among those, each next to a filled one. So their slots, and their neighbours in
// every list, lie anywhere in the table.

import { LIST_SOURCE } from '../../../src/layout/lists.ts';
import {
  EVERY_CONNECTION,
  EVERYTHING,
  EVICT_COUNT,
  EVICT_END,
  type EvictionJob,
} from '../../../src/layout/messages.ts';
import { compileNetworks } from '../../../src/layout/network-set.ts';
import { SourceIndex } from '../../../src/layout/source-index.ts';
import { MAPPED_WORD } from '../../../src/sys/socket-address.ts';
import { median } from '../../judge.ts';
import { settledResidentBytes } from '../../process/resident.ts';
import { type RealConnection, RealConnections } from './real-connections.ts';
import { REAL_SERVICE, Registry } from './registry.ts';

const EVICTED_CONNECTIONS = 32;
/** 127.9.9.9, and 127.16.0.0 and on. */
const EVICTED_SOURCE = 0x7f09_0909;
const REAL_SOURCES = 0x7f10_0000;
/** There are always some to draw from. */
const FILLED_MIN = 4 * EVICTED_CONNECTIONS;
const LINK_SAMPLE_MAX = 20_000;
const LINK_ROUNDS = 15;
const SETTLE_MS = 2000;
/** So that small registries are walked by compiled code as well. */
const SCANNED_SLOTS_WARMUP = 200_000;

export interface RegistryOrder {
  readonly size: number;
  readonly realMax: number;
  readonly warmup: number;
  readonly evictions: number;
  readonly scans: number;
  readonly seed: number;
}

export interface RegistryFigures {
  /** Microseconds of the worker, medians and the 90th percentile. */
  readonly evictionUs: number;
  readonly evictionP90Us: number;
  readonly scanUs: number;
  /** Nanoseconds a connection, into and out of all its lists. */
  readonly linkNs: number;
  readonly unlinkNs: number;
  readonly bytesEach: number;
  readonly real: number;
  readonly registered: number;
}

interface Stage {
  readonly registry: Registry;
  readonly sockets: RealConnections;
  /** Slots of filled connections. */
  readonly filled: number[];
  readonly draw: (below: number) => number;
}

export async function measureRegistry(order: RegistryOrder): Promise<RegistryFigures> {
  const registry = new Registry(order.size);
  const sockets = new RealConnections(registry.sys, () => registry.turn());
  registry.serve(sockets.listenFd, sockets.originPort);
  const rest = order.size - EVICTED_CONNECTIONS;
  const real = Math.max(0, Math.min(order.realMax, rest - FILLED_MIN));
  const before = await settledResidentBytes([process.pid], SETTLE_MS);
  for (let number = 0; number < real; number++) sockets.open(REAL_SOURCES + number);
  const filled = Array.from({ length: rest - real }, (_, number) => registry.fill(number));
  const bytes = (await settledResidentBytes([process.pid], SETTLE_MS)) - before;
  const stage: Stage = { registry, sockets, filled, draw: generator(order.seed) };
  for (let i = 0; i < order.warmup; i++) evictOnce(stage);
  const evictions = Array.from({ length: order.evictions }, () => evictOnce(stage)).toSorted((a, b) => a - b);
  const scans = scan(stage, order.size, order.scans);
  const links = Array.from({ length: LINK_ROUNDS }, () => linkOnce(stage));
  registry.close();
  return {
    evictionUs: median(evictions),
    evictionP90Us: evictions[Math.floor(evictions.length * 0.9)] ?? Number.NaN,
    scanUs: median(scans),
    linkNs: median(links.map(({ linkNs }) => linkNs)),
    unlinkNs: median(links.map(({ unlinkNs }) => unlinkNs)),
    bytesEach: bytes / rest,
    real: real + EVICTED_CONNECTIONS,
    registered: order.size,
  };
}

/** @returns microseconds of the worker */
function evictOnce(stage: Stage): number {
  const { registry, sockets } = stage;
  const evicted = openScattered(stage);
  const report = registry.evict(jobFor(registry, EVICT_END));
  const reset = evicted.connections.filter((connection) => sockets.wereReset(connection));
  if (report.closed !== EVICTED_CONNECTIONS || reset.length !== EVICTED_CONNECTIONS) {
    throw new Error(`${report.closed} of ${EVICTED_CONNECTIONS} were closed, ${reset.length} reset`);
  }
  for (const number of evicted.numbers) stage.filled.push(registry.fill(number));
  return report.workerUs;
}

/** @returns the connections to evict, and the numbers of the filled ones whose place they took */
function openScattered(stage: Stage): { connections: RealConnection[]; numbers: number[] } {
  const { registry, sockets, filled, draw } = stage;
  const numbers: number[] = [];
  for (let i = 0; i < 2 * EVICTED_CONNECTIONS; i++) {
    const at = draw(filled.length);
    const slot = filled[at] as number;
    filled[at] = filled.at(-1) as number;
    filled.pop();
    numbers.push(registry.empty(slot));
  }
  const connections: RealConnection[] = [];
  for (let i = 0; i < EVICTED_CONNECTIONS; i++) {
    connections.push(sockets.open(EVICTED_SOURCE));
    filled.push(registry.fill(numbers.pop() as number));
  }
  return { connections, numbers };
}

/** What `POST /v1/evictions {service, source}` becomes on the control thread. */
function jobFor(registry: Registry, action: number): Omit<EvictionJob, 'id'> {
  const { tables } = registry;
  const index = new SourceIndex(tables.sources, tables.sourceBuckets, tables.shared.hashKey);
  const entry = index.find(REAL_SERVICE, 0, 0, MAPPED_WORD, EVICTED_SOURCE);
  return {
    ...EVERYTHING,
    action,
    list: action === EVICT_END ? LIST_SOURCE : EVERY_CONNECTION,
    keys: action === EVICT_END ? Int32Array.of(entry) : new Int32Array(0),
    service: REAL_SERVICE,
    serviceGeneration: tables.services.generation(REAL_SERVICE),
    source: compileNetworks(['127.9.9.9']),
  };
}

/** @returns microseconds of the worker for each walk over all slots that counts those that match */
function scan(stage: Stage, size: number, scans: number): number[] {
  const { registry, sockets } = stage;
  const scanned = openScattered(stage);
  const job = jobFor(registry, EVICT_COUNT);
  const scanOnce = (): number => {
    const { matched, workerUs } = registry.evict(job);
    if (matched !== EVICTED_CONNECTIONS) throw new Error(`the scan found ${matched}`);
    return workerUs;
  };
  for (let slots = 0; slots < SCANNED_SLOTS_WARMUP; slots += size) scanOnce();
  const timesUs = Array.from({ length: scans }, scanOnce);
  registry.evict(jobFor(registry, EVICT_END));
  for (const connection of scanned.connections) sockets.wereReset(connection);
  for (const number of scanned.numbers) stage.filled.push(registry.fill(number));
  return timesUs;
}

/** Takes connections that are drawn at random out of all their lists, and puts them back in another order. */
function linkOnce({ registry, filled, draw }: Stage): { linkNs: number; unlinkNs: number } {
  const count = Math.min(LINK_SAMPLE_MAX, filled.length);
  for (let i = 0; i < count; i++) {
    const other = i + draw(filled.length - i);
    const slot = filled[i] as number;
    filled[i] = filled[other] as number;
    filled[other] = slot;
  }
  const slots = filled.slice(0, count);
  const beganMs = performance.now();
  for (const slot of slots) registry.unlink(slot);
  const betweenMs = performance.now();
  for (const slot of slots) registry.relink(slot);
  const endedMs = performance.now();
  return { unlinkNs: ((betweenMs - beganMs) * 1e6) / count, linkNs: ((endedMs - betweenMs) * 1e6) / count };
}

/** Whole numbers in [0, below), repeatable. @source Marsaglia, Xorshift RNGs (2003) */
function generator(seed: number): (below: number) => number {
  let state = seed | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}
