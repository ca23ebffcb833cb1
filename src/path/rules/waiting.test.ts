// Connections that wait in their rules: for a look-up, for the client's first bytes, for a name. What comes, what comes to
// nothing, what comes too late. (What happens to them meanwhile: meanwhile.test.ts.)

import { describe, expect, it } from 'vitest';
import { dial } from '../../../test/exactness/actors.ts';
import { clientHello, dnsQuery } from '../../../test/exactness/first-bytes.ts';
import {
  answered,
  asked,
  expectNothingLeft,
  named,
  socks,
  words,
} from '../../../test/exactness/questions.ts';
import { network, pins, putInForce, route, TIMEOUT_MS } from '../../../test/exactness/rules.ts';
import type { RuleInit } from '../../../test/exactness/rules.ts';
import { directOutbound, LOOPBACK } from '../../../test/exactness/simulated-edge.ts';
import { FORWARD_PORT, HTTP_PORT, SERVER_PORT, startSmallEdge } from '../../../test/exactness/small-edge.ts';
import { WAITS_FOR_SNIFF } from '../../layout/facts.ts';
import { ONLY_IPV6 } from '../../layout/messages.ts';
import {
  CONNECT_UNREACHABLE,
  LOOK_UP_TIMEOUT,
  NAME_FAILED,
  RULE_REJECTED,
  TARGET_FORBIDDEN,
} from '../../layout/reasons.ts';
import {
  NEED_EXTERNAL,
  NEED_PROCESS,
  ON_TIMEOUT_ALLOW,
  ON_TIMEOUT_REJECT,
  ON_TIMEOUT_SKIP,
  PROTOCOL_DNS,
  PROTOCOL_HTTP,
  PROTOCOL_SSH,
  PROTOCOL_TLS,
  REJECT_REPLY,
  REJECT_RESET,
} from '../../layout/rules.ts';
import { SLOT_WAITING } from '../../layout/slot.ts';
import { MAPPED_WORD } from '../../sys/socket-address.ts';

const SOCKS_OK = '\x05\x00';
const SOCKS_OPEN = `${SOCKS_OK}\x05\x00\x00\x01\0\0\0\0\0\0`;
const rejectAll: RuleInit = { action: { kind: 'reject', method: REJECT_REPLY } };
const sniffAll: RuleInit = { action: { kind: 'sniff', protocols: [] } };
const resolveAll: RuleInit = { action: { kind: 'resolve' } };
const ofCurl = (rest: Partial<RuleInit> = {}): RuleInit => ({
  when: { processName: ['curl'] },
  action: { kind: 'reject', method: REJECT_REPLY },
  ...rest,
});
const judged = (url: string, rest: Partial<RuleInit> = {}): RuleInit => ({
  when: { external: { url } },
  action: { kind: 'reject', method: REJECT_REPLY },
  ...rest,
});

