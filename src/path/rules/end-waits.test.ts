// Connections that are told to leave the rules that they wait in: they wait in those in force, or are judged by them.

import { describe, expect, it } from 'vitest';
import { dial } from '../../../test/exactness/actors.ts';
import { answered, asked, expectNothingLeft, named, socks } from '../../../test/exactness/questions.ts';
import { putInForce } from '../../../test/exactness/rules.ts';
import type { RuleInit, RulesInForce } from '../../../test/exactness/rules.ts';
import { FORWARD_PORT, startSmallEdge } from '../../../test/exactness/small-edge.ts';
import type { SmallEdge } from '../../../test/exactness/small-edge.ts';
import { ON_TIMEOUT_REJECT, REJECT_REPLY } from '../../layout/rules.ts';
import { SLOT_WAITING } from '../../layout/slot.ts';

const action: RuleInit['action'] = { kind: 'reject', method: REJECT_REPLY };
const sniff: RuleInit = {
  action: { kind: 'sniff', protocols: [] },
  onTimeout: ON_TIMEOUT_REJECT,
  timeoutMs: 30_000,
};
const ofCurl: RuleInit = { when: { processName: ['curl'] }, action, timeoutMs: 30_000 };
const resolve: RuleInit = { action: { kind: 'resolve' }, timeoutMs: 30_000 };

function waits(small: SmallEdge, slot = 0): void {
  small.until(() => small.edge.w.table.state(slot) === SLOT_WAITING);
}

function endWaits(small: SmallEdge, slot = 0, generation = small.edge.w.table.generation(slot)): void {
  small.edge.tell({ kind: 'end_waits', connections: Int32Array.of(slot, generation) });
  small.edge.turn();
}

function pinsOf({ edge }: SmallEdge, { row }: RulesInForce): number {
  return edge.tables.snapshots.pins(row);
}

describe('whoever is told to leave its rules', () => {
  it('waits in those in force', () => {
    const small = startSmallEdge();
    const before = putInForce(small.edge, [sniff]);
    const client = dial(small.edge, FORWARD_PORT);
    waits(small);
    const now = putInForce(small.edge, [{ when: { port: [{ from: 1, to: 1 }] }, action }, sniff]);
    expect([pinsOf(small, before), pinsOf(small, now)]).toEqual([1, 0]);
    endWaits(small);
    expect([pinsOf(small, before), pinsOf(small, now)]).toEqual([0, 1]);
    client.say('no protocol\r\n');
    small.until(() => small.server.accepted.length === 1);
    client.close();
    small.edge.evict();
    expectNothingLeft(small);
  });

  it('is judged by those in force', () => {
    const small = startSmallEdge();
    putInForce(small.edge, [sniff]);
    dial(small.edge, FORWARD_PORT);
    waits(small);
    putInForce(small.edge, [{ action }]);
    endWaits(small);
    expect(small.edge.endings()).toBe('rule_rejected 1');
    expectNothingLeft(small);
  });

  it('asks anew, and takes no answer to what it asked before', () => {
    const small = startSmallEdge();
    putInForce(small.edge, [ofCurl]);
    const client = socks(small);
    const first = asked(small, 'look_up');
    putInForce(small.edge, [ofCurl]);
    endWaits(small);
    const second = asked(small, 'look_up');
    small.edge.tell(answered(small, first, { program: 'wget' }));
    small.pass(10);
    expect(small.server.accepted).toHaveLength(0);
    small.edge.tell(answered(small, second, { program: 'curl' }));
    small.until(() => small.edge.endings() === 'rule_rejected 1');
    client.close();
    expectNothingLeft(small);
  });

  it('asks for its name once more', () => {
    const small = startSmallEdge();
    const before = putInForce(small.edge, [resolve]);
    const client = socks(small, named('a.example'));
    asked(small, 'resolve');
    putInForce(small.edge, [resolve]);
    endWaits(small);
    expect(asked(small, 'resolve')).toMatchObject({ name: 'a.example', forRules: true });
    expect(pinsOf(small, before)).toBe(0);
    client.reset();
    expectNothingLeft(small);
  });
});

describe('nothing happens to', () => {
  it('who waits in the rules in force', () => {
    const small = startSmallEdge();
    putInForce(small.edge, [ofCurl]);
    socks(small);
    asked(small, 'look_up');
    endWaits(small);
    expect(small.edge.posted).toEqual([]);
    expect(small.edge.w.table.state(0)).toBe(SLOT_WAITING);
  });

  it('who has come after the one that was meant', () => {
    const small = startSmallEdge();
    const before = putInForce(small.edge, [sniff]);
    dial(small.edge, FORWARD_PORT);
    waits(small);
    putInForce(small.edge, [{ action }]);
    endWaits(small, 0, small.edge.w.table.generation(0) - 2);
    expect(pinsOf(small, before)).toBe(1);
  });

  it('who waits for something else than rules', () => {
    const small = startSmallEdge();
    putInForce(small.edge, []);
    socks(small, named('a.example'));
    asked(small, 'resolve');
    putInForce(small.edge, [{ action }]);
    endWaits(small);
    expect(small.edge.posted).toEqual([]);
    expect(small.edge.endings()).toBe('');
  });
});
