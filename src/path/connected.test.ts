// PROXY headers in both directions, and what a client sent before its server was there.

import { describe, expect, it } from 'vitest';
import { dial } from '../../test/exactness/actors.ts';
import { FORWARD_PORT, startSmallEdge } from '../../test/exactness/small-edge.ts';
import { compileNetworks } from '../layout/network-set.ts';
import { AF_UNIX, SOCK_STREAM } from '../sys/constants.ts';
import { SocketAddress } from '../sys/socket-address.ts';
import { HANDSHAKE_TIMEOUT, MALFORMED_PROXY_HEADER } from '../layout/reasons.ts';

const LOOPBACK_NETWORK = compileNetworks(['127.0.0.0/8']);
const V1 = 'PROXY TCP4 203.0.113.9 198.51.100.4 4711 443\r\n';
const SIGNATURE = '\r\n\r\n\0\r\nQUIT\n';
const V2 =
  SIGNATURE +
  Buffer.from([0x21, 0x11, 0, 12, 203, 0, 113, 9, 198, 51, 100, 4, 0x12, 0x67, 0x01, 0xbb]).toString(
    'latin1',
  );

describe('PROXY headers', () => {
  it.each([1, 2])('version %i goes before the first byte of the client, with its address', (version) => {
    const { edge, until, server } = startSmallEdge({ forward: { sendProxy: version } });
    const client = dial(edge, FORWARD_PORT).say('first words').fin();
    until(() => server.accepted.length === 1 && server.last().sawFin);
    edge.address.resetLength();
    edge.peers.getsockname(client.fd, edge.address.address, edge.address.lengthAddress);
    const { port } = edge.address;
    const expected =
      version === 1
        ? `PROXY TCP4 127.0.0.1 127.0.0.1 ${port} ${FORWARD_PORT}\r\n`
        : SIGNATURE +
          Buffer.from([0x21, 0x11, 0, 12, 127, 0, 0, 1, 127, 0, 0, 1]).toString('latin1') +
          Buffer.from([port >> 8, port & 0xff, FORWARD_PORT >> 8, FORWARD_PORT & 0xff]).toString('latin1');
    expect(server.last().text).toBe(`${expected}first words`);
    server.last().fin();
    until(() => edge.w.slots.live === 0);
    expect(edge.leaks()).toEqual([]);
  });

  it.each([
    ['1', V1],
    ['2', V2],
  ])('version %s is taken from a trusted network, byte by byte if need be, and handed on', (_, header) => {
    for (const pieces of [[`${header}payload`], [...header, 'payload']]) {
      const small = startSmallEdge({ forward: { acceptProxyFrom: LOOPBACK_NETWORK, sendProxy: 1 } });
      const { edge, until, server } = small;
      const client = dial(edge, FORWARD_PORT);
      for (const piece of pieces) {
        client.say(piece);
        small.pass(1);
      }
      client.fin();
      until(() => server.accepted.length === 1 && server.last().sawFin);
      expect(server.last().text).toBe(`${V1}payload`);
      expect(edge.w.table.sourcePort(0)).toBe(4711);
      server.last().fin();
      until(() => edge.w.slots.live === 0);
      expect(edge.leaks()).toEqual([]);
    }
  });

  it('that say nothing about the client leave its own address', () => {
    const { edge, until, server } = startSmallEdge({
      forward: { acceptProxyFrom: LOOPBACK_NETWORK, sendProxy: 1 },
    });
    dial(edge, FORWARD_PORT).say('PROXY UNKNOWN\r\nx').fin();
    until(() => server.accepted.length === 1 && server.last().sawFin);
    expect(server.last().text).toMatch(/^PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 \d+ 1000\r\nx$/);
  });

  it.each([
    [1, 'PROXY UNKNOWN\r\n'],
    [2, `${SIGNATURE}\x20\0\0\0`],
  ])('of version %i say that nothing is known of a client on a Unix socket', (version, expected) => {
    const { edge, until, server, inbounds } = startSmallEdge();
    const { sys, peers } = edge;
    const path = Buffer.from('/run/edge.sock');
    const ownAddress = new SocketAddress(sys);
    const listenFd = sys.socket(AF_UNIX, SOCK_STREAM, 0);
    expect(sys.bind(listenFd, ownAddress.address, ownAddress.setUnix(path))).toBe(0);
    expect(sys.listen(listenFd, 8)).toBe(0);
    edge.plan([...inbounds, { listenFds: [listenFd], target: 0, sendProxy: version }]);
    edge.turn();
    const fd = peers.socket(AF_UNIX, SOCK_STREAM, 0);
    peers.connect(fd, edge.address.address, edge.address.setUnix(path));
    until(() => server.accepted.length === 1 && server.last().heardBytes > 0);
    expect(server.last().text).toBe(expected);
    peers.close(fd);
    server.last().fin();
    until(() => edge.w.slots.live === 0);
    sys.close(listenFd);
    expect(edge.leaks()).toEqual([]);
  });

  it('are bytes like any other from a network that is not trusted', () => {
    const { edge, until, server } = startSmallEdge({
      forward: { acceptProxyFrom: compileNetworks(['10.0.0.0/8']) },
    });
    dial(edge, FORWARD_PORT).say(V1).fin();
    until(() => server.accepted.length === 1 && server.last().sawFin);
    expect(server.last().text).toBe(V1);
  });

  it('that are missing or wrong end the connection without a word, before anything is dialled', () => {
    const { edge, until, server } = startSmallEdge({
      forward: { acceptProxyFrom: LOOPBACK_NETWORK },
      settings: { handshakeMs: 300 },
    });
    const wrong = dial(edge, FORWARD_PORT).say('GET / HTTP/1.1\r\n\r\n');
    const silent = dial(edge, FORWARD_PORT).say('PROXY TCP4 ');
    until(() => wrong.isOver && silent.isOver);
    expect([wrong.text, silent.text]).toEqual(['', '']);
    expect([wrong.sawReset, silent.sawReset]).toEqual([true, true]);
    expect(edge.ended(MALFORMED_PROXY_HEADER)).toBe(1);
    expect(edge.ended(HANDSHAKE_TIMEOUT)).toBe(1);
    expect(server.accepted).toEqual([]);
    until(() => edge.w.slots.live === 0);
    expect(edge.leaks()).toEqual([]);
  });
});
