// Rules for the simulation of exactness: every action and every way to wait, changed while connections wait; answers that
// come, come late, or never. Whatever they do on the way, they reject exactly the connections that they are to reject: so the
// rest must be exact as it is without rules.

import type { WorkerMessage } from '../../src/layout/messages.ts';
import {
  NEED_EXTERNAL,
  ON_TIMEOUT_SKIP,
  REJECT_DROP,
  REJECT_FIN,
  REJECT_REPLY,
  REJECT_RESET,
} from '../../src/layout/rules.ts';
import { REJUDGE_ALL } from '../../src/layout/messages.ts';
import { rejudge } from '../../src/path/rules/rejudge.ts';
import type { Random } from '../../src/sys/simulated/random.ts';
import { pick } from './connections.ts';
import type { Connection } from './connections.ts';
import { putInForce, route, rowOf } from './rules.ts';
import type { RuleInit } from './rules.ts';
import type { Edge } from './simulated-edge.ts';

const CHANGES_MAX = 5;
const CHANGES_WITHIN_MS = 150;
const ANSWER_MS_MAX = 80;
const NEVER_CHANCE = 0.1;
const REJECTED_CHANCE = 0.12;
const LOOKS = 20;
const LOOKS_WITHIN_MS = 400;
const METHODS = [REJECT_REPLY, REJECT_RESET, REJECT_FIN, REJECT_DROP];

export interface RuleChanges {
  readonly rejected: ReadonlySet<Connection>;
  readonly mistakes: string[];
  /** A question of the worker's. */
  answer(message: WorkerMessage): void;
}

/** Puts rules in force, and others later. */
export function changeRules(edge: Edge, random: Random, connections: readonly Connection[]): RuleChanges {
  const rejected = new Set(connections.filter(() => random.chance(REJECTED_CHANCE)));
  const rejecting = [...rejected].map((connection): RuleInit => {
    return {
      when: { port: [{ from: connection.serverPort, to: connection.serverPort }] },
      action: { kind: 'reject', method: pick(random, METHODS) },
    };
  });
  const change = () => void putInForce(edge, [...harmlessRules(random), ...rejecting]);
  change();
  const changes = random.below(CHANGES_MAX);
  for (let i = 0; i < changes; i++) edge.network.at(random.next() * CHANGES_WITHIN_MS, change);
  const mistakes: string[] = [];
  for (let i = 0; i < LOOKS; i++)
    edge.network.at(random.next() * LOOKS_WITHIN_MS, () => lookAgain(edge, mistakes));
  return {
    rejected,
    mistakes,
    answer(message) {
      if (message.kind !== 'look_up' || random.chance(NEVER_CHANCE)) return;
      const { slot, generation, question, need, external } = message;
      edge.network.at(random.next() * ANSWER_MS_MAX, () =>
        edge.tell({
          kind: 'looked_up',
          slot,
          generation,
          need,
          external,
          question,
          found: random.chance(0.8),
          isTrue: need === NEED_EXTERNAL && random.chance(0.5),
          processName: Int32Array.of(random.below(100), 1),
          processPath: new Int32Array(2),
          userId: random.below(2_000),
        }),
      );
    },
  };
}

/** Whom the rules of a snapshot have let go, they let go again. */
function lookAgain(edge: Edge, mistakes: string[]): void {
  const { w } = edge;
  for (let slot = 0; slot < w.slots.touched; slot++) {
    if ((w.table.generation(slot) & 1) === 0) continue;
    const row = w.table.snapshot(slot) < 0 ? -1 : rowOf(w.table.snapshot(slot));
    const verdict = rejudge(w, slot, row, REJUDGE_ALL, true);
    if (verdict !== 0) mistakes.push(`slot ${slot}, let go by snapshot ${row}: now ${verdict}`);
  }
}

/** They keep nobody from anything but time, and none of them is final. */
function harmlessRules(random: Random): RuleInit[] {
  return Array.from({ length: random.below(6) }, () => {
    const limits = { onTimeout: ON_TIMEOUT_SKIP, timeoutMs: 1 + random.below(100) };
    const nobody = { inbound: ['nobody`s'] };
    return pick<RuleInit>(random, [
      { action: { kind: 'sniff', protocols: pick(random, [[], [1], [2, 4], [5]]) }, ...limits },
      { action: { kind: 'resolve' }, ...limits },
      { action: { kind: 'limit', gate: undefined, rate: undefined } },
      { when: { userId: [{ from: 5_000, to: 6_000 }] }, action: route('other'), ...limits },
      {
        when: { external: { url: `http://${random.below(3)}/` } },
        action: { kind: 'limit', gate: undefined, rate: undefined },
        ...limits,
      },
      { when: nobody, action: route('gone') },
    ]);
  });
}
