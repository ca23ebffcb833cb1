// The stage of rules on the simulated network: what each action does to a connection, in every protocol, and what rules see
// of it.

import { describe, expect, it } from 'vitest';
import { dial } from '../../../test/exactness/actors.ts';
import { clientHello } from '../../../test/exactness/first-bytes.ts';
import { network, pins, putInForce, route } from '../../../test/exactness/rules.ts';
import type { RuleInit } from '../../../test/exactness/rules.ts';
import { directOutbound, LOOPBACK } from '../../../test/exactness/simulated-edge.ts';
import {
  FORWARD_PORT,
  HTTP_PORT,
  SERVER_PORT,
  SOCKS_GREETING,
  SOCKS_PORT,
  socksRequest,
  startSmallEdge,
} from '../../../test/exactness/small-edge.ts';
import type { SmallEdge } from '../../../test/exactness/small-edge.ts';
import { LIST_INBOUND, LIST_RULE, LIST_SERVICE } from '../../layout/lists.ts';
import { INBOUND_SNI } from '../../layout/messages.ts';
import {
  hashText,
  RULE_INBOUND_KEY,
  RULE_SERVICE_KEY,
  RULE_USER_KEY,
  SERVER_NAME_KEY,
} from '../../layout/name-hash.ts';
import { EVICTED, OUTBOUND_REMOVED, RULE_REJECTED, TARGET_FORBIDDEN } from '../../layout/reasons.ts';
import {
  NETWORK_UDP,
  PROTOCOL_HTTP,
  PROTOCOL_TLS,
  REJECT_DROP,
  REJECT_FIN,
  REJECT_REPLY,
  REJECT_RESET,
  RULE_KEY_FINAL,
} from '../../layout/rules.ts';
import { SLOT_SILENT } from '../../layout/slot.ts';
import { MAPPED_WORD } from '../../sys/socket-address.ts';

const SOCKS_OK = '\x05\x00';
const SOCKS_DENIED = `${SOCKS_OK}\x05\x02\x00\x01\0\0\0\0\0\0`;
const SNI_PORT = 1_003;
/** Rejects everybody. */
const rejectAll = (method: number): RuleInit => ({ action: { kind: 'reject', method } });

function named(name: string, port = SERVER_PORT): Uint8Array {
  return socksRequest(port, [3, name.length, ...Buffer.from(name)]);
}

function socks(small: SmallEdge, request = socksRequest(SERVER_PORT)) {
  return dial(small.edge, SOCKS_PORT).say(SOCKS_GREETING).say(request);
}

function addSni(small: SmallEdge): void {
  const { edge } = small;
  const keys = edge.w.nameKeys;
  edge.tables.services.setTarget(0, 0);
  edge.tables.serverNames.set(hashText(keys, SERVER_NAME_KEY, 'www.example.com'), 0, 0);
  const sni = { type: INBOUND_SNI, listenFds: [edge.listen(SNI_PORT)], service: -1 };
  edge.plan([...small.inbounds, sni]);
  edge.turn();
}

function expectNothingLeft({ edge, until }: SmallEdge): void {
  until(() => edge.w.slots.live === 0);
  edge.turn();
  expect(edge.leaks()).toEqual([]);
  expect(pins(edge)).toBe(0);
  expect(edge.w.silent).toBe(0);
}

describe('without rules', () => {
  it('nobody has decided, and the connection stands in the list of those', () => {
    const small = startSmallEdge();
    const { edge } = small;
    small.relayed();
    const { table, lists } = edge.w;
    expect([table.rule(0), table.snapshot(0)]).toEqual([RULE_KEY_FINAL, -1]);
    expect(lists.isLinked(LIST_RULE, 0)).toBe(true);
    edge.evict({ list: LIST_RULE, keys: Int32Array.of(RULE_KEY_FINAL), rule: RULE_KEY_FINAL });
    small.until(() => edge.ended(EVICTED) === 1);
    expectNothingLeft(small);
  });

  it('knows the name that a client asked for all the same', () => {
    const small = startSmallEdge();
    socks(small, named('a.Example.COM'));
    small.until(() => small.edge.posted.some(({ kind }) => kind === 'resolve'));
    expect(small.edge.posted.at(-1)).toMatchObject({ name: 'a.example.com', forRules: false });
    const { facts } = small.edge.w;
    expect(facts.nameBytes(0)).toBe(13);
    small.edge.evict();
    expectNothingLeft(small);
    expect(facts.nameBytes(0)).toBe(0);
  });
});

it('rules keep nobody from warming up', () => {
  const small = startSmallEdge();
  putInForce(small.edge, [rejectAll(REJECT_RESET)]);
  small.edge.w.warming = true;
  small.relayed();
  small.edge.w.warming = false;
  expect(small.edge.w.table.rule(0)).toBe(RULE_KEY_FINAL);
});

