// The path as a whole: deadlines, refusals in the client's own words, changes of plan, late answers, draining, stopping.

import { describe, expect, it } from 'vitest';
import { dial, serve } from '../../test/exactness/actors.ts';
import { directOutbound, LOOPBACK } from '../../test/exactness/simulated-edge.ts';
import {
  FORWARD_PORT,
  HTTP_PORT,
  SERVER_PORT,
  SOCKS_GREETING,
  SOCKS_PORT,
  socksRequest,
  startSmallEdge,
} from '../../test/exactness/small-edge.ts';
import type { SmallEdge } from '../../test/exactness/small-edge.ts';
import { LIST_INBOUND, LIST_OUTBOUND, LIST_SERVICE } from '../layout/lists.ts';
import {
  AUTH_FAILED,
  CLIENT_CLOSED,
  CLIENT_RESET,
  CONNECT_REFUSED,
  CONNECT_TIMEOUT,
  CREDENTIAL_REMOVED,
  DRAINED,
  HANDSHAKE_TIMEOUT,
  INBOUND_REMOVED,
  NAME_FAILED,
  NAME_NOT_FOUND,
  OUTBOUND_REMOVED,
  SERVICE_DISABLED,
  SERVICE_REMOVED,
  SLOTS_EXHAUSTED,
  STOPPED,
} from '../layout/reasons.ts';
import { SLOT_WAITING } from '../layout/slot.ts';
import { WORKER_DRAINING } from '../layout/worker.ts';
import { MAPPED_WORD } from '../sys/socket-address.ts';

const SILENT = 0xc0000201 | 0;
const UNREACHABLE = 0xcb007101 | 0;
const SOCKS_OK = '\x05\x00';

function words(...addresses: number[]): Int32Array {
  return Int32Array.from(addresses.flatMap((address) => [0, 0, MAPPED_WORD, address]));
}

function nameRequest(name: string, port = SERVER_PORT): Uint8Array {
  return socksRequest(port, [3, name.length, ...Buffer.from(name)]);
}

/** The last connection has ended: nothing may be left of any. */
function expectNothingLeft({ edge, until }: SmallEdge): void {
  until(() => edge.w.slots.live === 0);
  edge.turn();
  expect(edge.leaks()).toEqual([]);
}

/** Where clients must say who they are. */
function startClosedEdge(): SmallEdge {
  const small = startSmallEdge();
  const { edge, inbounds } = small;
  edge.plan(inbounds.map((inbound, index) => (index === 0 ? inbound : { ...inbound, service: -1 })));
  edge.turn();
  return small;
}

/** What the worker asked the control thread last. */
function asked<K extends 'resolve' | 'verify'>(small: SmallEdge, kind: K) {
  small.until(() => small.edge.posted.some((message) => message.kind === kind));
  const message = small.edge.posted.findLast((candidate) => candidate.kind === kind);
  if (message?.kind !== kind) throw new Error(`no ${kind} was posted`);
  return message as Extract<typeof message, { kind: K }>;
}

