// Names of sockets, and who may bind what.

import { describe, expect, it } from 'vitest';
import {
  AF_INET,
  AF_INET6,
  EADDRINUSE,
  EINVAL,
  ENOTCONN,
  IP_BIND_ADDRESS_NO_PORT,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_V6ONLY,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SOCK_STREAM,
  SOL_SOCKET,
} from '../constants.ts';
import { MAPPED_WORD, SOCKADDR_IN6_BYTES, SOCKADDR_IN_BYTES, SocketAddress } from '../socket-address.ts';
import { LOOPBACK_V4, type Workbench } from './workbench.compliance.ts';

const GROUP_CONNECTIONS = 64;

export function describeAddresses(current: () => Workbench): void {
  function words(address: SocketAddress): number[] {
    return [0, 1, 2, 3].map((index) => address.word(index));
  }

  function bound(family: number, port: number, options: [number, number][], wildcard = false): number {
    const { sys, own, name, setLoopback } = current();
    const fd = own(sys.socket(family, SOCK_STREAM, 0));
    for (const [level, option] of options) expect(sys.setOptionInt(fd, level, option, 1)).toBe(0);
    if (!wildcard) setLoopback(family, port);
    else if (family === AF_INET) name.setIp(0, 0, MAPPED_WORD, 0, port);
    else name.setIp(0, 0, 0, 0, port);
    const result = sys.bind(fd, name.address, name.length);
    return result < 0 ? result : fd;
  }

  function portOf(fd: number): number {
    const { sys, name } = current();
    name.resetLength();
    expect(sys.getsockname(fd, name.address, name.lengthAddress)).toBe(0);
    return name.port;
  }

  describe('addresses', () => {
    it.each([
      ['IPv4', AF_INET, SOCKADDR_IN_BYTES, [0, 0, MAPPED_WORD, LOOPBACK_V4]],
      ['IPv6', AF_INET6, SOCKADDR_IN6_BYTES, [0, 0, 0, 1]],
    ])('names both ends of an %s connection', (_, family, length, loopback) => {
      const { sys, name, listenTcp, connectTcp, own, poller } = current();
      const listener = listenTcp(family);
      const client = connectTcp(listener.port, family);
      const peer = new SocketAddress(sys);
      expect(poller(listener.fd, 1).until(1)).toBe(1);
      const server = own(sys.accept(listener.fd, peer.address, peer.lengthAddress));
      expect([peer.family, peer.length, peer.port]).toEqual([family, length, portOf(client)]);
      expect(words(peer)).toEqual(loopback);
      name.resetLength();
      expect(sys.getpeername(client, name.address, name.lengthAddress)).toBe(0);
      expect([name.family, name.length, name.port]).toEqual([family, length, listener.port]);
      expect(portOf(server)).toBe(listener.port);
      expect(words(name)).toEqual(loopback);
    });

    it('writes no more of an address than there is room for, and says how long it is', () => {
      const { sys, name, tcpPair } = current();
      const [client] = tcpPair();
      name.bytes.fill(0xaa, 0, 64);
      name.length = 4;
      expect(sys.getsockname(client, name.address, name.lengthAddress)).toBe(0);
      expect(name.length).toBe(SOCKADDR_IN_BYTES);
      expect(name.port).toBeGreaterThan(0);
      expect([...name.bytes.subarray(4, 8)]).toEqual([0xaa, 0xaa, 0xaa, 0xaa]);
    });

    it('knows no peer before a connection', () => {
      const { sys, name, own, listenTcp } = current();
      const fd = own(sys.socket(AF_INET, SOCK_STREAM, 0));
      expect(sys.getpeername(fd, name.address, name.lengthAddress)).toBe(-ENOTCONN);
      expect(sys.getpeername(listenTcp().fd, name.address, name.lengthAddress)).toBe(-ENOTCONN);
    });

    it('refuses an address in use, a second bind, and a listener beside a listener', () => {
      const { sys, name, listenTcp } = current();
      const { port, fd } = listenTcp();
      expect(bound(AF_INET, port, [])).toBe(-EADDRINUSE);
      expect(bound(AF_INET, port, [[SOL_SOCKET, SO_REUSEADDR]])).toBe(-EADDRINUSE);
      expect(bound(AF_INET, port, [], true)).toBe(-EADDRINUSE);
      expect(sys.bind(fd, name.address, name.length)).toBe(-EINVAL);
      const first = bound(AF_INET, 0, [[SOL_SOCKET, SO_REUSEADDR]]);
      const second = bound(AF_INET, portOf(first), [[SOL_SOCKET, SO_REUSEADDR]]);
      expect(second).toBeGreaterThanOrEqual(0);
      expect(sys.listen(first, 1)).toBe(0);
      expect(sys.listen(second, 1)).toBe(-EADDRINUSE);
    });

    it('keeps IPv6-only and IPv4 wildcards apart, and lets a dual one take both', () => {
      const only: [number, number][] = [[IPPROTO_IPV6, IPV6_V6ONLY]];
      const four = bound(AF_INET, 0, [], true);
      expect(bound(AF_INET6, portOf(four), only, true)).toBeGreaterThanOrEqual(0);
      const dual = bound(AF_INET6, 0, [], true);
      expect(bound(AF_INET, portOf(dual), [], true)).toBe(-EADDRINUSE);
    });

    it('accepts IPv4 on a dual wildcard, with mapped names', () => {
      const { sys, own, connectTcp, poller } = current();
      const dual = bound(AF_INET6, 0, [], true);
      expect(sys.listen(dual, 4)).toBe(0);
      connectTcp(portOf(dual), AF_INET);
      expect(poller(dual, 1).until(1)).toBe(1);
      const peer = new SocketAddress(sys);
      own(sys.accept(dual, peer.address, peer.lengthAddress));
      expect(peer.family).toBe(AF_INET6);
      expect(words(peer)).toEqual([0, 0, MAPPED_WORD, LOOPBACK_V4]);
    });

    it('shares the connections of a port among its SO_REUSEPORT group', () => {
      const { sys, connectTcp, acceptFrom, own, shut } = current();
      const first = bound(AF_INET, 0, [[SOL_SOCKET, SO_REUSEPORT]]);
      const port = portOf(first);
      expect(bound(AF_INET, port, [])).toBe(-EADDRINUSE);
      const second = bound(AF_INET, port, [[SOL_SOCKET, SO_REUSEPORT]]);
      for (const fd of [first, second]) expect(sys.listen(fd, GROUP_CONNECTIONS)).toBe(0);
      for (let count = 0; count < GROUP_CONNECTIONS; count++) connectTcp(port);
      const accepted = [first, second].map((listener) => {
        let count = 0;
        for (let fd = sys.accept(listener, 0, 0); fd >= 0; fd = sys.accept(listener, 0, 0)) {
          own(fd);
          count++;
        }
        return count;
      });
      // The last one's final segment may still travel on the simulated network.
      expect((accepted[0] as number) + (accepted[1] as number)).toBeGreaterThanOrEqual(GROUP_CONNECTIONS - 1);
      expect(Math.min(...accepted)).toBeGreaterThan(GROUP_CONNECTIONS / 8);
      shut(first);
      for (let count = 0; count < 8; count++) {
        connectTcp(port);
        acceptFrom(second);
      }
    });

    it('takes the port only when connecting with IP_BIND_ADDRESS_NO_PORT', () => {
      const { sys, name, listenTcp, setLoopback, poller } = current();
      const { port } = listenTcp();
      const fd = bound(AF_INET, 0, [[IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT]]);
      expect(portOf(fd)).toBe(0);
      setLoopback(AF_INET, port);
      sys.connect(fd, name.address, name.length);
      expect(poller(fd, 4).until(4)).toBe(4);
      expect(portOf(fd)).toBeGreaterThan(0);
    });
  });
}
