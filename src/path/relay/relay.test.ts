// The relay in small scenes: shares of a turn, bounds on what is held, and how ends travel. Byte-exactness under every
// fault is test/exactness.

import { describe, expect, it } from 'vitest';
import { dial } from '../../../test/exactness/actors.ts';
import { FORWARD_PORT, startSmallEdge } from '../../../test/exactness/small-edge.ts';
import type { SmallEdge } from '../../../test/exactness/small-edge.ts';
import {
  CLIENT_RESET,
  FINISHED,
  HALF_CLOSE_TIMEOUT,
  IDLE_TIMEOUT,
  SERVER_RESET,
} from '../../layout/reasons.ts';
import { CLIENT, SLOT_RESETTING, UP } from '../../layout/slot.ts';
import { MSG_OOB } from '../../sys/constants.ts';
import { PIPE_BYTES } from './pipes.ts';

const BIG_BYTES = 400_000;
/** As in relay.ts and splice.ts. */
const RELAY_TURN_BYTES_MAX = 512 * 1024;
const SPLICE_TURN_BYTES_MAX = 2 * 1024 * 1024;

function bigMessage(fill: string, length = BIG_BYTES): Uint8Array {
  return new Uint8Array(length).fill(fill.charCodeAt(0));
}

/** Ends everything that is left by resets, and asks for leaks. */
function finish({ edge, until }: SmallEdge, ...actors: { isClosed: boolean; reset(): void }[]): void {
  for (const actor of actors) if (!actor.isClosed) actor.reset();
  until(() => edge.w.slots.live === 0);
  edge.turn();
  expect(edge.leaks()).toEqual([]);
}