describe('deadlines', () => {
  it('cuts a client that sends one byte a minute, in every protocol', () => {
    const small = startSmallEdge({ settings: { handshakeMs: 150_000 } });
    const { edge, until } = small;
    const socks = dial(edge, SOCKS_PORT);
    const http = dial(edge, HTTP_PORT);
    const startMs = edge.network.nowMs();
    for (const byte of [5, 40]) {
      socks.say([byte]);
      http.say('C');
      edge.turnUntil(() => false, 60_000);
    }
    expect(edge.w.slots.live).toBe(2);
    edge.turnUntil(() => socks.isOver && http.isOver, 60_000);
    expect(edge.network.nowMs() - startMs).toBeLessThan(153_000);
    expect(edge.ended(HANDSHAKE_TIMEOUT)).toBe(1);
    // The one that has a protocol with words for it is told, and given the time to read it.
    expect(socks).toMatchObject({ text: '', sawReset: true });
    expect(http.text).toMatch(/^HTTP\/1\.1 408 /);
    expect(http.sawFin).toBe(true);
    http.close();
    expectNothingLeft(small);
    expect(edge.ended(HANDSHAKE_TIMEOUT)).toBe(2);
    until(() => true);
  });

  it('gives a server that does not answer the connect deadline, and says so', () => {
    const small = startSmallEdge({ settings: { connectMs: 700 } });
    const { edge, until } = small;
    const silent = [1, 192, 0, 2, 1];
    const socks = dial(edge, SOCKS_PORT).say(SOCKS_GREETING).say(socksRequest(80, silent));
    const http = dial(edge, HTTP_PORT).say('CONNECT 192.0.2.1:80 HTTP/1.1\r\nHost: x\r\n\r\n');
    const startMs = edge.network.nowMs();
    until(() => socks.isOver && http.isOver);
    expect(edge.network.nowMs() - startMs).toBeGreaterThanOrEqual(699);
    expect(edge.network.nowMs() - startMs).toBeLessThan(760);
    expect(socks.text).toBe(`${SOCKS_OK}\x05\x06\x00\x01\0\0\0\0\0\0`);
    expect(http.text).toMatch(/^HTTP\/1\.1 504 /);
    socks.close();
    http.close();
    expectNothingLeft(small);
    expect(edge.ended(CONNECT_TIMEOUT)).toBe(2);
  });

  it('ends a linger that the client does not', () => {
    const small = startSmallEdge();
    const { edge, until } = small;
    const client = dial(edge, HTTP_PORT).say('CONNECT 127.0.0.1:9 HTTP/1.1\r\nHost: x\r\n\r\n');
    until(() => client.sawFin);
    expect(client.text).toMatch(/^HTTP\/1\.1 502 /);
    for (let i = 0; i < 30 && edge.w.slots.live > 0; i++) {
      client.say('still talking');
      small.pass(100);
    }
    expect(edge.w.slots.live).toBe(0);
    expect(edge.ended(CONNECT_REFUSED)).toBe(1);
    expectNothingLeft(small);
  });

  it('does not keep a client that leaves while it is waited for', () => {
    const small = startSmallEdge();
    const { edge, until } = small;
    const connecting = dial(edge, SOCKS_PORT)
      .say(SOCKS_GREETING)
      .say(socksRequest(80, [1, 192, 0, 2, 1]));
    const naming = dial(edge, SOCKS_PORT).say(SOCKS_GREETING).say(nameRequest('a.test'));
    const greeting = dial(edge, SOCKS_PORT).say([5]);
    until(() => edge.posted.length === 1 && edge.w.slots.live === 3);
    small.pass(5);
    for (const client of [connecting, naming]) client.reset();
    greeting.fin();
    until(() => edge.w.slots.live === 0);
    expect(edge.ended(CLIENT_RESET)).toBe(2);
    expect(edge.ended(CLIENT_CLOSED)).toBe(1);
    expectNothingLeft(small);
  });
});

