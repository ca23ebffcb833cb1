// Evictions on a worker, on the simulated network: exactly those end that are meant, whatever list leads to them, in
// whatever state they are; whoever is not meant keeps every byte, and is served while a long list is walked.

import { describe, expect, it } from 'vitest';
import { dial, serve } from '../../test/exactness/actors.ts';
import type { Actor } from '../../test/exactness/actors.ts';
import { directOutbound, LOOPBACK } from '../../test/exactness/simulated-edge.ts';
import type { Edge } from '../../test/exactness/simulated-edge.ts';
import {
  FORWARD_PORT,
  HTTP_PORT,
  SERVER_PORT,
  SOCKS_GREETING,
  SOCKS_PORT,
  socksRequest,
  startSmallEdge,
} from '../../test/exactness/small-edge.ts';
import type { SmallEdge, SmallEdgeInit } from '../../test/exactness/small-edge.ts';
import { LIST_INBOUND, LIST_OUTBOUND, LIST_SERVICE, LIST_SOURCE, LIST_USER } from '../layout/lists.ts';
import { EVERY_CONNECTION, EVICT_COUNT, INBOUND_SOCKS5 } from '../layout/messages.ts';
import type { EvictionJob, WorkerMessage } from '../layout/messages.ts';
import { compileNetworks } from '../layout/network-set.ts';
import { EVICTED, SERVICE_DISABLED } from '../layout/reasons.ts';
import {
  SLOT_CONNECTING,
  SLOT_HANDSHAKE,
  SLOT_LINGERING,
  SLOT_RELAYING,
  SLOT_RESETTING,
  SLOT_WAITING,
  UP,
} from '../layout/slot.ts';
import { createRandom } from '../sys/simulated/random.ts';

/** 127.0.0.2 */
const FIRST_SOURCE = LOOPBACK + 1;
const SOURCES = ['127.0.0.2', '127.0.0.3', '127.0.0.4'];
/** Where clients must say who they are. */
const CLOSED_PORT = 1_003;
const SILENT = [1, 192, 0, 2, 1];

type Evicted = Extract<WorkerMessage, { kind: 'evicted' }>;

/** A relayed connection, and what it belongs to. */
interface Flow {
  readonly client: Actor;
  readonly server: Actor;
  readonly slot: number;
  readonly service: number;
  readonly user: number;
  readonly inbound: number;
  readonly outbound: number;
  readonly source: number;
  heard: number;
}

/** The last answer of an eviction, if it is the end. */
function answerOf(edge: Edge, id: number): Evicted | undefined {
  const all = edge.posted.filter(
    (message): message is Evicted => message.kind === 'evicted' && message.id === id,
  );
  expect(all.filter(({ isDone }) => isDone).length).toBeLessThan(2);
  return all.find(({ isDone }) => isDone);
}

/** Evicts, and waits for the answer. */
function evict({ edge, until }: SmallEdge, job: Partial<EvictionJob>): Evicted {
  const id = edge.evict(job);
  until(() => answerOf(edge, id) !== undefined);
  return answerOf(edge, id) as Evicted;
}

/** Says a word in both directions, which must come as it is. */
function expectFlowing({ until }: SmallEdge, flows: readonly Flow[]): void {
  for (const flow of flows) {
    flow.heard++;
    flow.client.say(`${flow.slot},`);
    flow.server.say(`${flow.slot};`);
  }
  until(() =>
    flows.every(({ client, server, slot, heard }) => {
      const bytes = heard * (String(slot).length + 1);
      return server.heardBytes >= bytes && client.heardBytes >= bytes;
    }),
  );
  for (const { client, server, slot, heard } of flows) {
    expect(server.text).toBe(`${slot},`.repeat(heard));
    expect(client.text.slice(-(`${slot};`.length * heard))).toBe(`${slot};`.repeat(heard));
    expect(client.isOver || server.isOver).toBe(false);
  }
}

function expectNothingLeft({ edge, until }: SmallEdge): void {
  edge.evict();
  until(() => edge.w.slots.live === 0);
  edge.turn();
  expect(edge.leaks()).toEqual([]);
}

