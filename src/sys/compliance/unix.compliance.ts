// Unix stream sockets: paths, connections, and the ends that differ from TCP's.

import { describe, expect, it } from 'vitest';
import {
  AF_UNIX,
  EADDRINUSE,
  EAGAIN,
  ECONNREFUSED,
  ECONNRESET,
  EINVAL,
  ENOENT,
  ENOTSOCK,
  EPIPE,
  EPOLLET,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  EPOLLRDHUP,
  MSG_PEEK,
  SHUT_WR,
  SOCK_STREAM,
} from '../constants.ts';
import { type Workbench } from './workbench.compliance.ts';

const EVERYTHING_ON_EDGES = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

export function describeUnix(current: () => Workbench): void {
  function connectUnix(path: string): number {
    const { sys, own, name } = current();
    const fd = own(sys.socket(AF_UNIX, SOCK_STREAM, 0));
    name.setUnix(Buffer.from(path));
    return sys.connect(fd, name.address, name.length);
  }

  describe('Unix sockets', () => {
    it('connects by path and names both ends', () => {
      const { sys, fixture, listenUnix, own, name } = current();
      const path = fixture.unixPath();
      const listener = listenUnix(path);
      const client = own(sys.socket(AF_UNIX, SOCK_STREAM, 0));
      name.setUnix(Buffer.from(path));
      expect(sys.connect(client, name.address, name.length)).toBe(0);
      name.resetLength();
      const server = own(sys.accept(listener, name.address, name.lengthAddress));
      expect([name.family, name.length, name.port]).toEqual([AF_UNIX, 2, 0]);
      for (const ask of [
        () => sys.getpeername(client, name.address, name.lengthAddress),
        () => sys.getsockname(server, name.address, name.lengthAddress),
        () => sys.getsockname(listener, name.address, name.lengthAddress),
      ]) {
        name.resetLength();
        expect(ask()).toBe(0);
        expect(name.unixPath()).toBe(path);
        expect(name.length).toBe(path.length + 3);
      }
    });

    it('refuses a path without a listener, in use, or with nothing there', () => {
      const { sys, fixture, listenUnix, own, name, shut } = current();
      const path = fixture.unixPath();
      expect(connectUnix(path)).toBe(-ENOENT);
      const listener = listenUnix(path);
      const second = own(sys.socket(AF_UNIX, SOCK_STREAM, 0));
      name.setUnix(Buffer.from(path));
      expect(sys.bind(second, name.address, name.length)).toBe(-EADDRINUSE);
      shut(listener);
      expect(connectUnix(path)).toBe(-ECONNREFUSED);
      expect(sys.bind(second, name.address, name.length)).toBe(-EADDRINUSE);
      expect(sys.unlink(path)).toBe(0);
      expect(sys.unlink(path)).toBe(-ENOENT);
      expect(sys.bind(second, name.address, name.length)).toBe(0);
    });

    it('knows the inode behind a path, and that a file is no socket', () => {
      const { sys, fixture, listenUnix } = current();
      const path = fixture.unixPath();
      expect(sys.socketInode(path)).toBe(-ENOENT);
      listenUnix(path);
      const inode = sys.socketInode(path);
      expect(inode).toBeGreaterThan(0);
      expect(sys.chmod(path, 0o640)).toBe(0);
      expect(fixture.modeOf(path)).toBe(0o640);
      expect(sys.socketInode(path)).toBe(inode);
      const file = fixture.unixPath();
      fixture.placeFile(file);
      expect(sys.socketInode(file)).toBe(-ENOTSOCK);
      expect(sys.chmod(fixture.unixPath(), 0o600)).toBe(-ENOENT);
    });

    it('answers EAGAIN to a connect that its accept queue can not hold', () => {
      const { fixture, listenUnix } = current();
      const path = fixture.unixPath();
      listenUnix(path, 1);
      expect([connectUnix(path), connectUnix(path), connectUnix(path)]).toEqual([0, 0, -EAGAIN]);
    });

    it('carries bytes, peeks, and is bounded', () => {
      const { unixPair, sendText, recvText, fill, poller } = current();
      const [client, server] = unixPair();
      expect(recvText(server)).toBe(-EAGAIN);
      const edge = poller(server, EVERYTHING_ON_EDGES);
      expect(edge.next()).toBe(EPOLLOUT);
      expect(sendText(client, 'hello')).toBe(5);
      expect(edge.next()).toBe(EPOLLIN | EPOLLOUT);
      expect(recvText(server, 4, MSG_PEEK)).toBe('hell');
      expect(recvText(server)).toBe('hello');
      const writer = poller(client, EPOLLOUT | EPOLLET);
      expect(writer.next()).toBe(EPOLLOUT);
      const total = fill(client);
      expect(total).toBeGreaterThan(0);
      expect(poller(client, EPOLLOUT).next()).toBe(0);
      let received = 0;
      while (received < total) received += (recvText(server) as string).length;
      expect(writer.next()).toBe(EPOLLOUT);
    });

    it('half-closes', () => {
      const { sys, unixPair, sendText, recvText, poller } = current();
      const [client, server] = unixPair();
      sendText(client, 'last');
      expect(sys.shutdown(client, SHUT_WR)).toBe(0);
      expect(sendText(client, 'x')).toBe(-EPIPE);
      expect(poller(server, EVERYTHING_ON_EDGES).next()).toBe(EPOLLIN | EPOLLOUT | EPOLLRDHUP);
      expect(recvText(server)).toBe('last');
      expect(recvText(server)).toBe(0);
      sendText(server, 'back');
      expect(recvText(client)).toBe('back');
    });

    it('hangs up at once when the peer closes', () => {
      const { unixPair, sendText, recvText, poller, shut } = current();
      const [client, server] = unixPair();
      sendText(client, 'last');
      shut(client);
      expect(poller(server, EVERYTHING_ON_EDGES).next()).toBe(EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP);
      expect(recvText(server)).toBe('last');
      expect(recvText(server)).toBe(0);
      expect(sendText(server, 'x')).toBe(-EPIPE);
    });

    it('resets a peer whose bytes were never read', () => {
      const { unixPair, sendText, recvText, shut } = current();
      const [client, server] = unixPair();
      sendText(client, 'unread');
      shut(server);
      expect(recvText(client)).toBe(-ECONNRESET);
      expect(recvText(client)).toBe(0);
    });

    it('is no stream before it is connected', () => {
      const { sys, own, recvText, poller } = current();
      const fd = own(sys.socket(AF_UNIX, SOCK_STREAM, 0));
      expect(recvText(fd)).toBe(-EINVAL);
      expect(sys.listen(fd, 1)).toBe(-EINVAL);
      expect(poller(fd, EPOLLIN | EPOLLOUT).next()).toBe(EPOLLOUT | EPOLLHUP);
    });
  });
}
