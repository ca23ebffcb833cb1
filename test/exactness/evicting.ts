// What tests of evictions on the simulated network share: an eviction and its answer, many connections at once, and a
// worker whose work takes time.

import { expect } from 'vitest';
import type { EvictionJob, WorkerMessage } from '../../src/layout/messages.ts';
import { dial } from './actors.ts';
import type { Actor } from './actors.ts';
import type { Edge } from './simulated-edge.ts';
import { FORWARD_PORT } from './small-edge.ts';
import type { SmallEdge } from './small-edge.ts';

type Evicted = Extract<WorkerMessage, { kind: 'evicted' }>;

/** The last answer of an eviction, if it is the end. */
export function answerOf(edge: Edge, id: number): Evicted | undefined {
  const all = edge.posted.filter(
    (message): message is Evicted => message.kind === 'evicted' && message.id === id,
  );
  expect(all.filter(({ isDone }) => isDone).length).toBeLessThan(2);
  return all.find(({ isDone }) => isDone);
}

/** Evicts, and waits for the answer. */
export function evict({ edge, until }: SmallEdge, job: Partial<EvictionJob>): Evicted {
  const id = edge.evict(job);
  until(() => answerOf(edge, id) !== undefined);
  return answerOf(edge, id) as Evicted;
}

/** Ends whoever is left, and asks for leaks. */
export function expectNothingLeft({ edge, until }: SmallEdge): void {
  edge.evict();
  until(() => edge.w.slots.live === 0);
  edge.turn();
  expect(edge.leaks()).toEqual([]);
}

/** Pairs of the forward inbound, all at once. */
export function relayMany(
  { edge, server, until }: SmallEdge,
  count: number,
): { client: Actor; server: Actor }[] {
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
export function makeWorkTakeTime({ edge }: SmallEdge, usPerLook: number): void {
  let spentUs = 0;
  const nowUs = () => edge.network.nowUs() + (spentUs += usPerLook);
  Object.assign(edge.w.sys, { nowUs });
}