describe('answers that come late', () => {
  it('mean nothing for a slot that somebody else has by now', () => {
    const small = startSmallEdge();
    const { edge, until } = small;
    const first = dial(edge, SOCKS_PORT).say(SOCKS_GREETING).say(nameRequest('first.test'));
    const question = asked(small, 'resolve');
    expect(question).toMatchObject({ name: 'first.test', slot: 0 });
    first.reset();
    until(() => edge.w.slots.live === 0);
    const second = dial(edge, SOCKS_PORT).say(SOCKS_GREETING).say(nameRequest('second.test'));
    until(() => edge.posted.length === 2);
    expect(edge.posted[1]).toMatchObject({ name: 'second.test', slot: 0 });
    const { slot, generation } = question;
    edge.tell({ kind: 'resolved', slot, generation, addresses: words(LOOPBACK), reason: 0 });
    edge.tell({ kind: 'verified', slot, generation, reason: 0 });
    small.pass(20);
    expect(edge.w.table.state(0)).toBe(SLOT_WAITING);
    expect(small.server.accepted).toEqual([]);
    second.reset();
    // Also where nobody has the slot, or nobody ever had one of that number.
    edge.tell({ kind: 'resolved', slot: 99, generation: 1, addresses: words(LOOPBACK), reason: 0 });
    expectNothingLeft(small);
  });

  it('mean nothing when the wait has had its deadline', () => {
    const small = startSmallEdge({ settings: { connectMs: 100 } });
    const { edge, until } = small;
    const client = dial(edge, SOCKS_PORT).say(SOCKS_GREETING).say(nameRequest('slow.test'));
    const { slot, generation } = asked(small, 'resolve');
    until(() => client.isOver);
    expect(client.text).toBe(`${SOCKS_OK}\x05\x04\x00\x01\0\0\0\0\0\0`);
    edge.tell({ kind: 'resolved', slot, generation, addresses: words(LOOPBACK), reason: 0 });
    small.pass(20);
    expect(small.server.accepted).toEqual([]);
    client.close();
    expectNothingLeft(small);
    expect(edge.ended(NAME_FAILED)).toBe(1);
  });

  it('do not slip past a service that was disabled, or a user that was removed, meanwhile', () => {
    for (const kind of ['service', 'user'] as const) {
      const small = startClosedEdge();
      const { edge, until } = small;
      const credential = edge.addUser('ann', 'secret', 0);
      const client = dial(edge, SOCKS_PORT)
        .say([5, 1, 2])
        .say([1, 3, ...Buffer.from('ann'), 6, ...Buffer.from('secret')])
        .say(nameRequest('a.test'));
      const { slot, generation } = asked(small, 'resolve');
      if (kind === 'service') edge.tables.services.setFlags(0, 0);
      else edge.tables.credentials.setGeneration(credential, 2);
      edge.tell({ kind: 'resolved', slot, generation, addresses: words(LOOPBACK), reason: 0 });
      until(() => client.isOver);
      client.close();
      expect(small.server.accepted).toEqual([]);
      expectNothingLeft(small);
      expect(edge.ended(kind === 'service' ? SERVICE_DISABLED : CREDENTIAL_REMOVED)).toBe(1);
    }
  });
});

describe('events that come late', () => {
  it('mean nothing for a slot that somebody else got in the same batch', () => {
    let reused = 0;
    for (let seed = 1; seed <= 40; seed++) {
      // The events of both ends of the old connection, and the listener's, in every order.
      const small = startSmallEdge({
        faults: { reorder: 1 },
        network: { seed },
        limits: { slotsPerWorker: 1 },
        // A connect that is taken for done too early can't send it.
        forward: { sendProxy: 1 },
      });
      const { edge, until, server } = small;
      const old = small.relayed();
      const generation = edge.w.table.generation(0);
      old.client.reset();
      old.server.reset();
      const next = dial(edge, FORWARD_PORT).say('mine');
      edge.network.advance(2);
      edge.turn();
      if (edge.w.row.accepted(0) === 2 && edge.w.table.generation(0) === generation + 2) reused++;
      until(() => next.isOver || server.accepted.at(-1)?.text.endsWith('mine') === true);
      // Refused only where it came before the old one was noticed to be gone.
      expect(edge.ended(SLOTS_EXHAUSTED)).toBe(next.isOver ? 1 : 0);
      if (!next.isOver) next.reset();
      expectNothingLeft(small);
    }
    expect(reused).toBeGreaterThan(5);
  });
});