describe('a rule that rejects', () => {
  it('says so in the client`s protocol', () => {
    const small = startSmallEdge();
    addSni(small);
    putInForce(small.edge, [rejectAll(REJECT_REPLY)]);
    const overSocks = socks(small);
    const overHttp = dial(small.edge, HTTP_PORT).say('CONNECT 127.0.0.1:9 HTTP/1.1\r\nHost: x\r\n\r\n');
    const overTls = dial(small.edge, SNI_PORT).say(clientHello('www.example.com'));
    const forwarded = dial(small.edge, FORWARD_PORT);
    const all = [overSocks, overHttp, overTls, forwarded];
    small.until(() => all.every((client) => client.isOver));
    expect(overSocks.text).toBe(SOCKS_DENIED);
    expect(overHttp.text).toMatch(/^HTTP\/1\.1 403 .*rule_rejected\n$/s);
    expect([...Buffer.from(overTls.text, 'latin1')]).toEqual([21, 3, 3, 0, 2, 2, 49]);
    expect(forwarded).toMatchObject({ text: '', sawReset: true });
    for (const client of all) client.close();
    expectNothingLeft(small);
    expect(small.edge.ended(RULE_REJECTED)).toBe(4);
    expect(small.server.accepted.length).toBe(0);
  });

  it.each([
    ['reset', REJECT_RESET, { text: SOCKS_OK, sawReset: true }],
    ['fin', REJECT_FIN, { text: SOCKS_OK, sawFin: true, sawReset: false }],
  ])('by %s says nothing', (_, method, end) => {
    const small = startSmallEdge();
    putInForce(small.edge, [rejectAll(method)]);
    const client = socks(small);
    small.until(() => client.isOver);
    expect(client).toMatchObject(end);
    client.close();
    expectNothingLeft(small);
    expect(small.edge.ended(RULE_REJECTED)).toBe(1);
  });

  it('says which one it was, in receipts', () => {
    const small = startSmallEdge();
    small.edge.tables.machine.setReceipts(0, 1);
    small.edge.tables.machine.setReceiptsShare(0, 2 ** 20);
    const { id } = putInForce(small.edge, [
      { when: { port: [{ from: 1, to: 2 }] }, action: route() },
      rejectAll(REJECT_RESET),
    ]);
    socks(small);
    small.until(() => small.edge.ended(RULE_REJECTED) === 1);
    const receipts = small.edge.tables.receipts[0];
    expect([receipts?.rule(0), receipts?.snapshot(0)]).toEqual([2, id]);
  });
});

describe('a rule that drops', () => {
  function startDropping(slotsPerWorker = 128) {
    const small = startSmallEdge({ settings: { handshakeMs: 2_000 }, limits: { slotsPerWorker } });
    putInForce(small.edge, [rejectAll(REJECT_DROP)]);
    return small;
  }

  it('says nothing and reads nothing until the handshake`s deadline, then resets', () => {
    const small = startDropping();
    const { edge } = small;
    const startMs = edge.network.nowMs();
    const client = dial(edge, FORWARD_PORT);
    small.until(() => edge.w.table.state(0) === SLOT_SILENT);
    client.say('is anybody there?');
    small.pass(1_500);
    expect(client).toMatchObject({ text: '', isOver: false });
    expect(edge.w.silent).toBe(1);
    expect(edge.tables.lists[0]?.count(LIST_SERVICE, 0)).toBe(0);
    small.until(() => client.isOver);
    expect(edge.network.nowMs() - startMs).toBeGreaterThanOrEqual(1_990);
    expect(edge.network.nowMs() - startMs).toBeLessThan(2_100);
    expect(client.sawReset).toBe(true);
    expectNothingLeft(small);
    expect(edge.ended(RULE_REJECTED)).toBe(1);
  });

  it('lets go of whoever has gone, and of whom an operator evicts', () => {
    const small = startDropping();
    const { edge } = small;
    const clients = [dial(edge, FORWARD_PORT), dial(edge, FORWARD_PORT), dial(edge, FORWARD_PORT)];
    small.until(() => edge.w.silent === 3);
    clients[0]?.reset();
    clients[1]?.close();
    small.until(() => edge.w.silent === 1);
    edge.evict({ list: LIST_INBOUND, keys: Int32Array.of(0) });
    expectNothingLeft(small);
    expect([edge.ended(RULE_REJECTED), edge.ended(EVICTED)]).toEqual([2, 1]);
  });

  it('keeps a quarter of the slots at most: further ones are reset at once', () => {
    const small = startDropping(8);
    const { edge } = small;
    const clients = Array.from({ length: 5 }, () => dial(edge, FORWARD_PORT));
    small.until(() => edge.ended(RULE_REJECTED) === 3);
    expect(edge.w.silent).toBe(2);
    small.until(() => clients.filter((client) => client.sawReset).length === 3);
    small.until(() => clients.every((client) => client.isOver));
    expectNothingLeft(small);
  });
});