const USERS = [
  // Two users of one service, one of another, and those whom nobody asks.
  { name: 'ann', service: 1 },
  { name: 'bob', service: 1 },
  { name: 'cyd', service: 2 },
];

/** Flows of all kinds: each user and the free service, from each source, through each inbound that takes them. */
function startMixed(): { small: SmallEdge; flows: Flow[] } {
  const small = startSmallEdge();
  const { edge, inbounds, until, server } = small;
  edge.addService();
  edge.addService({ outbound: 1 });
  for (const { name, service } of USERS) edge.addUser(name, 'secret', service);
  edge.plan(
    inbounds.map((inbound, index) => (index === 0 ? inbound : { ...inbound, service: -1 })),
    { outbounds: [directOutbound(), directOutbound({ index: 1 })] },
  );
  edge.turn();
  const flows: Flow[] = [];
  for (let source = 0; source < SOURCES.length; source++) {
    for (let user = -1; user < USERS.length; user++) {
      for (const inbound of user < 0 ? [0] : [1, 2]) {
        const known = server.accepted.length;
        const client = start(edge, inbound, user, FIRST_SOURCE + source);
        until(() => server.accepted.length > known && client.heardBytes >= (inbound === 0 ? 0 : 1));
        small.pass(5);
        const service = user < 0 ? 0 : (USERS[user]?.service ?? -1);
        const outbound = service === 2 ? 1 : 0;
        const slot = flows.length;
        flows.push({
          client,
          server: server.last(),
          slot,
          service,
          user,
          inbound,
          outbound,
          source,
          heard: 0,
        });
      }
    }
  }
  expectFlowing(small, flows);
  return { small, flows };
}

function start(edge: Edge, inbound: number, user: number, from: number): Actor {
  if (inbound === 0) return dial(edge, FORWARD_PORT, from);
  const { name } = USERS[user] as (typeof USERS)[number];
  if (inbound === 2) {
    const token = Buffer.from(`${name}:secret`).toString('base64');
    return dial(edge, HTTP_PORT, from).say(
      `CONNECT 127.0.0.1:${SERVER_PORT} HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Basic ${token}\r\n\r\n`,
    );
  }
  const login = [1, name.length, ...Buffer.from(name), 6, ...Buffer.from('secret')];
  return dial(edge, SOCKS_PORT, from).say([5, 1, 2]).say(login).say(socksRequest(SERVER_PORT));
}

/** What a job asks for, in the model's words; -1: any. */
interface Wanted {
  readonly service: number;
  readonly user: number;
  readonly inbound: number;
  readonly outbound: number;
  readonly source: number;
}

const ANYTHING: Wanted = { service: -1, user: -1, inbound: -1, outbound: -1, source: -1 };
const LISTS = {
  service: LIST_SERVICE,
  user: LIST_USER,
  inbound: LIST_INBOUND,
  outbound: LIST_OUTBOUND,
} as const;

function fits(wanted: Wanted, flow: Flow): boolean {
  const fields = ['service', 'user', 'inbound', 'outbound', 'source'] as const;
  return fields.every((field) => wanted[field] < 0 || wanted[field] === flow[field]);
}

/** The job that walks the list of `by` and filters by the rest. */
function jobOf(
  edge: Edge,
  wanted: Wanted,
  by: keyof Wanted | 'all',
  flows: readonly Flow[],
): Partial<EvictionJob> {
  const filters = {
    service: wanted.service,
    serviceGeneration: 1,
    credential: wanted.user,
    credentialGeneration: 1,
    inbound: wanted.inbound,
    inboundGeneration: 1,
    outbound: wanted.outbound,
    outboundGeneration: 1,
    source: wanted.source < 0 ? null : compileNetworks([SOURCES[wanted.source] as string]),
  };
  if (by === 'all') return { ...filters, list: EVERY_CONNECTION };
  if (by !== 'source') return { ...filters, list: LISTS[by], keys: Int32Array.of(wanted[by]) };
  const entries = flows
    .filter(({ source }) => source === wanted.source)
    .map(({ slot }) => edge.w.table.sourceEntry(slot));
  return { ...filters, list: LIST_SOURCE, keys: Int32Array.from(new Set(entries)) };
}