describe('passwords that the control thread must judge', () => {
  const login = (password: string) => [
    1,
    3,
    ...Buffer.from('bob'),
    password.length,
    ...Buffer.from(password),
  ];

  it('go on at the same step once they are proven, and are asked for once', () => {
    const small = startClosedEdge();
    const { edge, until, server } = small;
    const credential = edge.addUser('bob', 'hashed', 0, true);
    const client = dial(edge, SOCKS_PORT).say([5, 1, 2]).say(login('hashed')).say(socksRequest(SERVER_PORT));
    const question = asked(small, 'verify');
    expect(question).toMatchObject({ credential, password: 'hashed', source: '127.0.0.1' });
    const { slot, generation } = question;
    edge.tables.credentials.setProven(credential, 1);
    edge.tell({ kind: 'verified', slot, generation, reason: 0 });
    until(() => client.heardBytes === 14 && server.accepted.length === 1);
    const again = dial(edge, SOCKS_PORT).say([5, 1, 2]).say(login('hashed')).say(socksRequest(SERVER_PORT));
    until(() => again.heardBytes === 14);
    const wrong = dial(edge, SOCKS_PORT).say([5, 1, 2]).say(login('guess!'));
    until(() => wrong.isOver);
    expect(wrong.text).toBe('\x05\x02\x01\x01');
    expect(edge.posted.length).toBe(1);
    for (const actor of [client, again]) actor.reset();
    wrong.close();
    expectNothingLeft(small);
    expect(edge.ended(AUTH_FAILED)).toBe(1);
  });

  it('are refused in the words of the protocol', () => {
    const small = startClosedEdge();
    const { edge, until } = small;
    edge.addUser('bob', 'hashed', 0, true);
    const socks = dial(edge, SOCKS_PORT).say([5, 1, 2]).say(login('x'));
    const first = asked(small, 'verify');
    const token = Buffer.from('bob:y').toString('base64');
    const http = dial(edge, HTTP_PORT).say(
      `CONNECT 127.0.0.1:${SERVER_PORT} HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Basic ${token}\r\n\r\n`,
    );
    until(() => edge.posted.length === 2);
    for (const question of [first, asked(small, 'verify')]) {
      const { slot, generation } = question;
      edge.tell({ kind: 'verified', slot, generation, reason: AUTH_FAILED });
    }
    until(() => socks.isOver && http.isOver);
    expect(socks.text).toBe('\x05\x02\x01\x01');
    expect(http.text).toMatch(/^HTTP\/1\.1 407 .*\r\nProxy-Authenticate: Basic /);
    socks.close();
    http.close();
    expectNothingLeft(small);
    expect(edge.ended(AUTH_FAILED)).toBe(2);
  });
});

describe('names', () => {
  it('are dialled address by address until one takes the connection', () => {
    const small = startSmallEdge({ settings: { connectMs: 3_000 } });
    const { edge, until, server } = small;
    const client = dial(edge, SOCKS_PORT).say(SOCKS_GREETING).say(nameRequest('many.test'));
    const { slot, generation } = asked(small, 'resolve');
    const startMs = edge.network.nowMs();
    const addresses = words(UNREACHABLE, SILENT, LOOPBACK);
    edge.tell({ kind: 'resolved', slot, generation, addresses, reason: 0 });
    until(() => server.accepted.length === 1);
    // Half of the deadline for the silent one, as one more was to come.
    expect(edge.network.nowMs() - startMs).toBeGreaterThanOrEqual(1_499);
    expect(edge.network.nowMs() - startMs).toBeLessThan(1_520);
    until(() => client.heardBytes === 12);
    client.say('through');
    until(() => server.last().text === 'through');
    client.reset();
    expectNothingLeft(small);
  });

  it('fail with the reason of the last address, or of the look-up', () => {
    const small = startSmallEdge({ settings: { connectMs: 1_000 } });
    const { edge, until } = small;
    const answers: [Int32Array, number, string, number][] = [
      [words(UNREACHABLE, LOOPBACK), 0, '\x05', CONNECT_REFUSED],
      [new Int32Array(0), NAME_NOT_FOUND, '\x04', NAME_NOT_FOUND],
      [new Int32Array(0), 0, '\x04', NAME_NOT_FOUND],
    ];
    for (const [addresses, reason, code, ended] of answers) {
      edge.posted.length = 0;
      const before = edge.ended(ended);
      const client = dial(edge, SOCKS_PORT).say(SOCKS_GREETING).say(nameRequest('bad.test', 9));
      const { slot, generation } = asked(small, 'resolve');
      edge.tell({ kind: 'resolved', slot, generation, addresses, reason });
      until(() => client.isOver);
      expect(client.text).toBe(`${SOCKS_OK}\x05${code}\x00\x01\0\0\0\0\0\0`);
      client.close();
      expectNothingLeft(small);
      expect(edge.ended(ended)).toBe(before + 1);
    }
  });

  it('try their first address only, when no block for further ones is left', () => {
    const small = startSmallEdge({ bounds: { candidates: 1 }, settings: { connectMs: 2_000 } });
    const { edge, until, server } = small;
    const first = dial(edge, SOCKS_PORT).say(SOCKS_GREETING).say(nameRequest('one.test'));
    const one = asked(small, 'resolve');
    edge.tell({ ...one, kind: 'resolved', addresses: words(SILENT, LOOPBACK), reason: 0 });
    const second = dial(edge, SOCKS_PORT).say(SOCKS_GREETING).say(nameRequest('two.test'));
    until(() => edge.posted.length === 2);
    const two = asked(small, 'resolve');
    edge.tell({ ...two, kind: 'resolved', addresses: words(UNREACHABLE, LOOPBACK), reason: 0 });
    until(() => second.isOver);
    expect(second.text).toBe(`${SOCKS_OK}\x05\x03\x00\x01\0\0\0\0\0\0`);
    until(() => server.accepted.length === 1);
    second.close();
    first.reset();
    expectNothingLeft(small);
  });
});