describe('how ends travel', () => {
  it('passes a FIN on after the bytes, and the other direction goes on', () => {
    const small = startSmallEdge();
    const { client, server } = small.relayed();
    client.say('question').fin();
    small.until(() => server.sawFin);
    expect(server.text).toBe('question');
    server.say(bigMessage('a'));
    small.until(() => client.heardBytes === BIG_BYTES);
    expect(client.isOver).toBe(false);
    server.fin();
    small.until(() => client.sawFin && small.edge.w.slots.live === 0);
    expect(small.edge.ended(FINISHED)).toBe(1);
    expect(small.edge.w.row.upBytes(0)).toBe(8);
    expect(small.edge.w.row.downBytes(0)).toBe(BIG_BYTES);
    expect(small.edge.leaks()).toEqual([]);
  });

  it.each(['client', 'server'] as const)('passes a reset of the %s on as a reset', (side) => {
    const small = startSmallEdge();
    const pair = small.relayed();
    const [resets, other] = side === 'client' ? [pair.client, pair.server] : [pair.server, pair.client];
    resets.say('last words');
    small.until(() => other.text === 'last words');
    resets.reset();
    small.until(() => other.isOver);
    expect(other).toMatchObject({ sawReset: true, sawFin: false });
    expect(small.edge.ended(side === 'client' ? CLIENT_RESET : SERVER_RESET)).toBe(1);
    finish(small);
  });

  it('takes a reset in the same event as data for a reset, not for the end', () => {
    const small = startSmallEdge();
    const { client, server } = small.relayed();
    client.say('all at once');
    small.edge.network.at(0.01, () => client.reset());
    // Both arrive while the edge does not look.
    small.edge.network.advance(5);
    small.until(() => server.isOver);
    expect(server).toMatchObject({ text: 'all at once', sawReset: true, sawFin: false });
    expect(small.edge.ended(CLIENT_RESET)).toBe(1);
    finish(small);
  });

  it('resets the server of a client that finished and then reset, though the server says nothing', () => {
    const small = startSmallEdge();
    const { client, server } = small.relayed();
    client.say('and out').fin();
    small.edge.network.at(0.5, () => client.reset());
    small.edge.network.advance(5);
    small.until(() => server.isOver && small.edge.w.slots.live === 0);
    expect(server.text).toBe('and out');
    finish(small);
  });

  it('ends at once when both sides reset while bytes wait both ways', () => {
    const small = startSmallEdge();
    const { client, server } = small.relayed();
    client.hold();
    server.hold();
    client.say(bigMessage('c'));
    server.say(bigMessage('s'));
    small.pass(50);
    client.reset();
    server.reset();
    small.edge.network.advance(5);
    const beforeMs = small.edge.network.nowMs();
    small.until(() => small.edge.w.slots.live === 0);
    expect(small.edge.network.nowMs() - beforeMs).toBeLessThan(50);
    expect(small.edge.ended(IDLE_TIMEOUT)).toBe(0);
    finish(small);
  });

  it('delivers everything that came before a reset, however slowly it is read', () => {
    const small = startSmallEdge({ network: { receiveBytesMax: 20_000, sendBytesMax: 20_000 } });
    const { client, server } = small.relayed();
    const { edge, until } = small;
    server.hold();
    client.say(bigMessage('x', 30_000));
    until(() => client.waitingBytes === 0);
    small.pass(20);
    const acceptedBytes = 30_000 - edge.peers.unsentBytes(client.fd);
    client.reset();
    until(() => edge.w.table.state(0) === SLOT_RESETTING);
    small.pass(200);
    expect(edge.w.slots.live).toBe(1);
    expect(server.isOver).toBe(false);
    server.release();
    until(() => server.isOver);
    expect(server.sawReset).toBe(true);
    expect(server.heardBytes).toBe(acceptedBytes);
    expect(edge.ended(CLIENT_RESET)).toBe(1);
    finish(small, server);
  });

  it('waits no longer for delivery than the half-close deadline, nor for a side that breaks as well', () => {
    for (const breaks of [false, true]) {
      const small = startSmallEdge({
        settings: { halfCloseMs: 300 },
        network: { receiveBytesMax: 20_000, sendBytesMax: 20_000 },
      });
      const { client, server } = small.relayed();
      server.hold();
      client.say(bigMessage('x', 30_000));
      small.pass(50);
      client.reset();
      small.until(() => small.edge.w.table.state(0) === SLOT_RESETTING);
      const beforeMs = small.edge.network.nowMs();
      if (breaks) server.reset();
      small.until(() => small.edge.w.slots.live === 0);
      const tookMs = small.edge.network.nowMs() - beforeMs;
      if (breaks) expect(tookMs).toBeLessThan(10);
      else expect(tookMs).toBeGreaterThanOrEqual(299);
      if (!breaks) expect(tookMs).toBeLessThan(320);
      expect(small.edge.ended(CLIENT_RESET)).toBe(1);
      finish(small, server);
    }
  });

  it('waits as long for a reader whose peer reset while bytes were still unread', () => {
    const small = startSmallEdge({ settings: { halfCloseMs: 300 } });
    const { client, server } = small.relayed();
    server.hold();
    client.say(bigMessage('x'));
    small.pass(50);
    client.reset();
    const beforeMs = small.edge.network.nowMs();
    small.until(() => small.edge.w.slots.live === 0);
    expect(small.edge.network.nowMs() - beforeMs).toBeGreaterThanOrEqual(299);
    expect(small.edge.network.nowMs() - beforeMs).toBeLessThan(700);
    expect(small.edge.ended(CLIENT_RESET)).toBe(1);
    finish(small, server);
  });

  it('cuts who stays silent, and who does not answer a half-close, each at its deadline', () => {
    const small = startSmallEdge({ settings: { idleMs: 1_000, halfCloseMs: 200 } });
    const { edge } = small;
    const silent = small.relayed();
    const half = small.relayed();
    const busy = small.relayed();
    half.client.fin();
    small.until(() => half.server.isOver);
    const startMs = edge.network.nowMs();
    small.until(() => edge.ended(HALF_CLOSE_TIMEOUT) === 1);
    expect(edge.network.nowMs() - startMs).toBeLessThan(260);
    small.until(() => half.client.isOver);
    expect(half.client.sawReset).toBe(true);
    for (let i = 0; i < 12; i++) {
      busy.client.say('.');
      small.pass(100);
    }
    small.until(() => silent.client.isOver && silent.server.isOver);
    expect([silent.client.sawReset, silent.server.sawReset]).toEqual([true, true]);
    expect(edge.ended(IDLE_TIMEOUT)).toBe(1);
    expect(busy.server.heardBytes).toBe(12);
    expect(busy.server.isOver).toBe(false);
    finish(small, busy.client);
  });
});

