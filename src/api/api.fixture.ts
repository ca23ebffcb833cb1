// An API over real tables and a directory of a few names, for the tests of its resources. What decides and acts behind it
// is written down instead of done.

import type { FastifyInstance } from 'fastify';
import type { Directory, Names, ObjectReference } from '../control/directory.ts';
import type { Eviction, EvictionRequest } from '../control/eviction-record.ts';
import type { Evictions } from '../control/evictions.ts';
import type { Log } from '../control/log.ts';
import { createUsageBook } from '../control/usage-book.ts';
import type { KeeperStatistics } from '../layout/keeper-messages.ts';
import { LIST_INBOUND, LIST_SERVICE, LIST_SOURCE, NO_SLOT, NOT_LINKED } from '../layout/lists.ts';
import { MAPPED_WORD } from '../sys/socket-address.ts';
import { SLOT_RELAYING } from '../layout/slot.ts';
import { type EntrySupply, SourceIndex } from '../layout/source-index.ts';
import { attachTables, createTables } from '../layout/tables.ts';
import type { Tables } from '../layout/tables.ts';
import { WORKER_READY } from '../layout/worker.ts';
import type { ApiContext } from './context.ts';
import { noteRules } from './rules.fixture.ts';
import { buildApi } from './server.ts';

const WORKERS = 2;
const SLOTS = 64;

export function makeTables(slotsPerWorker = SLOTS): Tables {
  const limits = {
    workers: WORKERS,
    slotsPerWorker,
    pipesPerWorker: 1,
    services: 8,
    credentials: 8,
    serverNames: 8,
    targets: 8,
    sources: 64,
    networkWords: 64,
    ruleWords: 65_536,
    receipts: 64,
    isIndexed: true,
  };
  const tables = attachTables(createTables(limits, new Int32Array(4)));
  for (let worker = 0; worker < WORKERS; worker++) tables.workers.setLife(worker, WORKER_READY);
  return tables;
}

/** Names whose index is their place in the list, all of generation 1. */
function namesOf(list: readonly string[]): Names {
  return {
    find: (name): ObjectReference | undefined =>
      list.includes(name) ? { index: list.indexOf(name), generation: 1 } : undefined,
    nameOf: (index, generation) => (generation === 1 ? list[index] : undefined),
    all: () => list,
  };
}

const DIRECTORY: Directory = {
  services: namesOf(['alice', 'bob']),
  users: namesOf(['alice', 'bob-phone', 'bob-desk']),
  inbounds: namesOf(['socks', 'web']),
  outbounds: namesOf(['direct']),
  rules: namesOf([]),
};

export interface Standing {
  readonly worker: number;
  readonly slot: number;
  readonly service: number;
  readonly inbound: number;
  readonly user?: number;
  /** Last word of an address in 10.0.0.0/8. */
  readonly host?: number;
  readonly startedMs?: number;
}

/** Puts a connection into its slot and lists, as its worker would. @returns its name */
export function putConnection(tables: Tables, standing: Standing): string {
  const { worker, slot } = standing;
  const slots = tables.slots[worker] as Tables['slots'][number];
  slots.setGeneration(slot, slots.generation(slot) + 1);
  slots.setState(slot, SLOT_RELAYING);
  slots.setService(slot, standing.service);
  slots.setServiceGeneration(slot, 1);
  slots.setInbound(slot, standing.inbound);
  slots.setInboundGeneration(slot, 1);
  slots.setCredential(slot, standing.user ?? -1);
  slots.setCredentialGeneration(slot, 1);
  slots.setOutbound(slot, 0);
  slots.setOutboundGeneration(slot, 1);
  slots.setRule(slot, -1);
  slots.setSource(slot, 0, 0);
  slots.setSource(slot, 1, 0);
  slots.setSource(slot, 2, MAPPED_WORD);
  slots.setSource(slot, 3, 0x0a000000 + (standing.host ?? 1));
  slots.setSourcePort(slot, 4000 + slot);
  slots.setTargetIndex(slot, -1);
  for (const [word, value] of [0, 0, MAPPED_WORD, 0x7f000001].entries()) slots.setTarget(slot, word, value);
  slots.setTargetPort(slot, 443);
  slots.setStartedMs(slot, standing.startedMs ?? 0);
  slots.setSourceEntry(slot, holdSource(tables, standing));
  for (const kind of LINKED) link(tables, worker, slot, kind, keyOf(tables, worker, slot, kind));
  tables.workers.addConnections(worker, 1);
  // Slots are used for the first time in their order; those that a test leaves out count as used.
  tables.workers.setConnectionsHighest(worker, Math.max(tables.workers.connectionsHighest(worker), slot + 1));
  return `${worker}-${slot}-${slots.generation(slot)}`;
}

const LINKED = [LIST_SERVICE, LIST_INBOUND, LIST_SOURCE];

function keyOf(tables: Tables, worker: number, slot: number, kind: number): number {
  const slots = tables.slots[worker] as Tables['slots'][number];
  if (kind === LIST_SOURCE) return slots.sourceEntry(slot);
  return kind === LIST_SERVICE ? slots.service(slot) : slots.inbound(slot);
}