/** Carries a job out on a fresh edge and compares with the model. */
function expectExactly(wanted: Wanted, by: keyof Wanted | 'all', orderly = false): void {
  const { small, flows } = startMixed();
  const { edge, until } = small;
  const meant = flows.filter((flow) => fits(wanted, flow));
  const rest = flows.filter((flow) => !fits(wanted, flow));
  const job = { ...jobOf(edge, wanted, by, flows), orderly };
  const counted = evict(small, { ...job, action: EVICT_COUNT });
  expect([counted.matched, counted.closed, edge.ended(EVICTED)]).toEqual([meant.length, 0, 0]);
  expectFlowing(small, flows);
  const done = evict(small, job);
  expect([done.matched, done.closed, edge.ended(EVICTED)]).toEqual([
    meant.length,
    meant.length,
    meant.length,
  ]);
  expect(done.byService).toEqual(counted.byService);
  expect(countsOf(done.byService)).toEqual(tally(meant.map(({ service }) => service)));
  expect(countsOf(done.byInbound)).toEqual(tally(meant.map(({ inbound }) => inbound)));
  expect(done.lastMs > 0).toBe(meant.length > 0);
  until(() => meant.every(({ client, server }) => client.isOver && server.isOver));
  for (const { client, server } of meant) {
    expect([client.sawReset, server.sawReset]).toEqual([!orderly, !orderly]);
    expect([client.sawFin, server.sawFin]).toEqual([orderly, orderly]);
  }
  expectFlowing(small, rest);
  expectNothingLeft(small);
}

/** Triples of index, generation and count, as counts by index. */
function countsOf(triples: Int32Array): Record<number, number> {
  const counts: Record<number, number> = {};
  for (let at = 0; at < triples.length; at += 3) {
    expect(triples[at + 1]).toBe(1);
    counts[triples[at] as number] = triples[at + 2] as number;
  }
  return counts;
}

function tally(keys: readonly number[]): Record<number, number> {
  const counts: Record<number, number> = {};
  for (const key of keys) counts[key] = (counts[key] ?? 0) + 1;
  return counts;
}

/** Pairs of the forward inbound, all at once. */
function relayMany({ edge, server, until }: SmallEdge, count: number): { client: Actor; server: Actor }[] {
  const first = server.accepted.length;
  const clients: Actor[] = [];
  while (clients.length < count) {
    for (let i = 0; i < 400 && clients.length < count; i++) clients.push(dial(edge, FORWARD_PORT));
    until(() => server.accepted.length === first + clients.length);
  }
  // Which end is whose, they say themselves.
  for (const [index, client] of clients.entries()) client.say(`${index}.`);
  until(() => server.accepted.slice(first).every(({ text }) => text.endsWith('.')));
  return server.accepted
    .slice(first)
    .map((end) => ({ client: clients[Number.parseInt(end.text, 10)] as Actor, server: end }));
}

/** A worker's clock that goes on while it works: each look at it costs so much. */
function makeWorkTakeTime({ edge }: SmallEdge, usPerLook: number): void {
  let spentUs = 0;
  const nowUs = () => edge.network.nowUs() + (spentUs += usPerLook);
  Object.assign(edge.w.sys, { nowUs });
}

const MANY: SmallEdgeInit = { limits: { slotsPerWorker: 6_000 }, budget: 12_010 };