describe('bounds of the relay', () => {
  it('holds one block a direction at most for those who do not read, and peeks when there is none', () => {
    const small = startSmallEdge({ bounds: { buffers: 3 } });
    const { edge, until } = small;
    const pairs = Array.from({ length: 6 }, () => small.relayed());
    for (const { server } of pairs) server.hold();
    for (const { client } of pairs) client.say(bigMessage('b'));
    small.pass(100);
    expect(edge.w.buffers.inUse).toBe(2);
    expect(edge.w.row.leftoversHighest(0)).toBe(2);
    expect(edge.w.row.peekedReads(0)).toBeGreaterThan(0);
    for (const { client } of pairs) expect(client.waitingBytes).toBeGreaterThan(0);
    for (const { server } of pairs) server.release();
    until(() => pairs.every(({ server }) => server.heardBytes === BIG_BYTES));
    for (const { server } of pairs) expect(server.text).toBe('b'.repeat(BIG_BYTES));
    finish(small, ...pairs.map(({ client }) => client));
  });

  it('does nothing at all while nobody reads', () => {
    const small = startSmallEdge({ bounds: { buffers: 2 } });
    const pairs = [small.relayed(), small.relayed(), small.relayed()];
    for (const { server } of pairs) server.hold();
    for (const { client } of pairs) client.say(bigMessage('b'));
    small.pass(100);
    const turns = small.edge.w.row.turns(0);
    const peeked = small.edge.w.row.peekedReads(0);
    small.pass(10_000);
    expect(small.edge.w.row.turns(0) - turns).toBeLessThan(20);
    expect(small.edge.w.row.peekedReads(0)).toBe(peeked);
    finish(small, ...pairs.map(({ client }) => client), ...pairs.map(({ server }) => server));
  });

  it.each([
    // A share by its event, and one by the ready list.
    ['copied', 0, 2 * RELAY_TURN_BYTES_MAX],
    ['spliced', 8, 2 * (SPLICE_TURN_BYTES_MAX + PIPE_BYTES)],
  ])('serves fifty others in the turn in which it meets a flood, %s', (_, pipesPerWorker, turnBytesMax) => {
    const buffer = 16 * 1024 * 1024;
    const floodBytes = 40 * 1024 * 1024;
    const small = startSmallEdge({
      network: { sendBytesMax: buffer, receiveBytesMax: buffer, latencyUs: 10 },
      limits: { pipesPerWorker },
    });
    const { edge, until } = small;
    const others = Array.from({ length: 50 }, () => small.relayed());
    const flood = small.relayed();
    flood.client.say(bigMessage('f', floodBytes));
    for (let round = 0; round < 10; round++) {
      for (const { client } of others) client.say('!');
      // While the edge is away, the flood fills every buffer.
      edge.network.advance(20);
      const before = edge.w.row.upBytes(0);
      edge.turn();
      const moved = edge.w.row.upBytes(0) - before;
      expect(moved).toBeGreaterThan(50);
      expect(moved).toBeLessThanOrEqual(turnBytesMax + 50);
      edge.network.advance(1);
      expect(others.every(({ server }) => server.heardBytes === round + 1)).toBe(true);
    }
    until(() => flood.server.heardBytes === floodBytes);
    expect(edge.w.row.splicedBytes(0) > 0).toBe(pipesPerWorker > 0);
    finish(small, flood.client, ...others.map(({ client }) => client));
  });

  it.each(['client', 'server'] as const)(
    'keeps the urgent byte of the %s in its place, and what follows',
    (who) => {
      const small = startSmallEdge();
      const { client, server } = small.relayed();
      const { until } = small;
      const [from, to] = who === 'client' ? [client, server] : [server, client];
      // Reads stop at the mark, so a short read proves nothing: a FIN behind it must not cut off what follows.
      from.say('before');
      sayUrgent(small, from);
      from.say('after').fin();
      until(() => to.sawFin);
      expect(to.text).toBe('beforeUafter');
      to.fin();
      finish(small, to);
    },
  );

  it('keeps the urgent byte behind a spliced stream, and what follows', () => {
    const buffer = 1024 * 1024;
    const small = startSmallEdge({
      network: { sendBytesMax: buffer, receiveBytesMax: buffer, latencyUs: 10 },
    });
    const { client, server } = small.relayed();
    const { edge, until } = small;
    const bulk = bigMessage('p', 4 * 1024 * 1024);
    client.say(bulk);
    until(() => server.heardBytes === bulk.length);
    expect(edge.w.row.splicedBytes(0)).toBeGreaterThan(0);
    sayUrgent(small, client);
    client.say('after').fin();
    until(() => server.sawFin);
    expect(server.text.slice(bulk.length)).toBe('Uafter');
    server.fin();
    finish(small, server);
  });

  it('gives pipes back when a bulk transfer has become small talk, and closes idle ones for a connection', () => {
    const buffer = 1024 * 1024;
    const small = startSmallEdge({
      budget: 6,
      network: { sendBytesMax: buffer, receiveBytesMax: buffer, latencyUs: 10 },
    });
    const { edge, until } = small;
    const { client, server } = small.relayed();
    client.say(bigMessage('p', 4 * 1024 * 1024));
    until(() => server.heardBytes === 4 * 1024 * 1024);
    expect(edge.w.row.splicedBytes(0)).toBeGreaterThan(0);
    expect(edge.w.table.pipe(0, UP)).toBeGreaterThanOrEqual(0);
    expect(edge.w.row.pipesOpen(0)).toBe(1);
    for (let i = 0; i < 40 && edge.w.table.pipe(0, UP) >= 0; i++) {
      client.say('x');
      small.pass(2);
    }
    expect(edge.w.table.pipe(0, UP)).toBe(-1);
    expect(edge.w.row.pipesOpen(0)).toBe(1);
    expect(edge.tables.machine.descriptors(0)).toBe(4);
    const second = small.relayed();
    const third = small.relayed();
    expect(edge.w.row.pipesOpen(0)).toBe(0);
    finish(small, client, second.client, third.client);
  });
});

describe('slots', () => {
  it('are found by nobody under an old name', () => {
    const small = startSmallEdge();
    const { edge } = small;
    const first = small.relayed();
    const generation = edge.w.table.generation(0);
    expect(edge.w.slots.isLive(0, generation)).toBe(true);
    first.client.reset();
    small.until(() => edge.w.slots.live === 0);
    edge.turn();
    const client = dial(edge, FORWARD_PORT);
    small.until(() => edge.w.slots.live === 1);
    expect(edge.w.table.fd(0, CLIENT)).toBeGreaterThan(0);
    expect(edge.w.slots.isLive(0, generation)).toBe(false);
    expect(edge.w.table.generation(0)).toBe(generation + 2);
    finish(small, client);
  });
});

function sayUrgent({ edge }: ReturnType<typeof startSmallEdge>, actor: { readonly fd: number }): void {
  const bytes = new Uint8Array(new ArrayBuffer(8)).fill('U'.charCodeAt(0));
  edge.peers.send(actor.fd, edge.peers.addressOf(bytes), 1, MSG_OOB);
}
