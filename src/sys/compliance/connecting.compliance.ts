// How a TCP connection begins: in progress, then writable or refused; and what a listener shows.

import { describe, expect, it } from 'vitest';
import {
  AF_INET,
  EAGAIN,
  EALREADY,
  ECONNREFUSED,
  ECONNRESET,
  EINPROGRESS,
  EISCONN,
  EPIPE,
  EPOLLERR,
  EPOLLET,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  EPOLLRDHUP,
  SO_ERROR,
  SOCK_STREAM,
  SOL_SOCKET,
} from '../constants.ts';
import { QUIET_MS, WAIT_MS, type Workbench } from './workbench.compliance.ts';

const EVERYTHING = EPOLLIN | EPOLLOUT | EPOLLRDHUP;

export function describeConnecting(current: () => Workbench): void {
  function refusedPort(): number {
    const { listenTcp, shut } = current();
    const { fd, port } = listenTcp();
    shut(fd);
    return port;
  }

  describe('connecting', () => {
    it('shows EPOLLOUT and EPOLLHUP on a socket that is not connected', () => {
      const { sys, own, poller, sendText } = current();
      const fd = own(sys.socket(AF_INET, SOCK_STREAM, 0));
      expect(poller(fd, EVERYTHING | EPOLLET).next()).toBe(EPOLLOUT | EPOLLHUP);
      expect(sendText(fd, 'x')).toBe(-EPIPE);
    });

    it('is in progress first, then writable without an error, exactly once', () => {
      const { sys, own, name, listenTcp, setLoopback, poller } = current();
      const { port } = listenTcp();
      const fd = own(sys.socket(AF_INET, SOCK_STREAM, 0));
      setLoopback(AF_INET, port);
      expect(sys.connect(fd, name.address, name.length)).toBe(-EINPROGRESS);
      const edge = poller(fd, EVERYTHING | EPOLLET);
      expect(edge.next(WAIT_MS)).toBe(EPOLLOUT);
      expect(edge.next()).toBe(0);
      expect(sys.getOptionInt(fd, SOL_SOCKET, SO_ERROR)).toBe(0);
      expect(sys.connect(fd, name.address, name.length)).toBe(0);
      expect(sys.connect(fd, name.address, name.length)).toBe(-EISCONN);
    });

    it('gives one edge for the end of a connect that was registered before it began', () => {
      const { sys, own, name, listenTcp, setLoopback, poller } = current();
      const { port } = listenTcp();
      const fd = own(sys.socket(AF_INET, SOCK_STREAM, 0));
      const edge = poller(fd, EVERYTHING | EPOLLET);
      expect(edge.next()).toBe(EPOLLOUT | EPOLLHUP);
      setLoopback(AF_INET, port);
      expect(sys.connect(fd, name.address, name.length)).toBe(-EINPROGRESS);
      expect(edge.next(WAIT_MS)).toBe(EPOLLOUT);
      expect(edge.next()).toBe(0);
    });

    it('is refused where nobody listens: every bit at once, and the reason once', () => {
      const { sys, own, name, setLoopback, poller, recvText, sendText } = current();
      const port = refusedPort();
      const fd = own(sys.socket(AF_INET, SOCK_STREAM, 0));
      setLoopback(AF_INET, port);
      expect(sys.connect(fd, name.address, name.length)).toBe(-EINPROGRESS);
      const all = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLERR | EPOLLHUP;
      expect(poller(fd, EVERYTHING | EPOLLET).next(WAIT_MS)).toBe(all);
      expect(sys.getOptionInt(fd, SOL_SOCKET, SO_ERROR)).toBe(ECONNREFUSED);
      expect(sys.getOptionInt(fd, SOL_SOCKET, SO_ERROR)).toBe(0);
      expect(sendText(fd, 'x')).toBe(-EPIPE);
      expect(recvText(fd)).toBe(0);
    });

    it('reports the refusal to whichever call comes first', () => {
      const { sys, own, name, setLoopback, poller, recvText } = current();
      const port = refusedPort();
      for (const ask of [
        (fd: number) => recvText(fd),
        (fd: number) => sys.connect(fd, name.address, name.length),
      ]) {
        const fd = own(sys.socket(AF_INET, SOCK_STREAM, 0));
        setLoopback(AF_INET, port);
        expect(sys.connect(fd, name.address, name.length)).toBe(-EINPROGRESS);
        expect(poller(fd, EVERYTHING | EPOLLET).next(WAIT_MS) & EPOLLERR).toBe(EPOLLERR);
        expect(ask(fd)).toBe(-ECONNREFUSED);
      }
    });

    it('connects again after a refusal has been reported', () => {
      const { sys, own, name, listenTcp, setLoopback, poller } = current();
      const fd = own(sys.socket(AF_INET, SOCK_STREAM, 0));
      setLoopback(AF_INET, refusedPort());
      expect(sys.connect(fd, name.address, name.length)).toBe(-EINPROGRESS);
      expect(poller(fd, EPOLLOUT).until(EPOLLERR) & EPOLLERR).toBe(EPOLLERR);
      expect(sys.connect(fd, name.address, name.length)).toBe(-ECONNREFUSED);
      const { port } = listenTcp();
      setLoopback(AF_INET, port);
      expect(sys.connect(fd, name.address, name.length)).toBe(-EINPROGRESS);
      expect(poller(fd, EPOLLOUT).until(EPOLLOUT)).toBe(EPOLLOUT);
    });

    it('drops what its full accept queue can not hold, and the client waits', () => {
      const { sys, own, name, listenTcp, setLoopback, poller, sendText, recvText } = current();
      const { fd: listener, port } = listenTcp(AF_INET, 0);
      const clients: number[] = [];
      for (let count = 0; count < 2; count++) {
        const fd = own(sys.socket(AF_INET, SOCK_STREAM, 0));
        setLoopback(AF_INET, port);
        expect(sys.connect(fd, name.address, name.length)).toBe(-EINPROGRESS);
        poller(fd, EPOLLOUT).next(QUIET_MS);
        clients.push(fd);
      }
      const last = clients[1] as number;
      expect(poller(last, EVERYTHING).next()).toBe(0);
      expect(sendText(last, 'x')).toBe(-EAGAIN);
      expect(recvText(last)).toBe(-EAGAIN);
      expect(sys.connect(last, name.address, name.length)).toBe(-EALREADY);
      own(sys.accept(listener, 0, 0));
      expect(poller(last, EPOLLOUT).next(5000)).toBe(EPOLLOUT);
    });

    it('shows a waiting connection level-triggered until it is accepted', () => {
      const { sys, own, listenTcp, connectTcp, poller } = current();
      const { fd, port } = listenTcp();
      const level = poller(fd, EPOLLIN);
      expect(level.next()).toBe(0);
      connectTcp(port);
      connectTcp(port);
      for (let count = 0; count < 2; count++) {
        expect(level.next(WAIT_MS)).toBe(EPOLLIN);
        expect(level.next(WAIT_MS)).toBe(EPOLLIN);
        own(sys.accept(fd, 0, 0));
      }
      expect(sys.accept(fd, 0, 0)).toBe(-EAGAIN);
      expect(level.next()).toBe(0);
    });

    it('resets connections that a closed listener never accepted', () => {
      const { listenTcp, connectTcp, poller, shut, recvText } = current();
      const { fd, port } = listenTcp();
      const client = connectTcp(port);
      expect(poller(fd, EPOLLIN).until(EPOLLIN)).toBe(EPOLLIN);
      const edge = poller(client, EPOLLIN | EPOLLET);
      shut(fd);
      expect(edge.until(EPOLLERR) & (EPOLLERR | EPOLLHUP)).toBe(EPOLLERR | EPOLLHUP);
      expect(recvText(client)).toBe(-ECONNRESET);
    });
  });
}
