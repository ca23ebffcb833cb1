// Calls on what is no descriptor, no socket, or one too many; and options.

import { describe, expect, it } from 'vitest';
import {
  AF_INET,
  EAFNOSUPPORT,
  EAGAIN,
  EBADF,
  EINVAL,
  EMFILE,
  ENOPROTOOPT,
  ENOTCONN,
  ENOTSOCK,
  EPOLLIN,
  F_GETFD,
  F_GETFL,
  IPPROTO_TCP,
  SHUT_WR,
  SO_ERROR,
  SO_KEEPALIVE,
  SO_SNDBUF,
  SOCK_STREAM,
  SOL_SOCKET,
  TCP_KEEPIDLE,
  TCP_NODELAY,
  TCP_USER_TIMEOUT,
} from '../constants.ts';
import type { Workbench } from './workbench.compliance.ts';

const DESCRIPTORS_MAX = 1 << 20;
const O_NONBLOCK = 0x800;

export function describeErrors(current: () => Workbench): void {
  describe('errors and options', () => {
    it('answers EBADF for a descriptor that is not open, whatever is asked', () => {
      const { sys, own, scratchAddress: at, name } = current();
      const epollFd = own(sys.epollCreate());
      const closed = sys.eventfd();
      expect(sys.close(closed)).toBe(0);
      expect(sys.close(closed)).toBe(-EBADF);
      for (const fd of [-1, closed]) {
        expect(sys.recv(fd, at, 1, 0)).toBe(-EBADF);
        expect(sys.send(fd, at, 1, 0)).toBe(-EBADF);
        expect(sys.bind(fd, name.address, 16)).toBe(-EBADF);
        expect(sys.listen(fd, 1)).toBe(-EBADF);
        expect(sys.accept(fd, 0, 0)).toBe(-EBADF);
        expect(sys.connect(fd, name.address, 16)).toBe(-EBADF);
        expect(sys.getsockname(fd, name.address, name.lengthAddress)).toBe(-EBADF);
        expect(sys.getpeername(fd, name.address, name.lengthAddress)).toBe(-EBADF);
        expect(sys.shutdown(fd, SHUT_WR)).toBe(-EBADF);
        expect(sys.setOptionInt(fd, SOL_SOCKET, SO_KEEPALIVE, 1)).toBe(-EBADF);
        expect(sys.setOptionBytes(fd, SOL_SOCKET, SO_KEEPALIVE, at, 4)).toBe(-EBADF);
        expect(sys.getOptionInt(fd, SOL_SOCKET, SO_ERROR)).toBe(-EBADF);
        expect(sys.resetOnClose(fd)).toBe(-EBADF);
        expect(sys.unsentBytes(fd)).toBe(-EBADF);
        expect(sys.eventfdSignal(fd)).toBe(-EBADF);
        expect(sys.eventfdDrain(fd)).toBe(-EBADF);
        expect(sys.splice(fd, epollFd, 1, 0)).toBe(-EBADF);
        expect(sys.fcntl(fd, F_GETFL, 0)).toBe(-EBADF);
        expect(sys.epollAdd(epollFd, fd, EPOLLIN, 0, 0)).toBe(-EBADF);
        expect(sys.epollRemove(epollFd, fd)).toBe(-EBADF);
        expect(sys.epollWait(fd, at, 1, 0)).toBe(-EBADF);
      }
    });

    it('answers ENOTSOCK for a descriptor that is no socket', () => {
      const { sys, own, scratchAddress: at } = current();
      const fd = own(sys.eventfd());
      expect(sys.recv(fd, at, 1, 0)).toBe(-ENOTSOCK);
      expect(sys.send(fd, at, 1, 0)).toBe(-ENOTSOCK);
      expect(sys.accept(fd, 0, 0)).toBe(-ENOTSOCK);
      expect(sys.listen(fd, 1)).toBe(-ENOTSOCK);
      expect(sys.getOptionInt(fd, SOL_SOCKET, SO_ERROR)).toBe(-ENOTSOCK);
      expect(sys.shutdown(fd, SHUT_WR)).toBe(-ENOTSOCK);
    });

    it('refuses unknown families, foreign epolls and senseless calls', () => {
      const { sys, own, scratchAddress: at } = current();
      const fd = own(sys.socket(AF_INET, SOCK_STREAM, 0));
      expect(sys.socket(77, SOCK_STREAM, 0)).toBe(-EAFNOSUPPORT);
      expect(sys.accept(fd, 0, 0)).toBe(-EINVAL);
      expect(sys.recv(fd, at, 1, 0)).toBe(-ENOTCONN);
      expect(sys.shutdown(fd, SHUT_WR)).toBe(-ENOTCONN);
      expect(sys.epollWait(fd, at, 1, 0)).toBe(-EINVAL);
      expect(sys.epollAdd(fd, fd, EPOLLIN, 0, 0)).toBe(-EINVAL);
      const epollFd = own(sys.epollCreate());
      expect(sys.epollWait(epollFd, at, 0, 0)).toBe(-EINVAL);
    });

    it('keeps options, and lets accepted sockets inherit them', () => {
      const { sys, listenTcp, connectTcp, acceptFrom } = current();
      const listener = listenTcp();
      expect(sys.setOptionInt(listener.fd, IPPROTO_TCP, TCP_NODELAY, 1)).toBe(0);
      expect(sys.setOptionInt(listener.fd, SOL_SOCKET, SO_KEEPALIVE, 1)).toBe(0);
      expect(sys.setOptionInt(listener.fd, IPPROTO_TCP, TCP_KEEPIDLE, 33)).toBe(0);
      expect(sys.setOptionInt(listener.fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 4000)).toBe(0);
      const client = connectTcp(listener.port);
      const server = acceptFrom(listener.fd);
      expect(sys.getOptionInt(server, IPPROTO_TCP, TCP_NODELAY)).toBe(1);
      expect(sys.getOptionInt(server, SOL_SOCKET, SO_KEEPALIVE)).toBe(1);
      expect(sys.getOptionInt(server, IPPROTO_TCP, TCP_KEEPIDLE)).toBe(33);
      expect(sys.getOptionInt(server, IPPROTO_TCP, TCP_USER_TIMEOUT)).toBe(4000);
      expect(sys.getOptionInt(client, SOL_SOCKET, SO_KEEPALIVE)).toBe(0);
      expect(sys.setOptionInt(client, SOL_SOCKET, SO_SNDBUF, 20_000)).toBe(0);
      expect(sys.getOptionInt(client, SOL_SOCKET, SO_SNDBUF)).toBe(40_000);
      expect(sys.setOptionInt(client, SOL_SOCKET, SO_ERROR, 0)).toBe(-ENOPROTOOPT);
    });

    it('creates descriptors that are non-blocking and close-on-exec', () => {
      const { sys, own, tcpPair, scratch, scratchAddress } = current();
      const [, server] = tcpPair();
      expect(sys.pipe(scratchAddress)).toBe(0);
      const ends = new DataView(scratch.buffer);
      const fds = [server, own(sys.socket(AF_INET, SOCK_STREAM, 0)), own(sys.eventfd())];
      fds.push(own(ends.getInt32(0, true)), own(ends.getInt32(4, true)));
      for (const fd of fds) {
        expect(sys.fcntl(fd, F_GETFL, 0) & O_NONBLOCK).toBe(O_NONBLOCK);
        expect(sys.fcntl(fd, F_GETFD, 0)).toBe(1);
      }
    });

    it('answers EMFILE at the limit, keeps the waiting connection, and recovers', () => {
      const { sys, own, listenTcp, connectTcp, acceptFrom, poller, scratchAddress } = current();
      const listener = listenTcp();
      connectTcp(listener.port);
      const pending = poller(listener.fd, EPOLLIN);
      expect(pending.until(EPOLLIN)).toBe(EPOLLIN);
      const limit = sys.raiseDescriptorLimit();
      expect(limit).toBeGreaterThan(0);
      const fill: number[] = [];
      let last = 0;
      while (fill.length < DESCRIPTORS_MAX) {
        last = sys.eventfd();
        if (last < 0) break;
        fill.push(last);
      }
      const answers = [
        last,
        sys.socket(AF_INET, SOCK_STREAM, 0),
        sys.accept(listener.fd, 0, 0),
        sys.pipe(scratchAddress),
        sys.epollCreate(),
      ];
      sys.close(fill.pop() as number);
      const pipeWithRoomForOne = sys.pipe(scratchAddress);
      const one = sys.eventfd();
      for (const fd of fill) sys.close(fd);
      if (one >= 0) own(one);
      expect(answers).toEqual([-EMFILE, -EMFILE, -EMFILE, -EMFILE, -EMFILE]);
      expect(pipeWithRoomForOne).toBe(-EMFILE);
      expect(one).toBeGreaterThanOrEqual(0);
      expect(pending.next()).toBe(EPOLLIN);
      acceptFrom(listener.fd);
      expect(sys.accept(listener.fd, 0, 0)).toBe(-EAGAIN);
    });

    it('lets a thread say for how long it may keep a core', () => {
      expect(current().sys.setThreadSlice(1_000)).toBe(0);
    });

    it("tells a thread's CPU, which never goes back", () => {
      const { sys } = current();
      let last = sys.threadCpuUs();
      expect(last).toBeGreaterThanOrEqual(0);
      for (let i = 0; i < 1_000; i++) {
        const now = sys.threadCpuUs();
        expect(now).toBeGreaterThanOrEqual(last);
        last = now;
      }
    });

    it('runs a clock that never goes back and agrees with itself', () => {
      const { sys, poller, own } = current();
      const quiet = poller(own(sys.eventfd()), EPOLLIN);
      let before = sys.nowUs();
      for (let turn = 0; turn < 5; turn++) {
        quiet.next(2);
        const after = sys.nowUs();
        expect(after - before).toBeGreaterThanOrEqual(1900);
        expect(Math.abs(sys.nowMs() - after / 1000)).toBeLessThan(50);
        before = after;
      }
    });
  });
}