describe('a rule that routes', () => {
  const other = directOutbound({ index: 1, allowDestinations: null });

  it('takes its outbound, and nobody else does', () => {
    const small = startSmallEdge({ settings: { outbounds: [directOutbound(), other] } });
    const { edge } = small;
    const { id } = putInForce(edge, [
      { when: { port: [{ from: 1, to: 1_999 }] }, action: route('direct') },
      { when: { inbound: [] }, action: { kind: 'limit', gate: undefined, rate: undefined } },
      { when: { domain: ['elsewhere.test'] }, action: route('direct') },
      { action: route('other') },
    ]);
    small.relayed();
    const { table } = edge.w;
    expect([table.outbound(0), table.rule(0), table.snapshot(0)]).toEqual([1, 4, id]);
    expect(edge.tables.lists[0]?.count(LIST_RULE, 4)).toBe(1);
    // Loopback is not allowed there, and the client chose it.
    const client = socks(small);
    small.until(() => client.isOver);
    client.close();
    small.until(() => edge.ended(TARGET_FORBIDDEN) === 1);
    edge.evict();
    expectNothingLeft(small);
  });

  it('goes nowhere with an outbound that has gone since', () => {
    const small = startSmallEdge({ settings: { outbounds: [directOutbound(), other] } });
    putInForce(small.edge, [{ action: route('gone') }]);
    const client = dial(small.edge, FORWARD_PORT);
    small.until(() => client.isOver);
    expect(small.edge.ended(OUTBOUND_REMOVED)).toBe(1);
    expectNothingLeft(small);
  });

  it('falls back to the service`s outbound, then to the final one', () => {
    const small = startSmallEdge({ settings: { outbounds: [directOutbound(), other], final: 1 } });
    const { edge } = small;
    putInForce(edge, [{ action: route() }]);
    small.relayed();
    edge.tables.services.setOutbound(0, 0);
    small.relayed();
    expect([edge.w.table.outbound(0), edge.w.table.outbound(1)]).toEqual([1, 0]);
  });

  it('goes to an address and a port in place of the client`s, which no policy of clients judges', () => {
    const small = startSmallEdge({ settings: { outbounds: [other], final: 1 } });
    const { edge } = small;
    putInForce(edge, [
      {
        when: { domainSuffix: [{ name: 'corp.example', isBelow: false }] },
        action: route(undefined, {
          overrideAddress: { words: [0, 0, MAPPED_WORD, LOOPBACK] },
          overridePort: SERVER_PORT,
        }),
      },
    ]);
    const client = socks(small, named('db.corp.example', 5432)).say('hello');
    small.until(() => small.server.accepted.length === 1);
    small.until(() => small.server.last().text === 'hello');
    small.server.last().say('welcome');
    small.until(() => client.text.endsWith('welcome'));
    // No name was asked.
    expect(edge.posted.filter(({ kind }) => kind === 'resolve')).toEqual([]);
    edge.evict();
    expectNothingLeft(small);
  });

  it('goes to a name in place of the target, an operator`s included', () => {
    const small = startSmallEdge({ settings: { outbounds: [other], final: 1 } });
    const { edge } = small;
    putInForce(edge, [{ action: route(undefined, { overrideAddress: { name: 'inside.test' } }) }]);
    edge.tables.targets.setAddress(0, 3, 0xc0000201 | 0);
    const client = dial(edge, FORWARD_PORT);
    small.until(() => edge.posted.some(({ kind }) => kind === 'resolve'));
    const question = edge.posted.at(-1);
    if (question?.kind !== 'resolve') throw new Error('no name was asked');
    expect(question).toMatchObject({ name: 'inside.test', forRules: false });
    const addresses = Int32Array.of(0, 0, MAPPED_WORD, LOOPBACK);
    edge.tell({ ...question, kind: 'resolved', addresses, reason: 0 });
    small.until(() => small.server.accepted.length === 1);
    client.reset();
    expectNothingLeft(small);
  });

  it('changes the port alone', () => {
    const small = startSmallEdge();
    putInForce(small.edge, [{ action: route(undefined, { overridePort: SERVER_PORT }) }]);
    const client = socks(small, socksRequest(7));
    small.until(() => small.server.accepted.length === 1);
    client.reset();
    small.edge.evict();
    expectNothingLeft(small);
  });
});