/** Entries are never given back here. */
function holdSource(tables: Tables, { service, host }: Standing): number {
  const supply: EntrySupply = {
    take: () => tables.machine.addSourcesTouched(0, 1),
    keep: () => {},
    release: () => {},
  };
  const index = new SourceIndex(tables.sources, tables.sourceBuckets, tables.shared.hashKey);
  return index.hold(supply, service, 0, 0, MAPPED_WORD, 0x0a000000 + (host ?? 1));
}

function link(tables: Tables, worker: number, slot: number, kind: number, key: number): void {
  const lists = tables.lists[worker] as Tables['lists'][number];
  const slots = tables.slots[worker] as Tables['slots'][number];
  const first = lists.first(kind, key);
  slots.setLinkNext(slot, kind, first);
  slots.setLinkPrevious(slot, kind, NO_SLOT);
  if (first !== NO_SLOT) slots.setLinkPrevious(first, kind, slot);
  lists.setFirst(kind, key, slot);
  lists.addCount(kind, key, 1);
}

/** Takes it out again. */
export function dropConnection(tables: Tables, worker: number, slot: number): void {
  const slots = tables.slots[worker] as Tables['slots'][number];
  const lists = tables.lists[worker] as Tables['lists'][number];
  for (const kind of LINKED) {
    const key = keyOf(tables, worker, slot, kind);
    const next = slots.linkNext(slot, kind);
    const previous = slots.linkPrevious(slot, kind);
    if (previous === NO_SLOT) lists.setFirst(kind, key, next);
    else slots.setLinkNext(previous, kind, next);
    if (next !== NO_SLOT) slots.setLinkPrevious(next, kind, previous);
    slots.setLinkPrevious(slot, kind, NOT_LINKED);
    lists.addCount(kind, key, -1);
  }
  slots.setGeneration(slot, slots.generation(slot) + 1);
  tables.workers.addConnections(worker, -1);
}

/** Evictions that only note what is asked; `outcome` is what the next one answers. */
export function noteEvictions() {
  const requests: EvictionRequest[] = [];
  const known = new Map<number, Eviction>();
  const outcome: { -readonly [Key in keyof Eviction]?: Eviction[Key] } = {};
  const evictions = {
    start(request: EvictionRequest): Eviction {
      requests.push(request);
      const eviction: Eviction = {
        id: requests.length,
        request,
        startedAtMs: 1_000,
        state: 'done',
        note: undefined,
        total: 2,
        matched: 2,
        closed: request.dryRun === true ? 0 : 2,
        durationUs: 70,
        workerUs: 40,
        lastGoneAtMs: undefined,
        byService: { alice: 2 },
        byInbound: { socks: 2 },
        ...outcome,
      };
      known.set(eviction.id, eviction);
      return eviction;
    },
    get: (id: number) => known.get(id),
    wait: async (id: number) => known.get(id) as Eviction,
    cancel(id: number): Eviction | undefined {
      const eviction = known.get(id);
      if (eviction === undefined) return undefined;
      const cancelled: Eviction = { ...eviction, state: 'cancelled' };
      known.set(id, cancelled);
      return cancelled;
    },
    list: () => [...known.values()].reverse(),
    statistics: () => ({
      started: requests.length,
      running: 0,
      closed: 2,
      reconciliations: 0,
      lastReconcile: undefined,
    }),
  };
  return { evictions: evictions as unknown as Evictions, requests, outcome };
}

const KEPT: KeeperStatistics = {
  receiptsWritten: 7,
  receiptsFiltered: 3,
  accessLogErrors: 1,
  storeState: 'failed',
  storeError: 'disk full',
  lastCommitAtMs: 2_000,
  lastCommitMs: 1,
  commits: 9,
  evictionsDropped: 0,
};

const EDGE = {
  version: 3,
  configuration: { fileName: '/etc/edge.yaml' },
  budget: { limit: 100, reserved: 20, max: 80 },
  inbounds: () => [{ tag: 'socks', type: 'socks5', listen: '127.0.0.1:1080' }],
  identities: { servicesCount: 2 },
};

const SILENT: Log = { info: () => {}, warn: () => {}, error: () => {} };

/** @param parts what differs from a daemon of two idle workers */
export async function buildTestApi(
  tables: Tables,
  parts: object = {},
  log: Log = SILENT,
): Promise<FastifyInstance> {
  const state = { phase: 'running' as const, deaths: 0, stalled: false };
  const context = {
    version: '9.9.9',
    startedAtMs: Date.now(),
    tables,
    edge: EDGE,
    directory: DIRECTORY,
    evictions: noteEvictions().evictions,
    keeper: { statistics: () => KEPT },
    hotSet: { size: 5 },
    book: createUsageBook(),
    // Only described here: its own tests make it work.
    serviceChanges: {},
    rules: noteRules().rules,
    supervisor: { states: () => [state, state], fail: () => false },
    names: { statistics: () => ({}) },
    verifier: { statistics: () => ({}) },
    reloader: { reload: async () => ({}), last: () => undefined },
    phase: () => 'ready',
    logDropped: () => 0,
    testFaults: false,
    ...parts,
  } as unknown as ApiContext;
  return buildApi(context, log, () => true);
}
