// Whose a connection is, as its lists and counters say: bytes, connections and refusals stand in the row of the credential
// that admitted it, or in its service's; and a row is put into the ring once until its mark is taken away.

import { describe, expect, it } from 'vitest';
import { dial } from '../../test/exactness/actors.ts';
import type { Actor } from '../../test/exactness/actors.ts';
import type { Edge } from '../../test/exactness/simulated-edge.ts';
import {
  FORWARD_PORT,
  HTTP_PORT,
  SERVER_PORT,
  SOCKS_PORT,
  startSmallEdge,
} from '../../test/exactness/small-edge.ts';
import type { SmallEdge } from '../../test/exactness/small-edge.ts';
import { LIST_INBOUND, LIST_OUTBOUND, LIST_SERVICE, LIST_SOURCE, LIST_USER } from '../layout/lists.ts';
import {
  AUTH_FAILED,
  CONNECT_REFUSED,
  REFUSAL_OF_REASON,
  SERVICE_DISABLED,
  SOURCES_EXHAUSTED,
} from '../layout/reasons.ts';
import { UNIDENTIFIED } from '../layout/source.ts';
import { usageOfCredential, usageOfService } from '../layout/usage.ts';

const ANN = 0;
const BOB = 1;

/** The socks and http inbounds ask for a password: ann and bob are users of service 1. */
function startClosedEdge(sources = 1024): SmallEdge {
  const small = startSmallEdge({ limits: { sources } });
  const { edge, inbounds } = small;
  edge.addService();
  edge.addUser('ann', 'secret', 1);
  edge.addUser('bob', 'secret', 1);
  edge.plan(inbounds.map((inbound, index) => (index === 0 ? inbound : { ...inbound, service: -1 })));
  edge.turn();
  return small;
}

function login({ edge }: SmallEdge, name: string, port = SERVER_PORT, password = 'secret', from = 0): Actor {
  return dial(edge, SOCKS_PORT, from)
    .say([5, 1, 2])
    .say([1, name.length, ...Buffer.from(name), password.length, ...Buffer.from(password)])
    .say([5, 1, 0, 1, 127, 0, 0, 1, port >> 8, port & 0xff]);
}

interface Counted {
  readonly up: number;
  readonly down: number;
  readonly connections: number;
  readonly refused: number;
}

/** @param reason the refusals of which are counted */
function counted({ w }: Edge, row: number, reason = CONNECT_REFUSED): Counted {
  const refusal = REFUSAL_OF_REASON[reason] as number;
  expect(refusal).toBeGreaterThanOrEqual(0);
  return {
    up: w.usage.upBytes(row),
    down: w.usage.downBytes(row),
    connections: w.usage.connections(row),
    refused: w.usage.refused(row, refusal),
  };
}

const NOTHING: Counted = { up: 0, down: 0, connections: 0, refused: 0 };

function rowsOf({ tables }: Edge): { free: number; service: number; ann: number; bob: number } {
  const { services } = tables.shared.limits;
  return {
    free: usageOfService(0),
    service: usageOfService(1),
    ann: usageOfCredential(services, ANN),
    bob: usageOfCredential(services, BOB),
  };
}

/** All rows that stand in the ring, taken out. */
function takeDirty({ tables }: Edge): number[] {
  const ring = tables.dirty[0];
  return Array.from({ length: ring?.count ?? 0 }, () => ring?.shift() as number);
}

function expectNothingLeft({ edge, until }: SmallEdge): void {
  edge.evict();
  until(() => edge.w.slots.live === 0);
  edge.turn();
  expect(edge.leaks()).toEqual([]);
}