describe('an eviction ends exactly those that are meant', () => {
  it.each([
    ['of a service', { service: 1 }, 'service'],
    ['of a user', { user: 0 }, 'user'],
    ['of an inbound', { inbound: 2 }, 'inbound'],
    ['of an outbound', { outbound: 1 }, 'outbound'],
    ['of a source, over all services', { source: 1 }, 'source'],
    ['of a source within a service', { source: 2, service: 1 }, 'source'],
    ['of a user that the service does not have', { user: 2, service: 1 }, 'user'],
    ['of all keys together', { user: 1, service: 1, inbound: 1, outbound: 0, source: 0 }, 'user'],
    ['everybody', {}, 'all'],
  ] as const)('%s', (_, wanted, by) => {
    expectExactly({ ...ANYTHING, ...wanted }, by);
  });

  it('by any combination, whichever of its lists is walked', () => {
    for (let seed = 1; seed <= 12; seed++) {
      const random = createRandom(seed);
      const among = (count: number) => (random.chance(0.5) ? -1 : random.below(count));
      const wanted = {
        service: among(3),
        user: among(3),
        inbound: among(3),
        outbound: among(2),
        source: among(3),
      };
      const lists = (Object.keys(wanted) as (keyof Wanted)[]).filter((field) => wanted[field] >= 0);
      for (const by of [...lists, 'all' as const]) {
        try {
          expectExactly(wanted, by);
        } catch (error) {
          throw new Error(`seed ${seed}, walking ${by}: ${JSON.stringify(wanted)}`, { cause: error });
        }
      }
    }
  });

  it('with a FIN where that is asked for', () => {
    expectExactly({ ...ANYTHING, source: 1 }, 'source', true);
  });

  it('and nobody of another generation', () => {
    const { small, flows } = startMixed();
    const stale = { list: LIST_SERVICE, keys: Int32Array.of(1), service: 1, serviceGeneration: 3 };
    expect(evict(small, stale)).toMatchObject({ matched: 0, closed: 0 });
    const other = { list: LIST_USER, keys: Int32Array.of(0), credential: 0, credentialGeneration: 3 };
    expect(evict(small, other)).toMatchObject({ matched: 0, closed: 0 });
    expectFlowing(small, flows);
    expectNothingLeft(small);
  });

  it('one connection by its name, which nobody has after it', () => {
    const { small, flows } = startMixed();
    const [first, ...rest] = flows as [Flow, ...Flow[]];
    const { edge, until } = small;
    const name = { slot: first.slot, generation: edge.w.table.generation(first.slot) };
    expect(evict(small, name)).toMatchObject({ matched: 1, closed: 1 });
    until(() => first.client.sawReset && first.server.sawReset);
    expect(evict(small, name)).toMatchObject({ matched: 0, closed: 0 });
    // The slot belongs to somebody else now.
    const next = small.relayed();
    expect(edge.w.table.generation(first.slot)).toBe(name.generation + 2);
    for (const slot of [first.slot, 100, 5_000]) {
      expect(evict(small, { ...name, slot })).toMatchObject({ matched: 0, closed: 0 });
    }
    expect(next.client.isOver).toBe(false);
    expectFlowing(small, rest);
    expectNothingLeft(small);
  });

  it('and says on the receipt which eviction it was', () => {
    const small = startSmallEdge();
    const { edge } = small;
    edge.tables.machine.setReceipts(0, 1);
    edge.tables.machine.setReceiptsEvery(0, 1);
    relayMany(small, 3);
    edge.evict({ action: EVICT_COUNT });
    const { id } = evict(small, { slot: 1, generation: 1 });
    expect(id).toBe(2);
    const [ring, table] = [edge.tables.receiptRings[0], edge.tables.receipts[0]];
    expect(ring?.count).toBe(1);
    expect([table?.slot(0), table?.eviction(0), table?.reason(0)]).toEqual([1, id, EVICTED]);
    small.relayed().client.reset();
    small.until(() => ring?.count === 2);
    expect(table?.eviction(1)).toBe(0);
    expectNothingLeft(small);
  });
});

