// Which targets a client may choose, how each failure reads in SOCKS5, and what is asked of a socket before it connects.
// How names are dialled is in path.test.ts.

import { describe, expect, it } from 'vitest';
import { dial } from '../../../test/exactness/actors.ts';
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
import { ONLY_IPV6, OUTBOUND_UNAVAILABLE as KIND_UNAVAILABLE } from '../../layout/messages.ts';
import {
  CONNECT_REFUSED,
  CONNECT_UNREACHABLE,
  DESCRIPTORS_EXHAUSTED,
  OUTBOUND_REMOVED,
  OUTBOUND_UNAVAILABLE,
  TARGET_FORBIDDEN,
  TARGET_OWN_LISTENER,
} from '../../layout/reasons.ts';
import { TARGET_UNIX } from '../../layout/service.ts';
import { compileNetworks } from '../../layout/network-set.ts';
import { AF_INET6, ENETUNREACH, SOCK_STREAM } from '../../sys/constants.ts';
import { MAPPED_WORD } from '../../sys/socket-address.ts';
import { createOutbound } from './objects.ts';

const NAME = [3, 6, ...Buffer.from('a.test')];

/** What a SOCKS5 client is told: the reply code of its request. */
function codeOf(small: SmallEdge, port: number, host?: number[]): number {
  const client = dial(small.edge, SOCKS_PORT).say(SOCKS_GREETING).say(socksRequest(port, host));
  small.until(() => client.heardBytes === 12);
  const code = client.text.charCodeAt(3);
  client.reset();
  small.until(() => small.edge.w.slots.live === 0);
  small.edge.turn();
  expect(small.edge.leaks()).toEqual([]);
  return code;
}

describe('targets that clients choose', () => {
  it('may not be special-purpose addresses, unless the outbound lists them; an operator may write any', () => {
    const small = startSmallEdge({ settings: { outbounds: [directOutbound({ allowDestinations: null })] } });
    expect(codeOf(small, SERVER_PORT)).toBe(2);
    expect(codeOf(small, 80, [1, 10, 0, 0, 1])).toBe(2);
    expect(codeOf(small, 80, [1, 169, 254, 169, 254])).toBe(2);
    expect(small.edge.ended(TARGET_FORBIDDEN)).toBe(3);
    const http = dial(small.edge, HTTP_PORT).say('CONNECT 127.0.0.1:80 HTTP/1.1\r\nHost: x\r\n\r\n');
    small.until(() => http.sawFin);
    expect(http.text).toMatch(/^HTTP\/1\.1 403 /);
    http.close();
    small.relayed().client.reset();
  });

  it('are judged again when a name leads to them: what is forbidden is passed over', () => {
    const small = startSmallEdge({
      settings: {
        ownListeners: Int32Array.of(0, 0, MAPPED_WORD, LOOPBACK, SERVER_PORT),
        outbounds: [directOutbound()],
      },
    });
    const { edge, until } = small;
    const client = dial(edge, SOCKS_PORT)
      .say(SOCKS_GREETING)
      .say(socksRequest(SERVER_PORT, [3, 6, ...Buffer.from('a.test')]));
    until(() => edge.posted.length === 1);
    const [question] = edge.posted;
    if (question?.kind !== 'resolve') throw new Error('no name was asked');
    const { slot, generation, source } = question;
    expect(source).toBe('127.0.0.1');
    const addresses = Int32Array.of(0, 0, MAPPED_WORD, 0x0a000001, 0, 0, MAPPED_WORD, LOOPBACK);
    edge.tell({ kind: 'resolved', slot, generation, addresses, reason: 0 });
    until(() => client.isOver);
    expect(client.text.charCodeAt(3)).toBe(2);
    client.close();
    until(() => edge.w.slots.live === 0);
    expect(edge.ended(TARGET_OWN_LISTENER)).toBe(1);
    expect(small.server.accepted).toEqual([]);
  });

  it('are never our own listeners', () => {
    const small = startSmallEdge({
      settings: {
        ownListeners: Int32Array.of(0, 0, MAPPED_WORD, LOOPBACK, SOCKS_PORT, 0, 0, MAPPED_WORD, 0, HTTP_PORT),
      },
    });
    expect(codeOf(small, SOCKS_PORT)).toBe(2);
    expect(codeOf(small, HTTP_PORT)).toBe(2);
    expect(codeOf(small, HTTP_PORT, [1, 127, 0, 0, 77])).toBe(2);
    expect(small.edge.ended(TARGET_OWN_LISTENER)).toBe(3);
    expect(codeOf(small, SERVER_PORT)).toBe(0);
  });
});