describe('use is counted', () => {
  it("in the user's row where one is known, else in the service's, and in no other", () => {
    const small = startClosedEdge();
    const { edge, until, server } = small;
    const rows = rowsOf(edge);
    const free = small.relayed();
    free.client.say('12345');
    free.server.say('123');
    const ann = login(small, 'ann');
    until(() => server.accepted.length === 2);
    const annServer = server.last();
    ann.say('1234567');
    annServer.say('12');
    const token = Buffer.from('bob:secret').toString('base64');
    const bob = dial(edge, HTTP_PORT).say(
      `CONNECT 127.0.0.1:${SERVER_PORT} HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Basic ${token}\r\n\r\n`,
    );
    until(() => server.accepted.length === 3 && bob.heardBytes > 0);
    server.last().say('1234');
    until(() => annServer.text === '1234567' && free.server.text === '12345' && bob.text.endsWith('1234'));
    small.pass(5);
    expect(counted(edge, rows.free)).toEqual({ up: 5, down: 3, connections: 1, refused: 0 });
    expect(counted(edge, rows.ann)).toEqual({ up: 7, down: 2, connections: 1, refused: 0 });
    expect(counted(edge, rows.bob)).toEqual({ up: 0, down: 4, connections: 1, refused: 0 });
    expect(counted(edge, rows.service)).toEqual(NOTHING);
    expect(edge.w.row.upBytes(0)).toBe(12);
    expect(edge.w.row.downBytes(0)).toBe(9);
    expectNothingLeft(small);
  });

  it('also of a bulk transfer that no byte of which comes into this process', () => {
    const small = startSmallEdge({ network: { sendBytesMax: 262_144, receiveBytesMax: 262_144 } });
    const { client, server } = small.relayed();
    const bytes = 3_000_000;
    client.say(new Uint8Array(bytes));
    small.until(() => server.heardBytes === bytes);
    expect(small.edge.w.row.splicedBytes(0)).toBeGreaterThan(0);
    expect(counted(small.edge, usageOfService(0))).toEqual({
      up: bytes,
      down: 0,
      connections: 1,
      refused: 0,
    });
    expectNothingLeft(small);
  });

  it("of refusals as well, once it is known whose they are, and of a user in that user's row", () => {
    const small = startClosedEdge();
    const { edge, until } = small;
    const rows = rowsOf(edge);
    const toNobody = login(small, 'ann', 9);
    const wrong = login(small, 'bob', SERVER_PORT, 'wrong');
    until(() => toNobody.isOver && wrong.isOver);
    // They linger, and are nobody's: what they belonged to may go to somebody else meanwhile.
    expect(edge.w.slots.live).toBe(2);
    expect(
      [LIST_SERVICE, LIST_USER].map((kind) =>
        edge.tables.lists[0]?.count(kind, kind === LIST_USER ? ANN : 1),
      ),
    ).toEqual([0, 0]);
    for (const client of [toNobody, wrong]) client.close();
    until(() => edge.w.slots.live === 0);
    expect([edge.ended(CONNECT_REFUSED), edge.ended(AUTH_FAILED)]).toEqual([1, 1]);
    expect(counted(edge, rows.ann)).toEqual({ up: 0, down: 0, connections: 1, refused: 1 });
    // Who only knows a name is nobody's.
    expect(counted(edge, rows.bob)).toEqual(NOTHING);
    edge.tables.services.setFlags(1, 0);
    edge.tables.services.setFlags(0, 0);
    const disabled = login(small, 'bob');
    const free = dial(edge, FORWARD_PORT);
    until(() => disabled.isOver && free.isOver);
    disabled.close();
    until(() => edge.w.slots.live === 0);
    expect(counted(edge, rows.bob, SERVICE_DISABLED)).toEqual({ ...NOTHING, connections: 1, refused: 1 });
    expect(counted(edge, rows.free, SERVICE_DISABLED)).toEqual({ ...NOTHING, connections: 1, refused: 1 });
    expect(counted(edge, rows.service, SERVICE_DISABLED)).toEqual(NOTHING);
    edge.turn();
    expect(edge.leaks()).toEqual([]);
  });

  it('and no refusal of a connection that came to its server, however it ends', () => {
    const small = startSmallEdge();
    const { edge, until } = small;
    small.relayed();
    edge.tables.services.setFlags(0, 0);
    edge.reconcile(LIST_SERVICE, 0);
    until(() => edge.w.slots.live === 0);
    expect(edge.ended(SERVICE_DISABLED)).toBe(1);
    expect(counted(edge, usageOfService(0), SERVICE_DISABLED)).toMatchObject({ connections: 1, refused: 0 });
    expectNothingLeft(small);
  });
});

