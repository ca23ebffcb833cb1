// Connections judged again by other rules: whom they would reject, whom they would treat otherwise, who stays and where it
// stands then, and of whom nobody can say.

import { describe, expect, it } from 'vitest';
import { dial } from '../../../test/exactness/actors.ts';
import { clientHello } from '../../../test/exactness/first-bytes.ts';
import { buildRow, network, putInForce, route } from '../../../test/exactness/rules.ts';
import type { RuleInit } from '../../../test/exactness/rules.ts';
import { directOutbound, LOOPBACK } from '../../../test/exactness/simulated-edge.ts';
import {
  FORWARD_PORT,
  SERVER_PORT,
  SOCKS_GREETING,
  SOCKS_PORT,
  socksRequest,
  startSmallEdge,
} from '../../../test/exactness/small-edge.ts';
import type { SmallEdge } from '../../../test/exactness/small-edge.ts';
import { LIST_RULE } from '../../layout/lists.ts';
import { EVICT_COUNT, EVICT_END, REJUDGE_ALL, REJUDGE_REJECT } from '../../layout/messages.ts';
import type { EvictionJob, WorkerMessage } from '../../layout/messages.ts';
import { RULE_CHANGED, RULE_REJECTED } from '../../layout/reasons.ts';
import { ON_TIMEOUT_REJECT, PROTOCOL_TLS, REJECT_RESET, RULE_KEY_FINAL } from '../../layout/rules.ts';
import { MAPPED_WORD } from '../../sys/socket-address.ts';

const rejectAll: RuleInit = { action: { kind: 'reject', method: REJECT_RESET } };
const reject = (when: RuleInit['when']): RuleInit => ({ when: when ?? {}, action: rejectAll.action });
const allow: RuleInit = { action: route(), key: 3 };
const sniffAll: RuleInit = { action: { kind: 'sniff', protocols: [] } };
const resolveAll: RuleInit = { action: { kind: 'resolve' } };

type Evicted = Extract<WorkerMessage, { kind: 'evicted' }>;

/** Judges the connections of the rules with these keys again. */
function rejudge(small: SmallEdge, row: number, job: Partial<EvictionJob> = {}): Evicted {
  const { edge, until } = small;
  const id = edge.evict({
    action: EVICT_END,
    list: LIST_RULE,
    keys: Int32Array.of(RULE_KEY_FINAL, 1, 2, 3, 4, 5),
    rejudge: REJUDGE_REJECT,
    snapshotRow: row,
    ...job,
  });
  const isAnswer = (message: WorkerMessage): message is Evicted =>
    message.kind === 'evicted' && message.id === id && message.isDone;
  until(() => edge.posted.some(isAnswer));
  return edge.posted.find(isAnswer) as Evicted;
}

/** A client that asked for a name, which the control thread has said. */
function byName(small: SmallEdge, name: string): void {
  const { edge, until, server } = small;
  const known = server.accepted.length;
  dial(edge, SOCKS_PORT)
    .say(SOCKS_GREETING)
    .say(socksRequest(SERVER_PORT, [3, name.length, ...Buffer.from(name)]));
  until(() => edge.posted.some(({ kind }) => kind === 'resolve'));
  const question = edge.posted.splice(
    edge.posted.findIndex(({ kind }) => kind === 'resolve'),
    1,
  )[0];
  if (question?.kind !== 'resolve') throw new Error('no name was asked');
  const addresses = Int32Array.of(0, 0, MAPPED_WORD, LOOPBACK);
  edge.tell({ ...question, kind: 'resolved', addresses, reason: 0 });
  until(() => server.accepted.length > known);
}

