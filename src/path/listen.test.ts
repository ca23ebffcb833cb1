// Accepting and refusing: every bound is named, counted, and recovered from.

import { describe, expect, it } from 'vitest';
import { dial } from '../../test/exactness/actors.ts';
import { FORWARD_PORT, startSmallEdge } from '../../test/exactness/small-edge.ts';
import type { SmallEdge } from '../../test/exactness/small-edge.ts';
import { DESCRIPTORS_EXHAUSTED, SLOTS_EXHAUSTED } from '../layout/reasons.ts';
import { EMFILE, ENFILE, ENOBUFS, ENOMEM } from '../sys/constants.ts';
import { learnCap } from './listen.ts';

describe('accepting at a bound', () => {
  it('refuses with a reset when all slots are in use, and recovers', () => {
    const { edge, relayed, until } = startSmallEdge({ limits: { slotsPerWorker: 3 } });
    const pairs = [relayed(), relayed(), relayed()];
    const late = dial(edge, FORWARD_PORT);
    until(() => late.isOver);
    expect(late).toMatchObject({ sawReset: true, sawFin: false });
    expect(edge.ended(SLOTS_EXHAUSTED)).toBe(1);
    expect(edge.w.slots.live).toBe(3);
    pairs[1]?.client.reset();
    until(() => edge.w.slots.live === 2);
    const again = relayed();
    again.client.say('hello');
    until(() => again.server.text === 'hello');
    for (const { client } of [...pairs, again]) if (!client.isClosed) client.reset();
    until(() => edge.w.slots.live === 0);
    expect(edge.leaks()).toEqual([]);
  });

  it('refuses when the descriptor budget is spent, and gives all of it back', () => {
    const { edge, relayed, until } = startSmallEdge({ budget: 5 });
    const pairs = [relayed(), relayed()];
    const late = dial(edge, FORWARD_PORT);
    until(() => late.isOver);
    expect(late.sawReset).toBe(true);
    expect(edge.ended(DESCRIPTORS_EXHAUSTED)).toBe(1);
    expect(edge.tables.machine.descriptors(0)).toBe(4);
    for (const { client } of pairs) client.reset();
    until(() => edge.w.slots.live === 0);
    expect(edge.leaks()).toEqual([]);
    relayed().client.reset();
    until(() => edge.w.slots.live === 0);
  });

  it('refuses with its spare descriptor when the kernel has none, loses no wake-up, and recovers', () => {
    // 3 listeners, wake, epoll, spare, and four more; the table also holds 0 to 2.
    const { edge, relayed, until } = startSmallEdge({ descriptorsMax: 3 + 6 + 4 });
    const pairs = [relayed(), relayed()];
    const { tables, w } = edge;
    for (let round = 0; round < 3; round++) {
      const late = [dial(edge, FORWARD_PORT), dial(edge, FORWARD_PORT), dial(edge, FORWARD_PORT)];
      until(() => late.every(({ isOver }) => isOver));
      expect(late.every(({ sawReset }) => sawReset)).toBe(true);
      expect(edge.ended(DESCRIPTORS_EXHAUSTED)).toBe(3 * (round + 1));
      expect(w.spareFd).toBeGreaterThanOrEqual(0);
      expect(tables.workers.spareFd(0)).toBe(w.spareFd);
    }
    expect(tables.workers.acceptExhausted(0)).toBeGreaterThanOrEqual(9);
    pairs[0]?.client.reset();
    until(() => w.slots.live === 1);
    const next = relayed();
    next.client.say('after all').fin();
    until(() => next.server.sawFin);
    expect(next.server.text).toBe('after all');
    next.server.fin();
    pairs[1]?.client.reset();
    until(() => w.slots.live === 0);
    expect(edge.leaks()).toEqual([]);
  });

  it('refuses a connection whose server would be one descriptor too many', () => {
    const { edge, until } = startSmallEdge({ descriptorsMax: 3 + 6 + 1 });
    const client = dial(edge, FORWARD_PORT);
    until(() => client.isOver);
    expect(client.sawReset).toBe(true);
    expect(edge.ended(DESCRIPTORS_EXHAUSTED)).toBe(1);
    expect(edge.leaks()).toEqual([]);
  });

  it('takes what waits when the kernel lacks descriptors for a moment only', () => {
    const { edge, until, server } = startSmallEdge({
      faults: { descriptorsExhausted: 0.3 },
      network: { seed: 3 },
    });
    const clients = Array.from({ length: 40 }, () => dial(edge, FORWARD_PORT));
    until(() => edge.w.row.accepted(0) === 40);
    until(() => clients.filter(({ sawReset }) => !sawReset).length === server.accepted.length);
    expect(edge.w.slots.live).toBe(server.accepted.length);
    expect(edge.ended(DESCRIPTORS_EXHAUSTED)).toBe(40 - server.accepted.length);
    for (const client of clients) if (!client.isOver) client.reset();
    until(() => edge.w.slots.live === 0);
    expect(edge.leaks()).toEqual([]);
  });
});