describe('a row is marked', () => {
  it('once, until the mark is taken away, by a beginning, by bytes and by an end', () => {
    const small = startSmallEdge();
    const { edge } = small;
    const row = usageOfService(0);
    const isStill = () => {
      expect(takeDirty(edge)).toEqual([]);
      expect(edge.w.usage.dirty(row)).toBe(1);
      edge.w.usage.setDirty(row, 0);
    };
    const { client, server } = small.relayed();
    for (let i = 0; i < 10; i++) client.say('more');
    small.until(() => server.heardBytes === 40);
    const other = small.relayed();
    expect(takeDirty(edge)).toEqual([row]);
    isStill();
    small.pass(50);
    expect(edge.w.usage.dirty(row)).toBe(0);
    server.say('bytes');
    small.until(() => client.heardBytes === 5);
    expect(takeDirty(edge)).toEqual([row]);
    isStill();
    // An end moves no counter, and is seen all the same: the service may be offline now.
    other.client.reset();
    small.until(() => edge.w.slots.live === 1);
    expect(takeDirty(edge)).toEqual([row]);
    isStill();
    expectNothingLeft(small);
  });
});

describe('the lists of a connection', () => {
  it('are those of all that it belongs to, as soon as that is known', () => {
    const small = startClosedEdge();
    const { edge, until } = small;
    const counts = (): number[] => [
      edge.w.lists.isLinked(LIST_INBOUND, 0) ? 1 : 0,
      ...[
        [LIST_INBOUND, 1],
        [LIST_SERVICE, 1],
        [LIST_USER, ANN],
        [LIST_OUTBOUND, 0],
      ].map(([kind, key]) => edge.tables.lists[0]?.count(kind as number, key as number) ?? -1),
    ];
    const client = dial(edge, SOCKS_PORT).say([5, 1, 2]);
    until(() => client.heardBytes === 2);
    expect(counts()).toEqual([1, 1, 0, 0, 0]);
    // Nobody's yet, but to be found by its address.
    const before = edge.w.table.sourceEntry(0);
    expect(edge.tables.sources.service(before)).toBe(UNIDENTIFIED);
    expect([edge.tables.sources.holders(before), edge.tables.lists[0]?.count(LIST_SOURCE, before)]).toEqual([
      1, 1,
    ]);
    client.say([1, 3, ...Buffer.from('ann'), 6, ...Buffer.from('secret')]);
    until(() => client.heardBytes === 4);
    expect(counts()).toEqual([1, 1, 1, 1, 0]);
    const entry = edge.w.table.sourceEntry(0);
    expect(entry).not.toBe(before);
    expect(edge.tables.sources.holders(before)).toBe(0);
    expect([edge.tables.sources.holders(entry), edge.tables.lists[0]?.count(LIST_SOURCE, entry)]).toEqual([
      1, 1,
    ]);
    // Asked for a name, it stands in the list of its outbound already.
    client.say([5, 1, 0, 3, 1, 0x61, 0, 80]);
    until(() => edge.posted.length === 1);
    expect(counts()).toEqual([1, 1, 1, 1, 1]);
    client.reset();
    until(() => edge.w.slots.live === 0);
    expect(counts()).toEqual([0, 0, 0, 0, 0]);
    expect(edge.tables.sources.holders(entry)).toBe(0);
    expect(edge.leaks()).toEqual([]);
  });

  it('share one entry of their source, which is another one for another service', () => {
    const small = startClosedEdge();
    const { edge, until, server } = small;
    small.relayed();
    small.relayed();
    login(small, 'ann', SERVER_PORT, 'secret', 0x7f000001);
    until(() => server.accepted.length === 3);
    const entries = [0, 1, 2].map((slot) => edge.w.table.sourceEntry(slot));
    expect(entries[0]).toBe(entries[1]);
    expect(entries[2]).not.toBe(entries[0]);
    expect(edge.tables.sources.holders(entries[0] as number)).toBe(2);
    expect(edge.tables.sources.addressEntry(entries[2] as number)).toBe(
      edge.tables.sources.addressEntry(entries[0] as number),
    );
    expectNothingLeft(small);
  });

  it('are left again by a connection that finds the table of sources full', () => {
    const small = startClosedEdge(2);
    const { edge, until } = small;
    const first = small.relayed();
    // Another source takes two entries more.
    const second = dial(edge, FORWARD_PORT, 0x7f000009);
    until(() => second.isOver);
    expect(edge.ended(SOURCES_EXHAUSTED)).toBe(1);
    expect(counted(edge, usageOfService(0), SOURCES_EXHAUSTED)).toMatchObject({ connections: 2, refused: 1 });
    expect(first.client.isOver).toBe(false);
    // Whoever is known already still comes in.
    small.relayed();
    expectNothingLeft(small);
  });
});