describe('rules see', () => {
  const cases: readonly (readonly [what: string, when: RuleInit['when'], matches: boolean])[] = [
    ['the inbound', { inbound: ['socks'] }, true],
    ['another inbound', { inbound: ['http'] }, false],
    ['the service', { service: ['s'] }, true],
    ['another service', { service: ['t'] }, false],
    ['the user', { user: ['ann'] }, true],
    ['another user', { user: ['bob'] }, false],
    ['the network', { network: [0] }, true],
    ['another network', { network: [NETWORK_UDP] }, false],
    ['the port', { port: [{ from: SERVER_PORT, to: SERVER_PORT }] }, true],
    ['the address', { ipCidr: [network('127.0.0.1')] }, true],
    ['another address', { ipCidr: [network('127.0.0.2')] }, false],
    ['the family', { ipVersion: [4] }, true],
    ['the other family', { ipVersion: [6] }, false],
    ['that it is private', { ipIsPrivate: true }, true],
    ['the source', { sourceIpCidr: [network('127.0.0.3')] }, true],
    ['another source', { sourceIpCidr: [network('127.0.0.4')] }, false],
    ['no name', { domainKeyword: ['a'] }, false],
    ['the hour', { time: [{ from: 600, to: 660 }] }, true],
    ['another hour', { time: [{ from: 661, to: 700 }] }, false],
    ['no protocol', { protocol: [PROTOCOL_TLS] }, false],
  ];

  it.each(cases)('%s', (_, when, matches) => {
    const small = startSmallEdge();
    const { edge, inbounds } = small;
    const keys = edge.w.nameKeys;
    const hash = (key: number, text: string) => hashText(keys, key, text).subarray(0, 2);
    const tags = ['forward', 'socks', 'http'];
    edge.plan(
      inbounds.map((inbound, index) => ({
        ...inbound,
        tagHash: Int32Array.from(hash(RULE_INBOUND_KEY, tags[index] as string)),
        ...(index === 1 ? { service: -1 } : {}),
      })),
    );
    const credential = edge.addUser('ann', 'secret', 0);
    for (const [word, value] of hash(RULE_SERVICE_KEY, 's').entries())
      edge.tables.services.setNameHash(0, word, value);
    for (const [word, value] of hash(RULE_USER_KEY, 'ann').entries())
      edge.tables.credentials.setNameHash(credential, word, value);
    edge.tables.machine.setMinuteOfWeek(0, 630);
    putInForce(edge, [
      { ...(when === undefined ? {} : { when }), action: { kind: 'reject', method: REJECT_REPLY } },
    ]);
    const client = dial(edge, SOCKS_PORT, 0x7f000003)
      .say([5, 1, 2])
      .say([1, 3, ...Buffer.from('ann'), 6, ...Buffer.from('secret')])
      .say(socksRequest(SERVER_PORT));
    small.until(() => client.heardBytes >= 14);
    expect(client.text.charCodeAt(5)).toBe(matches ? 2 : 0);
  });

  it('the name and the protocol of a hello beside the address that it leads to', () => {
    const small = startSmallEdge();
    addSni(small);
    putInForce(small.edge, [
      {
        when: { domain: ['www.example.com'], protocol: [PROTOCOL_HTTP] },
        action: { kind: 'reject', method: REJECT_RESET },
      },
      { when: { domain: ['www.example.com'], protocol: [PROTOCOL_TLS], ipVersion: [4] }, action: route() },
      rejectAll(REJECT_RESET),
    ]);
    const hello = clientHello('www.example.com');
    dial(small.edge, SNI_PORT).say(hello);
    small.until(() => small.server.accepted.length === 1);
    small.until(() => small.server.last().heardBytes === hello.length);
    expect(small.edge.w.table.rule(0)).toBe(2);
  });

  it('the protocol of a request in absolute form', () => {
    const small = startSmallEdge();
    putInForce(small.edge, [
      { when: { protocol: [PROTOCOL_HTTP] }, action: { kind: 'reject', method: REJECT_REPLY } },
    ]);
    const client = dial(small.edge, HTTP_PORT).say(
      `GET http://127.0.0.1:${SERVER_PORT}/ HTTP/1.1\r\nHost: x\r\n\r\n`,
    );
    small.until(() => client.isOver);
    expect(client.text).toMatch(/^HTTP\/1\.1 403 /);
  });

  it('the name that an operator wrote as the target', () => {
    const small = startSmallEdge();
    const { edge } = small;
    const target = edge.addTarget('db.example.com', SERVER_PORT);
    edge.plan(small.inbounds.map((inbound, index) => (index === 0 ? { ...inbound, target } : inbound)));
    putInForce(edge, [
      {
        when: { domainSuffix: [{ name: 'example.com', isBelow: true }] },
        action: { kind: 'reject', method: REJECT_RESET },
      },
    ]);
    dial(edge, FORWARD_PORT);
    small.until(() => edge.ended(RULE_REJECTED) === 1);
    expectNothingLeft(small);
  });
});
