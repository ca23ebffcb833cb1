// Evictions on a worker, on the simulated network: exactly those end that are meant, whatever list leads to them, and
// whoever is not meant keeps every byte.

import { describe, expect, it } from 'vitest';
import { dial } from '../../test/exactness/actors.ts';
import type { Actor } from '../../test/exactness/actors.ts';
import { evict, expectNothingLeft, relayMany } from '../../test/exactness/evicting.ts';
import { directOutbound, LOOPBACK } from '../../test/exactness/simulated-edge.ts';
import type { Edge } from '../../test/exactness/simulated-edge.ts';
import {
  FORWARD_PORT,
  HTTP_PORT,
  SERVER_PORT,
  SOCKS_PORT,
  socksRequest,
  startSmallEdge,
} from '../../test/exactness/small-edge.ts';
import type { SmallEdge } from '../../test/exactness/small-edge.ts';
import { LIST_INBOUND, LIST_OUTBOUND, LIST_SERVICE, LIST_SOURCE, LIST_USER } from '../layout/lists.ts';
import { EVERY_CONNECTION, EVICT_COUNT } from '../layout/messages.ts';
import type { EvictionJob } from '../layout/messages.ts';
import { compileNetworks } from '../layout/network-set.ts';
import { EVICTED } from '../layout/reasons.ts';
import { RECEIPTS_WHOLE } from '../layout/worker.ts';
import { createRandom } from '../sys/simulated/random.ts';

/** 127.0.0.2 */
const FIRST_SOURCE = LOOPBACK + 1;
const SOURCES = ['127.0.0.2', '127.0.0.3', '127.0.0.4'];

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
    edge.tables.machine.setReceiptsShare(0, RECEIPTS_WHOLE);
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