describe('an eviction meets connections in every state', () => {
  /** One of each; the network is such that a flood comes into a pipe, and the next one into a leftover buffer. */
  function startAllStates(): { small: SmallEdge; clients: Actor[] } {
    const small = startSmallEdge({
      network: { sendBytesMax: 262_144, receiveBytesMax: 262_144 },
      limits: { pipesPerWorker: 1 },
    });
    const { edge, until, server } = small;
    const { table } = edge.w;
    edge.addUser('hal', 'secret', 0, true);
    const closed = { type: INBOUND_SOCKS5, listenFds: [edge.listen(CLOSED_PORT)], service: -1 };
    edge.plan([...small.inbounds, closed]);
    edge.turn();
    const flood = new Uint8Array(1_400_000).fill(0x61);
    const spliced = small.relayed();
    spliced.server.hold();
    spliced.client.say(flood);
    until(() => table.piped(0, UP) > 0);
    const kept = small.relayed();
    kept.server.hold();
    kept.client.say(flood);
    until(() => table.left(1, UP) >= 0 && table.pipe(1, UP) < 0);
    const resetting = small.relayed();
    resetting.server.hold();
    // More than the one side's buffer, less than both: the edge has read it all, and the server has not.
    resetting.client.say(flood.subarray(0, 390_000));
    small.pass(50);
    resetting.client.reset();
    until(() => table.state(2) === SLOT_RESETTING);
    const halfClosed = small.relayed();
    halfClosed.client.fin();
    until(() => server.last().sawFin);
    const greeting = dial(edge, SOCKS_PORT).say([5]);
    const naming = dial(edge, SOCKS_PORT)
      .say(SOCKS_GREETING)
      .say(socksRequest(80, [3, 6, ...Buffer.from('a.test')]));
    const verifying = dial(edge, CLOSED_PORT)
      .say([5, 1, 2])
      .say([1, 3, ...Buffer.from('hal'), 6, ...Buffer.from('secret')]);
    const connecting = dial(edge, SOCKS_PORT).say(SOCKS_GREETING).say(socksRequest(80, SILENT));
    const refused = dial(edge, HTTP_PORT).say('nonsense\r\n\r\n');
    const isIn = (state: number, count: number) => {
      let found = 0;
      for (let slot = 0; slot < 9; slot++) if (table.state(slot) === state) found++;
      return found === count;
    };
    until(
      () => refused.sawFin && isIn(SLOT_WAITING, 2) && isIn(SLOT_CONNECTING, 1) && isIn(SLOT_HANDSHAKE, 1),
    );
    expect([SLOT_LINGERING, SLOT_RESETTING].map((state) => isIn(state, 1))).toEqual([true, true]);
    expect(isIn(SLOT_RELAYING, 3)).toBe(true);
    const clients = [spliced, kept, halfClosed].map(({ client }) => client);
    return { small, clients: [...clients, greeting, naming, verifying, connecting] };
  }

  it.each([false, true])('and nothing of them is left (orderly: %s)', (orderly) => {
    const { small, clients } = startAllStates();
    const { edge, until } = small;
    const asked = edge.posted.slice();
    expect(edge.w.slots.live).toBe(9);
    expect(evict(small, { orderly })).toMatchObject({ matched: 9, closed: 9 });
    until(() => clients.every(({ isOver }) => isOver));
    edge.turn();
    expect(edge.leaks()).toEqual([]);
    expect(edge.ended(EVICTED)).toBe(9);
    // Answers that come now find nobody.
    const next = small.relayed();
    for (const message of asked) {
      if (message.kind === 'resolve') {
        const { slot, generation } = message;
        edge.tell({ kind: 'resolved', slot, generation, addresses: new Int32Array(4), reason: 0 });
      } else if (message.kind === 'verify') {
        const { slot, generation } = message;
        edge.tell({ kind: 'verified', slot, generation, reason: 0 });
      }
    }
    small.pass(10);
    expect(next.client.isOver).toBe(false);
    expectNothingLeft(small);
    expect(edge.close()).toEqual([]);
  });

  it('and a reconciliation only ends what no longer holds, each for its own reason', () => {
    const { small } = startAllStates();
    const { edge, until } = small;
    edge.reconcile(LIST_SERVICE, 0);
    small.pass(20);
    expect(edge.w.slots.live).toBe(9);
    edge.tables.services.setFlags(0, 0);
    edge.reconcile(LIST_SERVICE, 0);
    // In no service's list: who has only greeted, who is asked for a password, who was refused before.
    until(() => edge.w.slots.live <= 3);
    expect([edge.ended(SERVICE_DISABLED), edge.ended(EVICTED)]).toEqual([6, 0]);
    expectNothingLeft(small);
  });
});