describe('failures', () => {
  it('have the reply codes of RFC 1928', () => {
    const small = startSmallEdge();
    expect(codeOf(small, 9)).toBe(5);
    expect(codeOf(small, 80, [1, 203, 0, 113, 1])).toBe(3);
    expect(codeOf(small, 80, [1, 198, 51, 100, 1])).toBe(4);
    expect(small.edge.ended(CONNECT_REFUSED)).toBe(1);
    expect(small.edge.ended(CONNECT_UNREACHABLE)).toBe(2);
  });

  it('of this machine are told as general ones', () => {
    // 3 listeners, wake, epoll, spare, and the client; the table also holds 0 to 2.
    const small = startSmallEdge({ descriptorsMax: 3 + 6 + 1 });
    expect(codeOf(small, SERVER_PORT)).toBe(1);
    expect(small.edge.ended(DESCRIPTORS_EXHAUSTED)).toBe(1);
  });

  it('of the plan refuse, and never go another way', () => {
    const absent = startSmallEdge({ settings: { final: 5 } });
    expect(codeOf(absent, SERVER_PORT)).toBe(1);
    expect(absent.edge.ended(OUTBOUND_REMOVED)).toBe(1);
    const unbuilt = startSmallEdge({ settings: { outbounds: [directOutbound({ kind: KIND_UNAVAILABLE })] } });
    expect(codeOf(unbuilt, SERVER_PORT)).toBe(1);
    expect(unbuilt.edge.ended(OUTBOUND_UNAVAILABLE)).toBe(1);
    const ipv6 = startSmallEdge({ settings: { outbounds: [directOutbound({ ipVersion: ONLY_IPV6 })] } });
    // As another connection's failure has left it: it must not be told to this one.
    ipv6.edge.w.connectErrno = ENETUNREACH;
    expect(codeOf(ipv6, SERVER_PORT)).toBe(4);
    for (const { server } of [absent, unbuilt, ipv6]) expect(server.accepted).toEqual([]);
  });

  it('to set an option stop the connection: it must not go out without it', () => {
    const small = startSmallEdge({ settings: { outbounds: [directOutbound({ fwmark: 7 })] } });
    const { w } = small.edge;
    const setOptionInt = w.sys.setOptionInt;
    Object.assign(w.sys, {
      setOptionInt: (fd: number, level: number, name: number, value: number) =>
        name === 36 ? -1 : setOptionInt(fd, level, name, value),
    });
    expect(codeOf(small, SERVER_PORT)).not.toBe(0);
    small.pass(20);
    expect(small.server.accepted).toEqual([]);
  });
});

