// Connections that wait in their rules, and what happens to them meanwhile: they go, they are ended, their target or the
// rules become others. What was asked before that counts for nothing after it.

import { describe, expect, it } from 'vitest';
import { dial } from '../../../test/exactness/actors.ts';
import { clientHello } from '../../../test/exactness/first-bytes.ts';
import {
  answered,
  asked,
  expectNothingLeft,
  named,
  socks,
  words,
} from '../../../test/exactness/questions.ts';
import { buildRow, pins, putInForce } from '../../../test/exactness/rules.ts';
import type { RuleInit } from '../../../test/exactness/rules.ts';
import { LOOPBACK } from '../../../test/exactness/simulated-edge.ts';
import { FORWARD_PORT, SERVER_PORT, startSmallEdge } from '../../../test/exactness/small-edge.ts';
import type { SmallEdge } from '../../../test/exactness/small-edge.ts';
import { LIST_RULE, LIST_SERVICE } from '../../layout/lists.ts';
import {
  CLIENT_RESET,
  EVICTED,
  LOOK_UP_TIMEOUT,
  NAME_FAILED,
  RULE_REJECTED,
  SERVICE_DISABLED,
} from '../../layout/reasons.ts';
import { NEED_EXTERNAL, ON_TIMEOUT_REJECT, REJECT_REPLY } from '../../layout/rules.ts';
import { SLOT_LINGERING } from '../../layout/slot.ts';

const rejectAll: RuleInit = { action: { kind: 'reject', method: REJECT_REPLY } };
const sniffAll: RuleInit = { action: { kind: 'sniff', protocols: [] } };
const resolveAll: RuleInit = { action: { kind: 'resolve' } };
const ofCurl = (rest: Partial<RuleInit> = {}): RuleInit => ({
  ...rejectAll,
  when: { processName: ['curl'] },
  ...rest,
});
const judged = (url: string, rest: Partial<RuleInit> = {}): RuleInit => ({
  ...rejectAll,
  when: { external: { url } },
  ...rest,
});

/** The forward inbound has another target from now on, whoever waits for the old one. */
function retarget(small: SmallEdge, target: number): void {
  const { edge } = small;
  edge.plan(small.inbounds.map((inbound, index) => (index === 0 ? { ...inbound, target } : inbound)));
  edge.tables.targets.setGeneration(0, 3);
  edge.turn();
}