describe('a change of plan', () => {
  it('ends the connections of a removed inbound, and touches no other', () => {
    const small = startSmallEdge();
    const { edge, until, inbounds, server } = small;
    const forwarded = small.relayed();
    const socks = dial(edge, SOCKS_PORT).say(SOCKS_GREETING).say(socksRequest(SERVER_PORT));
    until(() => socks.heardBytes === 12 && server.accepted.length === 2);
    const socksServer = server.last();
    const greeting = dial(edge, SOCKS_PORT).say([5]);
    const late = dial(edge, FORWARD_PORT);
    until(() => edge.w.slots.live === 4);
    edge.plan([inbounds[0] as (typeof inbounds)[0]]);
    edge.reconcile(LIST_INBOUND, 1);
    until(() => socks.isOver && socksServer.isOver && greeting.isOver);
    expect(socks.sawReset && socksServer.sawReset && greeting.sawReset).toBe(true);
    expect(edge.ended(INBOUND_REMOVED)).toBe(2);
    forwarded.client.say('unmoved');
    until(() => forwarded.server.text === 'unmoved');
    expect(late.isOver).toBe(false);
    // The same inbound under a new generation is another one.
    edge.plan([{ ...(inbounds[0] as (typeof inbounds)[0]), generation: 2 }]);
    edge.reconcile(LIST_INBOUND, 0);
    until(() => forwarded.client.isOver && late.isOver);
    expect(edge.ended(INBOUND_REMOVED)).toBe(4);
    const fresh = small.relayed();
    fresh.client.reset();
    expectNothingLeft(small);
    expect(edge.w.row.plan(0)).toBe(3);
  });

  it('takes a changed definition without touching what stands', () => {
    const small = startSmallEdge();
    const { edge, until, inbounds } = small;
    const standing = small.relayed();
    const other = serve(edge, SERVER_PORT + 1);
    const target = edge.addTarget(LOOPBACK, SERVER_PORT + 1);
    const [forward, ...rest] = inbounds as [(typeof inbounds)[0], ...typeof inbounds];
    edge.plan([{ ...forward, target }, ...rest], { idleMs: 90_000 });
    edge.turn();
    const client = dial(edge, FORWARD_PORT);
    until(() => other.accepted.length === 1);
    standing.client.say('as before');
    until(() => standing.server.text === 'as before');
    client.reset();
    standing.client.reset();
    expectNothingLeft(small);
  });

  it('ends the connections of a removed outbound, also those that are still connecting', () => {
    const small = startSmallEdge();
    const { edge, until, inbounds } = small;
    const forwarded = small.relayed();
    const connecting = dial(edge, SOCKS_PORT)
      .say(SOCKS_GREETING)
      .say(socksRequest(80, [1, 192, 0, 2, 1]));
    until(() => connecting.heardBytes === 2 && edge.w.slots.live === 2);
    small.pass(5);
    edge.plan(inbounds, { outbounds: [directOutbound({ generation: 2 })] });
    edge.reconcile(LIST_OUTBOUND, 0);
    until(() => forwarded.client.isOver && connecting.isOver);
    expectNothingLeft(small);
    expect(edge.ended(OUTBOUND_REMOVED)).toBe(2);
  });

  it('ends the connections of a service that is no more', () => {
    const small = startSmallEdge();
    const { edge, until } = small;
    const forwarded = small.relayed();
    edge.tables.services.setGeneration(0, 2);
    edge.reconcile(LIST_SERVICE, 0);
    until(() => forwarded.client.isOver && forwarded.server.isOver);
    expectNothingLeft(small);
    expect(edge.ended(SERVICE_REMOVED)).toBe(1);
  });
});