describe('a look-up', () => {
  it.each([
    ['curl', 2],
    ['wget', 0],
  ])('of the program %s decides', (program, reply) => {
    const small = startSmallEdge();
    putInForce(small.edge, [ofCurl()]);
    const client = socks(small);
    const question = asked(small, 'look_up');
    expect(question).toMatchObject({ need: NEED_PROCESS, snapshotRow: 0 });
    expect(small.edge.w.table.state(0)).toBe(SLOT_WAITING);
    expect(pins(small.edge)).toBe(1);
    small.edge.tell(answered(small, question, { program }));
    small.until(() => client.heardBytes >= 12);
    expect(client.text.charCodeAt(3)).toBe(reply);
    expect(pins(small.edge)).toBe(0);
    client.close();
    small.edge.evict();
    expectNothingLeft(small);
  });

  it('is not made where nothing depends on it', () => {
    const small = startSmallEdge();
    putInForce(small.edge, [
      { when: { processName: ['curl'], port: [{ from: 1, to: 9 }] }, action: route() },
      { when: { port: [{ from: SERVER_PORT, to: SERVER_PORT }] }, action: route() },
      ofCurl(),
    ]);
    small.relayed();
    expect(small.edge.posted.filter(({ kind }) => kind === 'look_up')).toEqual([]);
  });

  it('is made once, whatever it comes to, and each rule has its own way to do without', () => {
    const small = startSmallEdge();
    putInForce(small.edge, [ofCurl(), ofCurl(), ofCurl({ onTimeout: ON_TIMEOUT_REJECT })]);
    const client = socks(small);
    small.edge.tell(answered(small, asked(small, 'look_up'), { found: false }));
    small.until(() => client.heardBytes >= 12);
    expect(client.text.charCodeAt(3)).toBe(1);
    client.close();
    small.until(() => small.edge.ended(LOOK_UP_TIMEOUT) === 1);
    expect(small.edge.posted.filter(({ kind }) => kind === 'look_up')).toEqual([]);
    expectNothingLeft(small);
  });

  it.each([
    ['skipped', ON_TIMEOUT_SKIP, RULE_REJECTED, 2],
    ['refused', ON_TIMEOUT_REJECT, LOOK_UP_TIMEOUT, 1],
    ['allowed', ON_TIMEOUT_ALLOW, 0, 1],
  ])('that comes too late is %s', (_, onTimeout, reason, key) => {
    const small = startSmallEdge();
    const { edge } = small;
    edge.tables.machine.setReceipts(0, 1);
    edge.tables.machine.setReceiptsShare(0, 2 ** 20);
    putInForce(edge, [ofCurl({ onTimeout, timeoutMs: 700 }), rejectAll]);
    const client = socks(small);
    const question = asked(small, 'look_up');
    const startMs = edge.network.nowMs();
    small.until(() => client.heardBytes >= 12);
    expect(edge.network.nowMs() - startMs).toBeGreaterThanOrEqual(698);
    expect(edge.network.nowMs() - startMs).toBeLessThan(750);
    edge.tell(answered(small, question, { program: 'curl' }));
    small.pass(10);
    client.close();
    if (reason === 0) edge.evict();
    expectNothingLeft(small);
    expect(edge.ended(reason)).toBe(reason === 0 ? 0 : 1);
    expect(small.server.accepted.length).toBe(reason === 0 ? 1 : 0);
    expect(edge.tables.receipts[0]?.rule(0)).toBe(key);
  });

  it('of a judgement counts for that judgement only', () => {
    const small = startSmallEdge();
    putInForce(small.edge, [judged('http://a/'), judged('http://b/'), judged('http://a/')]);
    const client = socks(small);
    const first = asked(small, 'look_up');
    expect(first).toMatchObject({ need: NEED_EXTERNAL, external: 0 });
    small.edge.tell(answered(small, first, { isTrue: false }));
    const second = asked(small, 'look_up');
    expect(second).toMatchObject({ external: 1 });
    // Said once more: not what it waits for.
    small.edge.tell(answered(small, first, { isTrue: true }));
    small.pass(5);
    expect(small.edge.w.table.state(0)).toBe(SLOT_WAITING);
    small.edge.tell(answered(small, second, { isTrue: true }));
    small.until(() => client.isOver);
    expect(client.text.charCodeAt(3)).toBe(2);
    client.close();
    expectNothingLeft(small);
    expect(small.edge.posted.filter(({ kind }) => kind === 'look_up')).toEqual([]);
  });
});