describe('an eviction takes its time', () => {
  it('walks a long list a share a turn, and others are served between', () => {
    const small = startSmallEdge(MANY);
    const { edge } = small;
    const stay = serve(edge, SERVER_PORT + 1);
    const others = Array.from({ length: 20 }, () =>
      dial(edge, SOCKS_PORT)
        .say(SOCKS_GREETING)
        .say(socksRequest(SERVER_PORT + 1)),
    );
    small.until(() => stay.accepted.length === 20);
    const many = relayMany(small, 5_000);
    makeWorkTakeTime(small, 20);
    const id = edge.evict({ list: LIST_INBOUND, keys: Int32Array.of(0) });
    let turns = 0;
    let most = 0;
    let ended = 0;
    while (answerOf(edge, id) === undefined) {
      for (const client of others) client.say('!');
      const before = stay.accepted.map(({ heardBytes }) => heardBytes);
      edge.turn();
      edge.network.advance(1);
      edge.turn();
      edge.network.advance(2);
      turns += 2;
      most = Math.max(most, edge.ended(EVICTED) - ended);
      ended = edge.ended(EVICTED);
      for (const [index, { heardBytes }] of stay.accepted.entries()) {
        expect(heardBytes).toBe((before[index] as number) + 1);
      }
    }
    // 150 µs at 20 µs a look, a look every 8 slots, two turns.
    expect(most).toBeLessThanOrEqual(2 * 64);
    expect(turns).toBeGreaterThanOrEqual(5_000 / 64);
    expect(answerOf(edge, id)).toMatchObject({ matched: 5_000, closed: 5_000 });
    const progress = edge.posted.filter((message) => message.kind === 'evicted' && !message.isDone);
    expect(progress.length).toBeGreaterThan(0);
    small.until(() => many.every(({ client, server }) => client.sawReset && server.sawReset));
    expect(others.some(({ isOver }) => isOver)).toBe(false);
    expectNothingLeft(small);
  });

  it.each([EVERY_CONNECTION, LIST_INBOUND, LIST_SERVICE])(
    'and ends nobody who comes while it is under way (list %i)',
    (list) => {
      const small = startSmallEdge();
      const { edge, until } = small;
      const before = relayMany(small, 20);
      const id = edge.evict({ list, keys: Int32Array.of(0), ratePerSecond: 100 });
      small.pass(30);
      // Into slots that have become free, and into slots that were never used.
      const late = relayMany(small, 20);
      until(() => answerOf(edge, id) !== undefined);
      expect(answerOf(edge, id)).toMatchObject({ matched: 20, closed: 20 });
      small.pass(5);
      expect(before.every(({ client }) => client.sawReset)).toBe(true);
      expect(late.some(({ client, server }) => client.isOver || server.isOver)).toBe(false);
      expectNothingLeft(small);
    },
  );

  it('spreads the ends by its rate', () => {
    const small = startSmallEdge();
    const { edge } = small;
    relayMany(small, 60);
    const beganMs = edge.network.nowMs();
    const id = edge.evict({ ratePerSecond: 200 });
    while (answerOf(edge, id) === undefined) {
      small.pass(1);
      const elapsedMs = edge.network.nowMs() - beganMs;
      expect(edge.ended(EVICTED)).toBeLessThanOrEqual(1 + (elapsedMs * 200) / 1000);
      expect(elapsedMs).toBeLessThan(400);
    }
    expect(edge.network.nowMs() - beganMs).toBeGreaterThanOrEqual(290);
    expect(edge.ended(EVICTED)).toBe(60);
    expectNothingLeft(small);
  });

  it('also at less than one a second, and a worker asleep in between', () => {
    const small = startSmallEdge();
    const { edge } = small;
    relayMany(small, 3);
    edge.evict({ ratePerSecond: 0.5 });
    small.pass(1_900);
    expect(edge.ended(EVICTED)).toBe(1);
    const turns = edge.w.row.turns(0);
    edge.turnUntil(() => edge.ended(EVICTED) === 3, 4_000);
    expect(edge.ended(EVICTED)).toBe(3);
    expect(edge.w.row.turns(0) - turns).toBeLessThan(40);
    expectNothingLeft(small);
  });

  it('beside others, also on the same list; whom one ends another passes by', () => {
    const small = startSmallEdge(MANY);
    const { edge, until } = small;
    const many = relayMany(small, 600);
    makeWorkTakeTime(small, 20);
    // More than walk at a time, by several lists.
    const ids = Array.from({ length: 40 }, (_, index) =>
      edge.evict({
        list: [LIST_INBOUND, LIST_SERVICE, EVERY_CONNECTION][index % 3] as number,
        keys: Int32Array.of(0),
      }),
    );
    until(() => ids.every((id) => answerOf(edge, id) !== undefined));
    const closed = ids.map((id) => answerOf(edge, id)?.closed ?? 0);
    expect(closed.reduce((sum, count) => sum + count, 0)).toBe(600);
    until(() => many.every(({ client, server }) => client.sawReset && server.sawReset));
    expectNothingLeft(small);
  });

  it('and where a rate slows many of them down, those without one need not wait', () => {
    const small = startSmallEdge({ limits: { slotsPerWorker: 200 } });
    const { edge } = small;
    relayMany(small, 100);
    const socks = dial(edge, SOCKS_PORT).say([5]);
    small.until(() => edge.w.slots.live === 101);
    for (let i = 0; i < 40; i++)
      edge.evict({ list: LIST_INBOUND, keys: Int32Array.of(0), ratePerSecond: 0.01 });
    small.pass(50);
    const beganMs = edge.network.nowMs();
    const done = evict(small, { list: LIST_INBOUND, keys: Int32Array.of(1) });
    expect(done).toMatchObject({ matched: 1, closed: 1 });
    expect(edge.network.nowMs() - beganMs).toBeLessThan(20);
    small.until(() => socks.sawReset);
    // One each of those that walk; the others are behind them.
    expect(edge.ended(EVICTED)).toBe(1 + 16);
    for (let id = 1; id <= 40; id++) edge.tell({ kind: 'cancel_eviction', id });
    small.until(() =>
      Array.from({ length: 40 }, (_, i) => answerOf(edge, i + 1)).every((one) => one !== undefined),
    );
    expectNothingLeft(small);
  });

  it('and is left alone when it is cancelled, but answered', () => {
    const small = startSmallEdge();
    const { edge, until } = small;
    const pairs = relayMany(small, 30);
    const id = edge.evict({ ratePerSecond: 100 });
    small.pass(100);
    edge.tell({ kind: 'cancel_eviction', id });
    until(() => answerOf(edge, id) !== undefined);
    const { closed } = answerOf(edge, id) as Evicted;
    expect(closed).toBeGreaterThan(5);
    expect(closed).toBeLessThan(15);
    small.pass(500);
    expect(pairs.filter(({ client }) => client.isOver).length).toBe(closed);
    edge.tell({ kind: 'cancel_eviction', id });
    edge.tell({ kind: 'cancel_eviction', id: 99 });
    expectNothingLeft(small);
  });

  it('and is answered when it is cancelled before its turn came', () => {
    const small = startSmallEdge();
    const { edge, until } = small;
    relayMany(small, 4);
    // One look at the clock and the share of a turn is used up.
    makeWorkTakeTime(small, 1_000);
    const ids = Array.from({ length: 40 }, () => edge.evict({ list: LIST_INBOUND, keys: Int32Array.of(0) }));
    for (const id of ids) edge.tell({ kind: 'cancel_eviction', id });
    until(() => ids.every((id) => answerOf(edge, id) !== undefined));
    expect(edge.w.slots.live).toBe(4);
    expectNothingLeft(small);
  });

  it('and looks at empty lists by the thousand without staying in them', () => {
    const small = startSmallEdge();
    const { edge } = small;
    relayMany(small, 2);
    makeWorkTakeTime(small, 50);
    const keys = Int32Array.from({ length: 1_000 }, (_, key) => key);
    const turns = edge.w.row.turns(0);
    expect(evict(small, { list: LIST_SOURCE, keys })).toMatchObject({ matched: 2 });
    expect(edge.w.row.turns(0) - turns).toBeGreaterThan(1);
    expectNothingLeft(small);
  });
});