describe('source addresses', () => {
  it('are taken in turn, for the family of the target', () => {
    const bind = Int32Array.of(0, 0, MAPPED_WORD, 0x7f000007, 0, 0, 0, 1, 0, 0, MAPPED_WORD, 0x7f000008);
    const small = startSmallEdge({ settings: { outbounds: [directOutbound({ bind })] } });
    const { edge, until, server } = small;
    const seen: number[] = [];
    for (let i = 0; i < 4; i++) {
      const client = dial(edge, FORWARD_PORT);
      until(() => server.accepted.length === i + 1);
      edge.address.resetLength();
      edge.peers.getpeername(server.last().fd, edge.address.address, edge.address.lengthAddress);
      seen.push(edge.address.word(3));
      client.reset();
      until(() => edge.w.slots.live === 0);
    }
    expect(seen).toEqual([0x7f000007, 0x7f000008, 0x7f000007, 0x7f000008]);
    edge.turn();
    expect(edge.leaks()).toEqual([]);
  });

  it('of one family only leave the other out of reach: none is chosen by the kernel', () => {
    const bind = Int32Array.of(0, 0, 0, 1);
    const small = startSmallEdge({ settings: { outbounds: [directOutbound({ bind })] } });
    expect(codeOf(small, SERVER_PORT)).toBe(4);
    expect(small.edge.ended(CONNECT_UNREACHABLE)).toBe(1);
    expect(small.server.accepted).toEqual([]);
  });

  it('of one family only pass over those addresses of a name', () => {
    const bind = Int32Array.of(0, 0, MAPPED_WORD, 0x7f000007);
    const outbounds = [directOutbound({ bind, allowDestinations: compileNetworks(['127.0.0.0/8', '::/0']) })];
    const small = startSmallEdge({ settings: { outbounds } });
    const { edge, until, server } = small;
    const client = dial(edge, SOCKS_PORT).say(SOCKS_GREETING).say(socksRequest(SERVER_PORT, NAME));
    until(() => edge.posted.length === 1);
    const [question] = edge.posted;
    if (question?.kind !== 'resolve') throw new Error('no name was asked');
    // An IPv6 address at which a server listens as well.
    edge.address.setIp(0, 0, 0, 1, SERVER_PORT);
    const listener = edge.peers.socket(AF_INET6, SOCK_STREAM, 0);
    expect(edge.peers.bind(listener, edge.address.address, edge.address.length)).toBe(0);
    expect(edge.peers.listen(listener, 1)).toBe(0);
    const addresses = Int32Array.of(0, 0, 0, 1, 0, 0, MAPPED_WORD, LOOPBACK);
    edge.tell({ ...question, kind: 'resolved', addresses, reason: 0 });
    until(() => server.accepted.length === 1);
    edge.address.resetLength();
    edge.peers.getpeername(server.last().fd, edge.address.address, edge.address.lengthAddress);
    expect(edge.address.word(3)).toBe(0x7f000007);
    client.reset();
    until(() => edge.w.slots.live === 0);
    edge.turn();
    expect(edge.leaks()).toEqual([]);
  });
});

describe('a target record', () => {
  it('that became a Unix socket while its name was looked up does not turn the connection to it', () => {
    const small = startSmallEdge();
    const { edge, until, server, inbounds } = small;
    const target = edge.addTarget('a.test', SERVER_PORT);
    edge.plan(inbounds.map((inbound, index) => (index === 0 ? { ...inbound, target } : inbound)));
    edge.turn();
    const client = dial(edge, FORWARD_PORT);
    until(() => edge.posted.length === 1);
    const [question] = edge.posted;
    if (question?.kind !== 'resolve') throw new Error('no name was asked');
    edge.tables.targets.setKind(target, TARGET_UNIX);
    const addresses = Int32Array.of(0, 0, MAPPED_WORD, LOOPBACK);
    edge.tell({ ...question, kind: 'resolved', addresses, reason: 0 });
    until(() => client.isOver || server.accepted.length === 1);
    expect(server.accepted.length).toBe(1);
    client.reset();
    until(() => edge.w.slots.live === 0);
  });
});

describe('text of an outbound', () => {
  it('is kept once, however often the outbound changes', () => {
    const { edge } = startSmallEdge();
    const first = createOutbound(edge.sys, directOutbound({ interface: 'eth7', congestion: 'bbr' }));
    const second = createOutbound(edge.sys, directOutbound({ interface: 'eth7', congestion: 'cubic' }));
    expect(second.interfaceAddress).toBe(first.interfaceAddress);
    expect(second.interfaceBytes).toBe(4);
    expect(second.congestionAddress).not.toBe(first.congestionAddress);
    const elsewhere = startSmallEdge().edge;
    expect(createOutbound(elsewhere.sys, directOutbound({ interface: 'eth7' })).interfaceBytes).toBe(4);
  });
});