describe('sniffing', () => {
  const seen = (protocol: number): RuleInit => ({
    when: { protocol: [protocol] },
    action: { kind: 'reject', method: REJECT_RESET },
    key: 10 + protocol,
  });
  const all = [PROTOCOL_TLS, PROTOCOL_HTTP, PROTOCOL_SSH, PROTOCOL_DNS];

  it.each([
    ['tls', clientHello('a.example'), PROTOCOL_TLS],
    ['http', Buffer.from('GET / HTTP/1.1\r\nHost: a.example\r\n'), PROTOCOL_HTTP],
    ['ssh', Buffer.from('SSH-2.0-x\r\n'), PROTOCOL_SSH],
    ['dns', dnsQuery('a.example'), PROTOCOL_DNS],
  ])('finds %s, however it comes', (_, bytes, protocol) => {
    const small = startSmallEdge();
    const { edge } = small;
    edge.tables.machine.setReceipts(0, 1);
    edge.tables.machine.setReceiptsShare(0, 2 ** 20);
    putInForce(edge, [{ ...sniffAll, timeoutMs: 4_000 }, ...all.map(seen)]);
    const atOnce = dial(edge, FORWARD_PORT).say(bytes);
    const slowly = dial(edge, FORWARD_PORT);
    for (const byte of bytes) {
      slowly.say([byte]);
      small.pass(1);
    }
    small.until(() => atOnce.isOver && slowly.isOver);
    expect(edge.ended(RULE_REJECTED)).toBe(2);
    expect([0, 1].map((at) => edge.tables.receipts[0]?.rule(at))).toEqual([10 + protocol, 10 + protocol]);
    expectNothingLeft(small);
  });

  it('leaves every byte for the server, and knows the name that was said', () => {
    const small = startSmallEdge();
    putInForce(small.edge, [
      sniffAll,
      { when: { domain: ['a.example'] }, action: route(), key: 7 },
      rejectAll,
    ]);
    const hello = clientHello('a.example');
    const client = socks(small).say(hello);
    small.until(() => small.server.accepted.length === 1);
    small.until(() => small.server.last().heardBytes === hello.length);
    expect(small.edge.w.table.rule(0)).toBe(7);
    // The client was answered before, and once.
    small.server.last().say('hi');
    small.until(() => client.text.endsWith('hi'));
    expect(client.text).toBe(`${SOCKS_OPEN}hi`);
    small.edge.evict();
    expectNothingLeft(small);
  });

  it('keeps the name that a client asked for', () => {
    const small = startSmallEdge();
    putInForce(small.edge, [
      sniffAll,
      { when: { domain: ['asked.example'], protocol: [PROTOCOL_TLS] }, action: route(), key: 7 },
      rejectAll,
    ]);
    socks(small, named('asked.example')).say(clientHello('said.example'));
    asked(small, 'resolve');
    expect(small.edge.w.table.rule(0)).toBe(7);
    small.edge.evict();
    expectNothingLeft(small);
  });

  it('cannot say no any more in words to a client that was told yes', () => {
    const small = startSmallEdge();
    putInForce(small.edge, [sniffAll, rejectAll]);
    const overSocks = socks(small).say('GET / HTTP/1.1\r\n\r\n');
    const overHttp = dial(small.edge, HTTP_PORT).say(`CONNECT 127.0.0.1:9 HTTP/1.1\r\nHost: x\r\n\r\n`);
    small.until(() => overHttp.heardBytes > 0);
    overHttp.say(clientHello('x.example'));
    small.until(() => overSocks.isOver && overHttp.isOver);
    expect(overSocks).toMatchObject({ text: SOCKS_OPEN, sawReset: true });
    expect(overHttp.text).toMatch(/^HTTP\/1\.1 200 [^\r]*\r\n\r\n$/);
    expect(overHttp.sawReset).toBe(true);
    expectNothingLeft(small);
  });

  it.each([
    ['skips', ON_TIMEOUT_SKIP, 0],
    ['refuses', ON_TIMEOUT_REJECT, LOOK_UP_TIMEOUT],
    ['allows', ON_TIMEOUT_ALLOW, 0],
  ])('%s where the server speaks first', (_, onTimeout, reason) => {
    const small = startSmallEdge();
    const { edge } = small;
    const startMs = edge.network.nowMs();
    putInForce(edge, [
      { ...sniffAll, onTimeout },
      { ...sniffAll, onTimeout },
      ...(onTimeout === ON_TIMEOUT_ALLOW ? [rejectAll] : []),
    ]);
    const client = dial(edge, FORWARD_PORT);
    if (reason === 0) {
      small.until(() => small.server.accepted.length === 1);
      small.server.last().say('220 ready');
      small.until(() => client.text === '220 ready');
      // It has waited once, not for each rule.
      expect(edge.network.nowMs() - startMs).toBeLessThan(TIMEOUT_MS + 50);
    } else {
      small.until(() => edge.ended(reason) === 1);
    }
    expect(edge.network.nowMs() - startMs).toBeGreaterThanOrEqual(TIMEOUT_MS - 2);
    edge.evict();
    expectNothingLeft(small);
  });

  it('does not wait for what can be none of them, nor after a FIN', () => {
    const small = startSmallEdge();
    const { edge } = small;
    putInForce(edge, [sniffAll]);
    const startMs = edge.network.nowMs();
    dial(edge, FORWARD_PORT).say('hello\r\n');
    dial(edge, FORWARD_PORT).fin();
    dial(edge, FORWARD_PORT).say('GET /').fin();
    small.until(() => small.server.accepted.length === 3);
    expect(edge.network.nowMs() - startMs).toBeLessThan(50);
    edge.evict();
    expectNothingLeft(small);
  });

  it('is not done where the inbound knows', () => {
    const small = startSmallEdge();
    putInForce(small.edge, [{ ...sniffAll, onTimeout: ON_TIMEOUT_REJECT }, seen(PROTOCOL_TLS)]);
    dial(small.edge, HTTP_PORT).say(`GET http://127.0.0.1:${SERVER_PORT}/ HTTP/1.1\r\nHost: x\r\n\r\n`);
    small.until(() => small.server.accepted.length === 1);
    expect(small.edge.w.facts.sniffed(0)).toBe(0);
  });

  it('waits in the snapshot that asked, and ends with a reset of the client', () => {
    const small = startSmallEdge();
    putInForce(small.edge, [sniffAll]);
    const client = dial(small.edge, FORWARD_PORT).say('GET');
    small.until(() => small.edge.w.facts.waitsFor(0) === WAITS_FOR_SNIFF);
    expect(pins(small.edge)).toBe(1);
    client.reset();
    expectNothingLeft(small);
  });
});