describe('what happens meanwhile', () => {
  function startWaiting() {
    const small = startSmallEdge();
    putInForce(small.edge, [ofCurl({ timeoutMs: 4_000 })]);
    const client = dial(small.edge, FORWARD_PORT);
    return { small, client, question: asked(small, 'look_up') };
  }

  it('a reset', () => {
    const { small, client, question } = startWaiting();
    client.reset();
    small.until(() => small.edge.ended(CLIENT_RESET) === 1);
    small.edge.tell(answered(small, question));
    small.pass(5);
    expectNothingLeft(small);
  });

  it('an eviction', () => {
    const { small } = startWaiting();
    small.edge.evict({ list: LIST_SERVICE, keys: Int32Array.of(0), service: 0, serviceGeneration: 1 });
    small.until(() => small.edge.ended(EVICTED) === 1);
    expectNothingLeft(small);
  });

  it('the service is disabled', () => {
    const { small, question } = startWaiting();
    small.edge.tables.services.setFlags(0, 0);
    small.edge.tell(answered(small, question));
    small.until(() => small.edge.ended(SERVICE_DISABLED) === 1);
    expectNothingLeft(small);
  });

  it('its target becomes another one: rules see that one, from the first on', () => {
    const small = startSmallEdge();
    const { edge } = small;
    const port = SERVER_PORT + 1;
    putInForce(edge, [
      { ...rejectAll, when: { port: [{ from: port, to: port }] } },
      ofCurl({ timeoutMs: 4_000 }),
    ]);
    dial(edge, FORWARD_PORT);
    const question = asked(small, 'look_up');
    const target = edge.addTarget(LOOPBACK, port);
    edge.plan(small.inbounds.map((inbound, index) => (index === 0 ? { ...inbound, target } : inbound)));
    edge.tables.targets.setGeneration(0, 3);
    edge.tell(answered(small, question, { program: 'wget' }));
    small.until(() => edge.ended(RULE_REJECTED) === 1);
    expectNothingLeft(small);
  });

  it('its target becomes another one: what it said first stays known', () => {
    const small = startSmallEdge();
    const { edge } = small;
    putInForce(edge, [
      sniffAll,
      ofCurl({ timeoutMs: 4_000 }),
      { ...rejectAll, when: { domain: ['bad.example'] } },
    ]);
    dial(edge, FORWARD_PORT).say(clientHello('bad.example'));
    const question = asked(small, 'look_up');
    retarget(small, edge.addTarget(LOOPBACK, SERVER_PORT));
    edge.tell(answered(small, question, { program: 'wget' }));
    small.until(() => edge.ended(RULE_REJECTED) === 1);
    expectNothingLeft(small);
  });

  it('its target becomes a name: that is its name from then on', () => {
    const small = startSmallEdge();
    const { edge } = small;
    putInForce(edge, [
      sniffAll,
      ofCurl({ timeoutMs: 4_000 }),
      { ...rejectAll, when: { domain: ['db.example'] } },
    ]);
    dial(edge, FORWARD_PORT).say(clientHello('said.example'));
    const question = asked(small, 'look_up');
    retarget(small, edge.addTarget('db.example', SERVER_PORT));
    edge.tell(answered(small, question, { program: 'wget' }));
    small.until(() => edge.ended(RULE_REJECTED) === 1);
    expectNothingLeft(small);
  });

  it('it is refused in words: the snapshot does not wait until they have been read', () => {
    const small = startSmallEdge();
    const { edge } = small;
    putInForce(edge, [ofCurl({ timeoutMs: 4_000 })]);
    const client = socks(small);
    const question = asked(small, 'look_up');
    edge.tables.services.setFlags(0, 0);
    edge.tell(answered(small, question));
    small.until(() => client.isOver);
    expect(edge.w.table.state(0)).toBe(SLOT_LINGERING);
    expect(pins(edge)).toBe(0);
    client.close();
    expectNothingLeft(small);
  });

  it('other rules come into force: the last word is theirs', () => {
    const { small, client, question } = startWaiting();
    const { edge } = small;
    const { id } = putInForce(edge, [rejectAll]);
    // The walk of the change does not meet it: no rule has decided yet.
    expect(edge.tables.lists[0]?.count(LIST_RULE, 0)).toBe(0);
    edge.tell(answered(small, question, { program: 'wget' }));
    small.until(() => client.isOver);
    expect(edge.ended(RULE_REJECTED)).toBe(1);
    expect(edge.w.table.snapshot(0)).toBe(id);
    expectNothingLeft(small);
  });

  it('all rules go: it goes on without', () => {
    const { small, question } = startWaiting();
    const { edge } = small;
    edge.tables.machine.setSnapshot(0, 0);
    edge.tell(answered(small, question, { program: 'curl' }));
    small.until(() => small.server.accepted.length === 1);
    expect([edge.w.table.rule(0), edge.w.table.snapshot(0)]).toEqual([0, -1]);
    edge.evict();
    expectNothingLeft(small);
  });

  it('other rules ask as well: what is known is not asked again, judgements are', () => {
    const { small, client, question } = startWaiting();
    const { edge } = small;
    putInForce(edge, [ofCurl(), judged('http://a/')]);
    edge.tell(answered(small, question, { program: 'wget' }));
    const second = asked(small, 'look_up');
    expect(second).toMatchObject({ need: NEED_EXTERNAL, snapshotRow: 1 });
    expect([edge.tables.snapshots.pins(0), edge.tables.snapshots.pins(1)]).toEqual([0, 1]);
    putInForce(edge, [ofCurl(), judged('http://b/')]);
    edge.tell(answered(small, second, { isTrue: true }));
    // The same number, of other rules: another question.
    const third = asked(small, 'look_up');
    expect(third).toMatchObject({ external: 0, snapshotRow: 2 });
    edge.tell(answered(small, second, { isTrue: true }));
    small.pass(5);
    edge.tell(answered(small, third, { isTrue: false }));
    small.until(() => small.server.accepted.length === 1);
    client.close();
    edge.evict();
    expectNothingLeft(small);
  });

  describe('ever other rules come', () => {
    /** So often that it may not wait any more. */
    function startWaitingTooLong(rule: RuleInit) {
      const small = startSmallEdge();
      const { edge } = small;
      putInForce(edge, [judged('http://0/')]);
      const client = socks(small, named('one.test'));
      for (let round = 1; round <= 3; round++) {
        const question = asked(small, 'look_up');
        putInForce(edge, [judged(`http://${round}/`)]);
        edge.tell(answered(small, question));
      }
      const last = asked(small, 'look_up');
      const { id } = putInForce(edge, [rule]);
      edge.tell(answered(small, last));
      return { small, client, id };
    }

    it.each<[what: string, rule: RuleInit, reason: number]>([
      ['rejects it', rejectAll, RULE_REJECTED],
      ['would ask', judged('http://last/', { onTimeout: ON_TIMEOUT_REJECT }), LOOK_UP_TIMEOUT],
      ['would look at its first bytes', { ...sniffAll, onTimeout: ON_TIMEOUT_REJECT }, LOOK_UP_TIMEOUT],
      ['would ask for the name', { ...resolveAll, onTimeout: ON_TIMEOUT_REJECT }, LOOK_UP_TIMEOUT],
      ['would ask for the name, and go on without', resolveAll, NAME_FAILED],
    ])('the last one judges it without waiting, which %s', (_, rule, reason) => {
      const { small, client, id } = startWaitingTooLong(rule);
      const { edge } = small;
      edge.tables.machine.setReceipts(0, 1);
      edge.tables.machine.setReceiptsShare(0, 2 ** 20);
      small.until(() => client.isOver);
      client.close();
      expectNothingLeft(small);
      expect(edge.ended(reason)).toBe(1);
      expect(edge.tables.receipts[0]?.snapshot(0)).toBe(id);
      expect(edge.posted.filter(({ kind }) => kind === 'resolve' || kind === 'look_up')).toEqual([]);
      expect(small.server.accepted).toEqual([]);
    });

    it('it goes on where the last one would ask, and passes by who can`t be asked', () => {
      const { small } = startWaitingTooLong(judged('http://last/'));
      const question = asked(small, 'resolve');
      expect(question.forRules).toBe(false);
      small.edge.tell({ ...question, kind: 'resolved', addresses: words(LOOPBACK), reason: 0 });
      small.until(() => small.server.accepted.length === 1);
      expect(small.edge.posted.filter(({ kind }) => kind === 'look_up')).toEqual([]);
      small.edge.evict();
      expectNothingLeft(small);
    });
  });
});

