// Bytes through an established TCP connection: order, bounds, peeking, urgency.

import { describe, expect, it } from 'vitest';
import {
  EAGAIN,
  EPOLLET,
  EPOLLIN,
  EPOLLOUT,
  EPOLLPRI,
  MSG_OOB,
  MSG_PEEK,
  SO_OOBINLINE,
  SO_RCVBUF,
  SO_SNDBUF,
  SOL_SOCKET,
} from '../constants.ts';
import { SCRATCH_BYTES, WAIT_MS, type Workbench } from './workbench.compliance.ts';

export function describeTcpStreams(current: () => Workbench): void {
  describe('TCP streams', () => {
    it('delivers in order, whatever the sizes of writes and reads', () => {
      const { tcpPair, sendText, awaitText, recvText } = current();
      const [client, server] = tcpPair();
      for (const text of ['a', 'bcd', 'efghijkl']) expect(sendText(client, text)).toBe(text.length);
      let received = '';
      while (received.length < 12) received += awaitText(server, 5);
      expect(received).toBe('abcdefghijkl');
      expect(recvText(server)).toBe(-EAGAIN);
      expect(sendText(server, 'back')).toBe(4);
      expect(awaitText(client)).toBe('back');
    });

    it('peeks without consuming', () => {
      const { tcpPair, sendText, awaitText, recvText, poller } = current();
      const [client, server] = tcpPair();
      expect(recvText(server, 10, MSG_PEEK)).toBe(-EAGAIN);
      sendText(client, 'hello');
      expect(poller(server, EPOLLIN).next(WAIT_MS)).toBe(EPOLLIN);
      expect(recvText(server, 3, MSG_PEEK)).toBe('hel');
      expect(recvText(server, 100, MSG_PEEK)).toBe('hello');
      expect(poller(server, EPOLLIN).next(WAIT_MS)).toBe(EPOLLIN);
      expect(awaitText(server, 2)).toBe('he');
      expect(recvText(server)).toBe('llo');
    });

    it('takes a part of what does not fit, then nothing, and says when there is room again', () => {
      const { sys, tcpPair, fill, poller, scratchAddress } = current();
      const [client, server] = tcpPair();
      sys.setOptionInt(client, SOL_SOCKET, SO_SNDBUF, 20_000);
      sys.setOptionInt(server, SOL_SOCKET, SO_RCVBUF, 20_000);
      const edge = poller(client, EPOLLIN | EPOLLOUT | EPOLLET);
      expect(edge.next()).toBe(EPOLLOUT);
      const total = fill(client);
      expect(total).toBeGreaterThan(0);
      expect(sys.send(client, scratchAddress, 1, 0)).toBe(-EAGAIN);
      edge.next(0);
      expect(edge.next()).toBe(0);
      expect(sys.unsentBytes(client)).toBeGreaterThan(0);
      let received = 0;
      let edges = 0;
      while (received < total) {
        expect(poller(server, EPOLLIN).next(WAIT_MS)).toBe(EPOLLIN);
        const length = sys.recv(server, scratchAddress, SCRATCH_BYTES, 0);
        expect(length).toBeGreaterThan(0);
        received += length;
        if (edge.next(0) === EPOLLOUT) edges++;
      }
      if (edges === 0) edges += edge.next(WAIT_MS) === EPOLLOUT ? 1 : 0;
      expect(received).toBe(total);
      expect(edges).toBeGreaterThanOrEqual(1);
      expect(sys.send(client, scratchAddress, 1, 0)).toBe(1);
    });

    it('carries a megabyte unharmed through full buffers', () => {
      const { sys, tcpPair, poller, scratch, scratchAddress } = current();
      const [client, server] = tcpPair();
      const total = 1 << 20;
      const pattern = (position: number): number => (position * 31 + (position >> 8)) & 0xff;
      const out = scratch.subarray(0, 100_000);
      const into = scratchAddress + 100_000;
      let sent = 0;
      let received = 0;
      let wrong = 0;
      const readable = poller(server, EPOLLIN);
      while (received < total) {
        if (sent < total) {
          const wanted = Math.min(out.length, total - sent);
          for (let index = 0; index < wanted; index++) out[index] = pattern(sent + index);
          const taken = sys.send(client, scratchAddress, wanted, 0);
          if (taken > 0) sent += taken;
          else expect(taken).toBe(-EAGAIN);
        }
        if (readable.next(WAIT_MS) === 0) break;
        const length = sys.recv(server, into, 50_000, 0);
        for (let index = 0; index < length; index++) {
          if (scratch[100_000 + index] !== pattern(received + index)) wrong++;
        }
        received += Math.max(0, length);
      }
      expect([sent, received, wrong]).toEqual([total, total, 0]);
    });

    it('counts what the peer has not acknowledged', () => {
      const { sys, tcpPair, sendText, awaitText } = current();
      const [client, server] = tcpPair();
      expect(sys.unsentBytes(client)).toBe(0);
      sendText(client, 'abc');
      expect(awaitText(server)).toBe('abc');
      expect(sys.unsentBytes(client)).toBe(0);
    });

    it('announces urgent data with EPOLLPRI, and leaves it in line where that is asked', () => {
      const { sys, tcpPair, sendText, recvText, poller } = current();
      const [client, server] = tcpPair();
      expect(sys.setOptionInt(server, SOL_SOCKET, SO_OOBINLINE, 1)).toBe(0);
      sendText(client, 'ab!', MSG_OOB);
      expect(poller(server, EPOLLIN | EPOLLPRI).until(EPOLLPRI)).toBe(EPOLLIN | EPOLLPRI);
      expect(recvText(server)).toBe('ab');
      expect(recvText(server)).toBe('!');
      expect(recvText(server)).toBe(-EAGAIN);
      expect(poller(server, EPOLLIN | EPOLLPRI).next()).toBe(0);
    });

    it('takes urgent data out of the stream otherwise', () => {
      const { tcpPair, sendText, recvText, poller, awaitText } = current();
      const [client, server] = tcpPair();
      sendText(client, 'ab!', MSG_OOB);
      expect(poller(server, EPOLLIN | EPOLLPRI).until(EPOLLPRI)).toBe(EPOLLIN | EPOLLPRI);
      expect(recvText(server)).toBe('ab');
      sendText(client, 'cd');
      expect(awaitText(server)).toBe('cd');
    });
  });
}