describe('the end of a worker', () => {
  it('drains: takes nobody any more, keeps who is there, and says when the last one has gone', () => {
    const small = startSmallEdge();
    const { edge, until, server } = small;
    const pairs = [small.relayed(), small.relayed()];
    edge.tell({ kind: 'drain' });
    until(() => edge.w.row.life(0) === WORKER_DRAINING);
    const late = dial(edge, FORWARD_PORT);
    small.pass(50);
    expect(server.accepted.length).toBe(2);
    expect(late.isOver).toBe(false);
    for (const { client, server: end } of pairs) {
      expect(edge.posted).toEqual([]);
      client.say('goes on').fin();
      until(() => end.sawFin);
      expect(end.text).toBe('goes on');
      end.fin();
      until(() => client.sawFin);
    }
    until(() => edge.posted.length === 1);
    expect(edge.posted).toEqual([{ kind: 'drained' }]);
    small.pass(50);
    expect(edge.posted.length).toBe(1);
    expectNothingLeft(small);
    expect(edge.close()).toEqual([]);
  });

  it('leaves nobody behind whom it accepts in the very batch that tells it to stop', () => {
    for (let seed = 1; seed <= 10; seed++) {
      // The wake-up and the listener come in either order.
      const { edge } = startSmallEdge({ faults: { reorder: 1 }, network: { seed } });
      dial(edge, FORWARD_PORT);
      edge.network.advance(1);
      edge.tell({ kind: 'stop', reason: STOPPED });
      while (!edge.w.stopped) edge.turn();
      expect(edge.w.slots.live).toBe(0);
      expect(edge.leaks()).toEqual([]);
    }
  });

  it('stops: ends everything at once with the reason given', () => {
    const small = startSmallEdge();
    const { edge, until } = small;
    const relayed = small.relayed();
    const greeting = dial(edge, SOCKS_PORT).say([5]);
    const naming = dial(edge, SOCKS_PORT).say(SOCKS_GREETING).say(nameRequest('a.test'));
    const refused = dial(edge, HTTP_PORT).say('nonsense\r\n\r\n');
    until(() => edge.w.slots.live === 4 && edge.posted.length === 1 && refused.sawFin);
    edge.tell({ kind: 'stop', reason: DRAINED });
    until(() => edge.w.stopped);
    expect(edge.w.slots.live).toBe(0);
    expect(edge.ended(DRAINED)).toBe(4);
    edge.network.advance(5);
    expect([relayed.client.sawReset, relayed.server.sawReset, greeting.sawReset]).toEqual([true, true, true]);
    expect(naming.sawReset).toBe(true);
    expect(edge.leaks()).toEqual([]);
    expect(edge.close()).toEqual([]);
  });
});
