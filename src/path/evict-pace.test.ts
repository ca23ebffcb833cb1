// How evictions on a worker take their time, on the simulated network: a share a turn, by a rate, beside each other, until
// they are cancelled; and whoever is not meant is served meanwhile.

import { describe, expect, it } from 'vitest';
import { dial, serve } from '../../test/exactness/actors.ts';
import {
  answerOf,
  evict,
  expectNothingLeft,
  makeWorkTakeTime,
  relayMany,
} from '../../test/exactness/evicting.ts';
import {
  SERVER_PORT,
  SOCKS_GREETING,
  SOCKS_PORT,
  socksRequest,
  startSmallEdge,
} from '../../test/exactness/small-edge.ts';
import type { SmallEdgeInit } from '../../test/exactness/small-edge.ts';
import { LIST_INBOUND, LIST_SERVICE, LIST_SOURCE } from '../layout/lists.ts';
import { EVERY_CONNECTION } from '../layout/messages.ts';
import { EVICTED } from '../layout/reasons.ts';

const MANY: SmallEdgeInit = { limits: { slotsPerWorker: 6_000 }, budget: 12_010 };

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
    makeWorkTakeTime(small, 60);
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
    // An eighth of the 3 ms between two shares, at 60 µs a look, a look every 8 slots, two turns.
    expect(most).toBeLessThanOrEqual(2 * 56);
    expect(turns).toBeGreaterThanOrEqual(5_000 / 56);
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
    for (let i = 0; i < 80; i++)
      edge.evict({ list: LIST_INBOUND, keys: Int32Array.of(0), ratePerSecond: 0.01 });
    small.pass(50);
    const beganMs = edge.network.nowMs();
    const done = evict(small, { list: LIST_INBOUND, keys: Int32Array.of(1) });
    expect(done).toMatchObject({ matched: 1, closed: 1 });
    expect(edge.network.nowMs() - beganMs).toBeLessThan(20);
    small.until(() => socks.sawReset);
    // One each of those that walk; the others are behind them.
    expect(edge.ended(EVICTED)).toBe(1 + 64);
    for (let id = 1; id <= 80; id++) edge.tell({ kind: 'cancel_eviction', id });
    small.until(() =>
      Array.from({ length: 80 }, (_, i) => answerOf(edge, i + 1)).every((one) => one !== undefined),
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
    const closed = answerOf(edge, id)?.closed ?? 0;
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

  it('and is over when nothing of it is left, whatever its rate', () => {
    const small = startSmallEdge();
    const [only] = relayMany(small, 1);
    const done = evict(small, { list: LIST_INBOUND, keys: Int32Array.of(0), ratePerSecond: 0.001 });
    expect(done).toMatchObject({ matched: 1, closed: 1 });
    small.until(() => only?.client.sawReset === true);
    expectNothingLeft(small);
  });
});