describe('what was asked before', () => {
  it('a name of the target that it had then is not taken for the one that it has', () => {
    const small = startSmallEdge();
    const { edge } = small;
    const old = edge.addTarget('old.example.com', SERVER_PORT);
    const next = edge.addTarget('new.example.com', SERVER_PORT);
    const forward = (target: number) =>
      edge.plan(small.inbounds.map((inbound, index) => (index === 0 ? { ...inbound, target } : inbound)));
    forward(old);
    edge.turn();
    putInForce(edge, [{ ...resolveAll, timeoutMs: 100 }]);
    dial(edge, FORWARD_PORT);
    const first = asked(small, 'resolve');
    expect(first.name).toBe('old.example.com');
    forward(next);
    edge.tables.targets.setGeneration(old, 3);
    const second = asked(small, 'resolve');
    expect(second.name).toBe('new.example.com');
    edge.tell({ ...first, kind: 'resolved', addresses: words(LOOPBACK), reason: 0 });
    small.pass(20);
    expect(small.server.accepted).toEqual([]);
    edge.tell({ ...second, kind: 'resolved', addresses: words(LOOPBACK), reason: 0 });
    small.until(() => small.server.accepted.length === 1);
    edge.evict();
    expectNothingLeft(small);
  });

  it('a judgement of the target that it had then is none of the one that it has', () => {
    const small = startSmallEdge();
    const { edge } = small;
    putInForce(edge, [judged('http://a/', { timeoutMs: 4_000 })]);
    dial(edge, FORWARD_PORT);
    const first = asked(small, 'look_up');
    retarget(small, edge.addTarget(LOOPBACK, SERVER_PORT));
    edge.tell(answered(small, first, { isTrue: false }));
    const second = asked(small, 'look_up');
    edge.tell(answered(small, first, { isTrue: false }));
    small.pass(20);
    expect(small.server.accepted).toEqual([]);
    edge.tell(answered(small, second, { isTrue: true }));
    small.until(() => edge.ended(RULE_REJECTED) === 1);
    expectNothingLeft(small);
  });

  it('of a snapshot in whose row another one stands by now: it is another question', () => {
    const small = startSmallEdge();
    const { edge } = small;
    const { snapshots } = edge.tables;
    putInForce(edge, [judged('http://old/', { timeoutMs: 50 })]);
    socks(small);
    const first = asked(small, 'look_up');
    putInForce(edge, [judged('http://between/', { timeoutMs: 50 })]);
    asked(small, 'look_up');
    expect(snapshots.pins(0)).toBe(0);
    const { row, id } = buildRow(edge, [judged('http://new/', { timeoutMs: 4_000 })]);
    snapshots.setAt(0, snapshots.at(row));
    snapshots.setId(0, id);
    edge.tables.machine.setSnapshot(0, 1);
    const last = asked(small, 'look_up');
    expect(last).toMatchObject({ external: first.external, snapshotRow: first.snapshotRow });
    edge.tell(answered(small, first, { isTrue: false }));
    small.pass(20);
    expect(small.server.accepted).toEqual([]);
    edge.tell(answered(small, last, { isTrue: true }));
    small.until(() => edge.ended(RULE_REJECTED) === 1);
    edge.evict();
    expectNothingLeft(small);
  });
});