describe('resolving', () => {
  const toLoopback: RuleInit = { when: { ipCidr: [network('127.0.0.0', 104)] }, action: route(), key: 5 };

  it('lets rules see the addresses, and is not done again for the dialling', () => {
    const small = startSmallEdge();
    const { edge } = small;
    putInForce(edge, [toLoopback, resolveAll, toLoopback, rejectAll]);
    socks(small, named('one.test'));
    const question = asked(small, 'resolve');
    expect(question).toMatchObject({ name: 'one.test', forRules: true });
    expect(pins(edge)).toBe(1);
    edge.tell({ ...question, kind: 'resolved', addresses: words(0xcb007101 | 0, LOOPBACK), reason: 0 });
    small.until(() => small.server.accepted.length === 1);
    expect(edge.w.table.rule(0)).toBe(5);
    expect(edge.posted.filter(({ kind }) => kind === 'resolve')).toEqual([]);
    edge.evict();
    expectNothingLeft(small);
  });

  it('does nothing for an address', () => {
    const small = startSmallEdge();
    putInForce(small.edge, [resolveAll]);
    small.relayed();
    expect(small.edge.posted).toEqual([]);
  });

  it.each([
    ['skips', ON_TIMEOUT_SKIP],
    ['refuses', ON_TIMEOUT_REJECT],
    ['allows', ON_TIMEOUT_ALLOW],
  ])('%s a name that nobody knows, or nobody says in time', (_, onTimeout) => {
    for (const isLate of [false, true]) {
      const small = startSmallEdge();
      const { edge } = small;
      putInForce(edge, [
        { ...resolveAll, onTimeout },
        ...(onTimeout === ON_TIMEOUT_ALLOW ? [rejectAll] : []),
      ]);
      const client = socks(small, named('one.test'));
      const question = asked(small, 'resolve');
      const late = { ...question, kind: 'resolved', addresses: words(0x0a000001), reason: 0 } as const;
      if (!isLate) edge.tell({ ...late, addresses: words(), reason: 1 });
      small.until(() => client.isOver);
      if (isLate) edge.tell(late);
      client.close();
      // Nobody asks again: what was not known to the rules must not be dialled behind them.
      expect(edge.posted.filter(({ kind }) => kind === 'resolve')).toEqual([]);
      expect(small.server.accepted).toEqual([]);
      expect(client.text.charCodeAt(3)).toBe(onTimeout === ON_TIMEOUT_REJECT ? 1 : 4);
      expectNothingLeft(small);
      expect(edge.ended(onTimeout === ON_TIMEOUT_REJECT ? LOOK_UP_TIMEOUT : NAME_FAILED)).toBe(1);
    }
  });

  it('in vain, of a name that is then overridden, keeps it from nothing', () => {
    const small = startSmallEdge();
    const { edge } = small;
    putInForce(edge, [
      resolveAll,
      { action: route(undefined, { overrideAddress: { name: 'inside.test' } }) },
    ]);
    socks(small, named('one.test'));
    edge.tell({ ...asked(small, 'resolve'), kind: 'resolved', addresses: words(), reason: 1 });
    const question = asked(small, 'resolve');
    expect(question).toMatchObject({ name: 'inside.test', forRules: false });
    edge.tell({ ...question, kind: 'resolved', addresses: words(LOOPBACK), reason: 0 });
    small.until(() => small.server.accepted.length === 1);
    edge.evict();
    expectNothingLeft(small);
  });

  it('leaves to the dialling what the policy forbids, and what the outbound does not use', () => {
    for (const [outbound, reason] of [
      [directOutbound({ allowDestinations: null }), TARGET_FORBIDDEN],
      [directOutbound({ ipVersion: ONLY_IPV6 }), CONNECT_UNREACHABLE],
    ] as const) {
      const small = startSmallEdge({ settings: { outbounds: [outbound] } });
      const { edge } = small;
      putInForce(edge, [resolveAll]);
      const client = socks(small, named('one.test'));
      const question = asked(small, 'resolve');
      edge.tell({ ...question, kind: 'resolved', addresses: words(LOOPBACK), reason: 0 });
      small.until(() => client.isOver);
      client.close();
      expectNothingLeft(small);
      expect(edge.ended(reason)).toBe(1);
    }
  });

  it('knows the first address where no block is free', () => {
    const small = startSmallEdge({ bounds: { candidates: 0 } });
    const { edge } = small;
    putInForce(edge, [resolveAll, toLoopback, rejectAll]);
    socks(small, named('one.test'));
    const question = asked(small, 'resolve');
    edge.tell({ ...question, kind: 'resolved', addresses: words(LOOPBACK, 0x0a000001), reason: 0 });
    small.until(() => small.server.accepted.length === 1);
    edge.evict();
    expectNothingLeft(small);
  });

  it('of a name that is then overridden leaves nothing behind', () => {
    const small = startSmallEdge();
    const { edge } = small;
    const override = { words: [0, 0, MAPPED_WORD, LOOPBACK] as const };
    putInForce(edge, [resolveAll, { action: route(undefined, { overrideAddress: override }) }]);
    const client = socks(small, named('one.test'));
    const question = asked(small, 'resolve');
    edge.tell({ ...question, kind: 'resolved', addresses: words(0x0a000001, 0x0a000002), reason: 0 });
    small.until(() => small.server.accepted.length === 1);
    expect(edge.w.candidates.take()).toBeGreaterThanOrEqual(0);
    edge.w.candidates.release(0);
    client.reset();
    small.until(() => edge.w.slots.live === 0);
  });
});
