// Pipes and splice: socket to pipe to socket, and every way in which either side can be unable to go on.

import { describe, expect, it } from 'vitest';
import {
  EAGAIN,
  EINVAL,
  EPIPE,
  EPOLLERR,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  F_GETPIPE_SZ,
  F_SETPIPE_SZ,
  SHUT_WR,
  SPLICE_F_MOVE,
} from '../constants.ts';
import { WAIT_MS, type Workbench } from './workbench.compliance.ts';

export function describePipes(current: () => Workbench): void {
  function makePipe(): [readEnd: number, writeEnd: number] {
    const { sys, own, scratch, scratchAddress } = current();
    expect(sys.pipe(scratchAddress)).toBe(0);
    const ends = new DataView(scratch.buffer);
    return [own(ends.getInt32(0, true)), own(ends.getInt32(4, true))];
  }

  describe('pipes and splice', () => {
    it('moves bytes from socket to pipe to socket', () => {
      const { sys, tcpPair, sendText, awaitText, poller } = current();
      const [client, proxyIn] = tcpPair();
      const [proxyOut, server] = tcpPair();
      const [readEnd, writeEnd] = makePipe();
      expect(sys.splice(proxyIn, writeEnd, 65536, SPLICE_F_MOVE)).toBe(-EAGAIN);
      expect(sys.splice(readEnd, proxyOut, 65536, SPLICE_F_MOVE)).toBe(-EAGAIN);
      sendText(client, 'through the pipe');
      expect(poller(proxyIn, EPOLLIN).next(WAIT_MS)).toBe(EPOLLIN);
      expect(sys.splice(proxyIn, writeEnd, 7, SPLICE_F_MOVE)).toBe(7);
      expect(poller(readEnd, EPOLLIN).next()).toBe(EPOLLIN);
      expect(sys.splice(proxyIn, writeEnd, 65536, SPLICE_F_MOVE)).toBe(9);
      expect(sys.splice(proxyIn, writeEnd, 65536, SPLICE_F_MOVE)).toBe(-EAGAIN);
      expect(sys.splice(readEnd, proxyOut, 65536, SPLICE_F_MOVE)).toBe(16);
      expect(sys.splice(readEnd, proxyOut, 65536, SPLICE_F_MOVE)).toBe(-EAGAIN);
      expect(awaitText(server)).toBe('through the pipe');
    });

    it('answers 0 at the end of a stream, EPIPE towards a closed one', () => {
      const { sys, tcpPair, sendText, poller } = current();
      const [client, proxyIn] = tcpPair();
      const [proxyOut] = tcpPair();
      const [readEnd, writeEnd] = makePipe();
      sendText(client, 'abc');
      sys.shutdown(client, SHUT_WR);
      expect(poller(proxyIn, EPOLLIN | 0x2000).until(0x2000)).not.toBe(0);
      expect(sys.splice(proxyIn, writeEnd, 65536, 0)).toBe(3);
      expect(sys.splice(proxyIn, writeEnd, 65536, 0)).toBe(0);
      sys.shutdown(proxyOut, SHUT_WR);
      expect(sys.splice(readEnd, proxyOut, 65536, 0)).toBe(-EPIPE);
    });

    it('stops at a full pipe, and the rest stays in the socket', () => {
      const { sys, tcpPair, fill, poller, recvText } = current();
      const [client, proxyIn] = tcpPair();
      const [, writeEnd] = makePipe();
      expect(sys.fcntl(writeEnd, F_SETPIPE_SZ, 4096)).toBe(4096);
      fill(client);
      let moved = 0;
      let last = 0;
      for (let tries = 0; tries < 100 && last >= 0; tries++) {
        expect(poller(proxyIn, EPOLLIN).next(WAIT_MS)).toBe(EPOLLIN);
        last = sys.splice(proxyIn, writeEnd, 65536, 0);
        if (last > 0) moved += last;
      }
      expect(last).toBe(-EAGAIN);
      expect(moved).toBeGreaterThan(0);
      expect(poller(writeEnd, EPOLLOUT).next()).toBe(0);
      expect(recvText(proxyIn, 10)).toHaveLength(10);
    });

    it('moves what a full socket takes, then answers EAGAIN', () => {
      const { sys, tcpPair, fill, sendText, poller, awaitText } = current();
      const [client, proxyIn] = tcpPair();
      const [proxyOut, server] = tcpPair();
      const [readEnd, writeEnd] = makePipe();
      sendText(client, 'waiting');
      expect(poller(proxyIn, EPOLLIN).next(WAIT_MS)).toBe(EPOLLIN);
      expect(sys.splice(proxyIn, writeEnd, 65536, 0)).toBe(7);
      const held = fill(proxyOut);
      expect(sys.splice(readEnd, proxyOut, 65536, 0)).toBe(-EAGAIN);
      let received = 0;
      while (received < held) received += (awaitText(server) as string).length;
      expect(poller(proxyOut, EPOLLOUT).next(WAIT_MS)).toBe(EPOLLOUT);
      expect(sys.splice(readEnd, proxyOut, 65536, 0)).toBe(7);
      expect(awaitText(server)).toBe('waiting');
    });

    it('has a size that can be asked and changed', () => {
      const { sys } = current();
      const [readEnd, writeEnd] = makePipe();
      expect(sys.fcntl(readEnd, F_GETPIPE_SZ, 0)).toBeGreaterThanOrEqual(4096);
      expect(sys.fcntl(writeEnd, F_SETPIPE_SZ, 100_000)).toBe(131_072);
      expect(sys.fcntl(readEnd, F_GETPIPE_SZ, 0)).toBe(131_072);
    });

    it('tells one end when the other is closed', () => {
      const { sys, tcpPair, sendText, shut, poller } = current();
      const [client, proxyIn] = tcpPair();
      const [readEnd, writeEnd] = makePipe();
      expect(poller(writeEnd, EPOLLOUT).next()).toBe(EPOLLOUT);
      shut(readEnd);
      expect(poller(writeEnd, EPOLLOUT).next()).toBe(EPOLLOUT | EPOLLERR);
      sendText(client, 'x');
      expect(poller(proxyIn, EPOLLIN).next(WAIT_MS)).toBe(EPOLLIN);
      expect(sys.splice(proxyIn, writeEnd, 10, 0)).toBe(-EPIPE);
      const [otherReadEnd, otherWriteEnd] = makePipe();
      shut(otherWriteEnd);
      expect(poller(otherReadEnd, EPOLLIN).next()).toBe(EPOLLHUP);
      expect(sys.splice(otherReadEnd, proxyIn, 10, 0)).toBe(0);
    });

    it('refuses to splice without a pipe', () => {
      const { sys, tcpPair } = current();
      const [client, server] = tcpPair();
      expect(sys.splice(client, server, 10, 0)).toBe(-EINVAL);
    });
  });
}