describe('a shortage that refusing does not shorten', () => {
  /** Makes accept fail with `errno` until told otherwise, and counts how often it is tried. */
  function shortage(small: SmallEdge, errno: number): { tries: number; isOver: boolean } {
    const { sys, w } = small.edge;
    const state = { tries: 0, isOver: false };
    const accept = sys.accept.bind(sys);
    const eventfd = sys.eventfd.bind(sys);
    Object.assign(w.sys, {
      accept: (fd: number, address: number, length: number) => {
        if (state.isOver) return accept(fd, address, length);
        // A loop that spins would never let virtual time pass.
        if (++state.tries > 500) throw new Error('accept is tried without end');
        return -errno;
      },
      eventfd: () => (state.isOver || errno === ENOBUFS || errno === ENOMEM ? eventfd() : -errno),
    });
    return state;
  }

  it.each([
    ['ENOBUFS', ENOBUFS],
    ['ENOMEM', ENOMEM],
    ['EMFILE', EMFILE],
    ['ENFILE', ENFILE],
  ])('%s pauses the listeners, is counted, and is recovered from', (_, errno) => {
    const small = startSmallEdge();
    const { edge, until, server } = small;
    const state = shortage(small, errno);
    const client = dial(edge, FORWARD_PORT).say('after all').fin();
    small.pass(200);
    expect(state.tries).toBeGreaterThan(4);
    expect(state.tries).toBeLessThan(60);
    expect(edge.tables.workers.acceptExhausted(0)).toBeGreaterThan(4);
    state.isOver = true;
    until(() => server.accepted.length === 1 && server.last().sawFin);
    expect(server.last().text).toBe('after all');
    server.last().fin();
    until(() => client.sawFin && edge.w.slots.live === 0);
    edge.turn();
    expect(edge.leaks()).toEqual([]);
  });

  it('outlasts a change of plan, and a drain ends it', () => {
    const small = startSmallEdge();
    const { edge, until, server, inbounds } = small;
    const state = shortage(small, ENOMEM);
    dial(edge, FORWARD_PORT);
    until(() => state.tries === 1);
    // Other indices: every listener is put into epoll anew while they are all out of it.
    edge.plan(inbounds.map((inbound, index) => ({ ...inbound, index: index + 1, generation: 2 })));
    small.pass(5);
    state.isOver = true;
    until(() => server.accepted.length === 1);
    small.pass(50);
    const second = dial(edge, FORWARD_PORT);
    until(() => server.accepted.length === 2);
    state.isOver = false;
    const before = state.tries;
    const late = dial(edge, FORWARD_PORT);
    until(() => state.tries > before);
    edge.tell({ kind: 'drain' });
    state.isOver = true;
    small.pass(100);
    expect(late.isOver).toBe(false);
    expect(server.accepted.length).toBe(2);
    second.reset();
  });
});

describe('how many a wake-up takes', () => {
  it('grows while the queue is longer, shrinks when it was empty, and stays within its bounds', () => {
    const { edge } = startSmallEdge();
    const { w } = edge;
    const cap = () => w.acceptCaps[0];
    expect(cap()).toBe(1);
    // Sixteen wake-ups in a row, so that a steady one-at-a-time hardly ever asks an empty queue.
    for (let i = 0; i < 15; i++) learnCap(w, 0, false);
    expect(cap()).toBe(1);
    learnCap(w, 0, false);
    expect(cap()).toBe(2);
    for (let i = 0; i < 100; i++) learnCap(w, 0, false);
    expect(cap()).toBe(64);
    learnCap(w, 0, true);
    expect(cap()).toBe(32);
    for (let i = 0; i < 15; i++) learnCap(w, 0, false);
    learnCap(w, 0, true);
    expect(cap()).toBe(16);
    for (let i = 0; i < 10; i++) learnCap(w, 0, true);
    expect(cap()).toBe(1);
    expect(w.acceptCaps[1]).toBe(1);
  });

  it('learns from a burst, and asks an empty queue no more than it must', () => {
    const { edge, until } = startSmallEdge({ limits: { slotsPerWorker: 300 } });
    const { sys, w } = edge;
    let empty = 0;
    const accept = sys.accept.bind(sys);
    Object.assign(w.sys, {
      accept: (fd: number, address: number, length: number) => {
        const answer = accept(fd, address, length);
        if (answer < 0) empty++;
        return answer;
      },
    });
    const clients = Array.from({ length: 200 }, () => dial(edge, FORWARD_PORT));
    let highest = 0;
    until(() => {
      highest = Math.max(highest, w.acceptCaps[0] as number);
      return w.row.accepted(0) === 200;
    });
    expect(highest).toBeGreaterThan(4);
    // One at a time: the cap is back at one, and no accept finds nothing.
    for (let i = 0; i < 10; i++) {
      clients.push(dial(edge, FORWARD_PORT));
      until(() => w.row.accepted(0) === 201 + i);
    }
    expect(w.acceptCaps[0]).toBe(1);
    const before = empty;
    for (let i = 0; i < 3; i++) {
      clients.push(dial(edge, FORWARD_PORT));
      until(() => w.row.accepted(0) === 211 + i);
    }
    expect(empty).toBe(before);
  });
});