describe('connections judged again', () => {
  it('end where they would be rejected now; the others stand under the rule that lets them', () => {
    const small = startSmallEdge();
    const { edge } = small;
    putInForce(edge, [allow]);
    small.relayed();
    byName(small, 'a.example');
    byName(small, 'b.example');
    const { row, id } = putInForce(edge, [reject({ domain: ['a.example'] }), { ...allow, key: 4 }]);
    expect(rejudge(small, row)).toMatchObject({ matched: 1, closed: 1, undecided: 0 });
    expect(edge.ended(RULE_REJECTED)).toBe(1);
    const counts = [3, 4].map((key) => edge.tables.lists[0]?.count(LIST_RULE, key));
    expect(counts).toEqual([0, 2]);
    expect([edge.w.table.rule(0), edge.w.table.snapshot(0)]).toEqual([4, id]);
    edge.evict();
    small.until(() => edge.w.slots.live === 0);
    edge.turn();
    expect(edge.leaks()).toEqual([]);
  });

  it('name in their receipts what ended them, and no number that nobody gave', () => {
    const other = directOutbound({ index: 1 });
    const small = startSmallEdge({ settings: { outbounds: [directOutbound(), other] } });
    const { edge } = small;
    edge.tables.machine.setReceipts(0, 1);
    edge.tables.machine.setReceiptsShare(0, 2 ** 20);
    putInForce(edge, [allow]);
    small.relayed();
    byName(small, 'a.example');
    byName(small, 'b.example');
    const rules = [
      { ...reject({ domain: ['a.example'] }), key: 5 },
      { ...allow, when: { domain: ['b.example'] }, action: route('other'), key: 4 },
      allow,
    ];
    const { row, id } = putInForce(edge, rules);
    rejudge(small, row, { rejudge: REJUDGE_ALL, action: EVICT_COUNT });
    expect([0, 1, 2].map((slot) => edge.w.table.rule(slot))).toEqual([3, 3, 3]);
    expect(rejudge(small, row, { rejudge: REJUDGE_ALL })).toMatchObject({ closed: 2 });
    const receipts = edge.tables.receipts[0];
    const ends = [0, 1].map((at) => [
      receipts?.reason(at),
      receipts?.rule(at),
      receipts?.snapshot(at),
      receipts?.eviction(at),
    ]);
    expect(ends).toContainEqual([RULE_REJECTED, 5, id, 0]);
    expect(ends).toContainEqual([RULE_CHANGED, 4, id, 0]);
    expect([3, 4, 5].map((key) => edge.tables.lists[0]?.count(LIST_RULE, key))).toEqual([1, 0, 0]);
    edge.evict();
    small.until(() => edge.w.slots.live === 0);
    expect(edge.leaks()).toEqual([]);
  });

  it('are only counted in a dry run, and named', () => {
    const small = startSmallEdge();
    const { edge } = small;
    putInForce(edge, [allow]);
    small.relayed();
    byName(small, 'a.example');
    const { row } = buildRow(edge, [reject({ domain: ['a.example'] }), { ...allow, key: 4 }]);
    const answer = rejudge(small, row, { action: EVICT_COUNT });
    expect(answer).toMatchObject({ matched: 1, closed: 0 });
    expect([...answer.sample]).toEqual([1, edge.w.table.generation(1)]);
    expect(edge.w.slots.live).toBe(2);
    expect(edge.w.table.rule(0)).toBe(3);
    expect(edge.tables.lists[0]?.count(LIST_RULE, 3)).toBe(2);
  });

  it('stay where all rules have gone', () => {
    const small = startSmallEdge();
    const { edge } = small;
    putInForce(edge, [allow]);
    small.relayed();
    edge.tables.machine.setSnapshot(0, 0);
    expect(rejudge(small, -1, { rejudge: REJUDGE_ALL })).toMatchObject({ matched: 0 });
    expect([edge.w.table.rule(0), edge.w.table.snapshot(0)]).toEqual([RULE_KEY_FINAL, -1]);
  });

  it('end at a limited rate, and none is passed over', () => {
    const small = startSmallEdge();
    const { edge } = small;
    putInForce(edge, [allow]);
    for (let i = 0; i < 4; i++) {
      small.relayed();
      byName(small, 'a.example');
    }
    const { row } = putInForce(edge, [reject({ domain: ['a.example'] }), { ...allow, key: 4 }]);
    expect(rejudge(small, row, { ratePerSecond: 20 })).toMatchObject({ matched: 4, closed: 4 });
    expect(edge.tables.lists[0]?.count(LIST_RULE, 4)).toBe(4);
  });

  it('end where they would go elsewhere, if all is asked for', () => {
    const other = directOutbound({ index: 1 });
    const small = startSmallEdge({ settings: { outbounds: [directOutbound(), other] } });
    const { edge } = small;
    const address = { words: [0, 0, MAPPED_WORD, LOOPBACK] as const };
    const toOther: RuleInit = { ...allow, action: route('other') };
    const overridden: RuleInit = { ...allow, action: route('direct', { overrideAddress: address }) };
    const overriddenPort: RuleInit = { ...allow, action: route('direct', { overridePort: SERVER_PORT }) };
    const first = putInForce(edge, [{ ...allow, action: route('direct') }]);
    small.relayed();
    for (const rules of [[toOther], [overridden], [overriddenPort]]) {
      const { row } = buildRow(edge, rules);
      expect(rejudge(small, row), 'only rejections').toMatchObject({ matched: 0 });
      expect(rejudge(small, row, { rejudge: REJUDGE_ALL, action: EVICT_COUNT })).toMatchObject({
        matched: 1,
      });
    }
    expect(rejudge(small, first.row, { rejudge: REJUDGE_ALL })).toMatchObject({ matched: 0 });
    expect(rejudge(small, -1, { rejudge: REJUDGE_ALL })).toMatchObject({ matched: 0 });
    // Those that an override has led, by the same one or none.
    const { row } = putInForce(edge, [overridden]);
    small.relayed();
    const same = buildRow(edge, [overridden]);
    expect(rejudge(small, same.row, { rejudge: REJUDGE_ALL, slot: 1, generation: 1 })).toMatchObject({
      matched: 0,
    });
    expect(rejudge(small, first.row, { rejudge: REJUDGE_ALL, slot: 1, generation: 1 })).toMatchObject({
      matched: 1,
    });
    expect(edge.ended(RULE_CHANGED)).toBe(1);
    expect(row).toBeGreaterThan(0);
  });

  it('are judged by what the client asked for, not by what an override made of it', () => {
    const small = startSmallEdge();
    const { edge } = small;
    const overrideAddress = { words: [0, 0, MAPPED_WORD, LOOPBACK] as const };
    putInForce(edge, [
      { ...allow, action: route(undefined, { overrideAddress, overridePort: SERVER_PORT }) },
    ]);
    dial(edge, SOCKS_PORT)
      .say(SOCKS_GREETING)
      .say(socksRequest(7, [1, 192, 0, 2, 9]));
    small.until(() => small.server.accepted.length === 1);
    const byDialled = buildRow(edge, [reject({ ipCidr: [network('127.0.0.1')] })]);
    const byPort = buildRow(edge, [reject({ port: [{ from: SERVER_PORT, to: SERVER_PORT }] })]);
    const byChosen = buildRow(edge, [reject({ ipCidr: [network('192.0.2.9')], port: [{ from: 7, to: 7 }] })]);
    const count = (row: number) => rejudge(small, row, { action: EVICT_COUNT }).matched;
    expect([byDialled, byPort, byChosen].map(({ row }) => count(row))).toEqual([0, 0, 1]);
  });

  it('have the addresses of their names where a rule has them resolved', () => {
    const small = startSmallEdge();
    const { edge } = small;
    byName(small, 'a.example');
    const toLoopback = reject({ ipCidr: [network('127.0.0.1')] });
    const count = (rules: RuleInit[]) =>
      rejudge(small, buildRow(edge, rules).row, { action: EVICT_COUNT }).matched;
    expect(count([toLoopback])).toBe(0);
    expect(count([resolveAll, toLoopback])).toBe(1);
  });

  it('keep what was found in their first bytes; what nobody looked for is not there', () => {
    const small = startSmallEdge();
    const { edge } = small;
    putInForce(edge, [sniffAll]);
    dial(edge, FORWARD_PORT).say(clientHello('a.example'));
    small.until(() => small.server.accepted.length === 1);
    edge.tables.machine.setSnapshot(0, 0);
    dial(edge, FORWARD_PORT).say(clientHello('a.example'));
    small.until(() => small.server.accepted.length === 2);
    const rules = [sniffAll, reject({ protocol: [PROTOCOL_TLS], domain: ['a.example'] })];
    expect(rejudge(small, buildRow(edge, rules).row)).toMatchObject({ matched: 1, undecided: 0 });
    expect(edge.w.table.generation(0) & 1).toBe(0);
    // Nobody is refused for what it was never asked.
    const strict = [{ ...sniffAll, onTimeout: ON_TIMEOUT_REJECT }, rejectAll];
    expect(rejudge(small, buildRow(edge, strict).row)).toMatchObject({ matched: 0, undecided: 1 });
  });

  it('stay undecided where somebody would have to be asked', () => {
    const small = startSmallEdge();
    const { edge } = small;
    putInForce(edge, [allow]);
    small.relayed();
    const { row } = putInForce(edge, [reject({ processName: ['curl'] }), { ...allow, key: 4 }]);
    expect(rejudge(small, row)).toMatchObject({ matched: 0, undecided: 1 });
    expect(edge.w.table.rule(0)).toBe(3);
    expect(rejudge(small, buildRow(edge, [reject({ external: { url: 'http://a/' } })]).row)).toMatchObject({
      undecided: 1,
    });
  });

  it('are not those that wait in their rules, nor those that were refused', () => {
    const small = startSmallEdge();
    const { edge } = small;
    putInForce(edge, [
      reject({ processName: ['curl'], port: [{ from: SERVER_PORT, to: SERVER_PORT }] }),
      rejectAll,
    ]);
    dial(edge, FORWARD_PORT);
    small.until(() => edge.posted.some(({ kind }) => kind === 'look_up'));
    const refused = dial(edge, SOCKS_PORT).say(SOCKS_GREETING).say(socksRequest(7));
    small.until(() => refused.isOver);
    const { row } = buildRow(edge, [rejectAll]);
    expect(rejudge(small, row, { list: -1 })).toMatchObject({ matched: 0, undecided: 0 });
    refused.close();
  });

  it('were as late as they were, though it is known what they speak', () => {
    const small = startSmallEdge();
    const { edge, server, until } = small;
    const skipping = { ...sniffAll, timeoutMs: 50 };
    putInForce(edge, [skipping]);
    dial(edge, FORWARD_PORT).say(clientHello('a.example').subarray(0, 40));
    until(() => server.accepted.length === 1);
    const ofTls = reject({ protocol: [PROTOCOL_TLS] });
    const strict = buildRow(edge, [{ ...skipping, onTimeout: ON_TIMEOUT_REJECT }, ofTls]);
    expect(rejudge(small, strict.row)).toMatchObject({ matched: 0, undecided: 1 });
    expect(rejudge(small, buildRow(edge, [skipping, ofTls]).row)).toMatchObject({ matched: 1 });
  });
});
