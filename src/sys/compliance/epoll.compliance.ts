// Level- and edge-triggered readiness, and what ends a registration.

import { describe, expect, it } from 'vitest';
import { EAGAIN, EEXIST, ENOENT, EPOLLET, EPOLLIN, EPOLLOUT, EPOLLRDHUP, SHUT_WR } from '../constants.ts';
import { WAIT_MS, type Workbench } from './workbench.compliance.ts';

const EVERYTHING_ON_EDGES = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

export function describeEpoll(current: () => Workbench): void {
  describe('epoll', () => {
    it('repeats a level, but an edge only once', () => {
      const { tcpPair, sendText, recvText, poller } = current();
      const [client, server] = tcpPair();
      const level = poller(server, EPOLLIN);
      const edge = poller(server, EPOLLIN | EPOLLET);
      sendText(client, 'abc');
      for (let count = 0; count < 3; count++) expect(level.next(WAIT_MS)).toBe(EPOLLIN);
      expect(edge.next(WAIT_MS)).toBe(EPOLLIN);
      expect(edge.next()).toBe(0);
      recvText(server);
      expect(level.next()).toBe(0);
    });

    it('gives one edge for new data after a partial read', () => {
      const { tcpPair, sendText, recvText, poller } = current();
      const [client, server] = tcpPair();
      const edge = poller(server, EVERYTHING_ON_EDGES);
      expect(edge.next(WAIT_MS)).toBe(EPOLLOUT);
      sendText(client, 'abc');
      expect(edge.next(WAIT_MS)).toBe(EPOLLIN | EPOLLOUT);
      expect(recvText(server, 1)).toBe('a');
      expect(edge.next()).toBe(0);
      sendText(client, 'def');
      expect(edge.next(WAIT_MS)).toBe(EPOLLIN | EPOLLOUT);
      expect(edge.next()).toBe(0);
      expect(recvText(server)).toBe('bcdef');
    });

    it('joins what happened before it was asked, and reports what holds then', () => {
      const { sys, tcpPair, sendText, recvText, poller } = current();
      const [client, server] = tcpPair();
      const witness = poller(server, EPOLLRDHUP);
      const edge = poller(server, EVERYTHING_ON_EDGES);
      sendText(client, 'abc');
      sys.shutdown(client, SHUT_WR);
      expect(witness.until(EPOLLRDHUP)).toBe(EPOLLRDHUP);
      expect(recvText(server)).toBe('abc');
      expect(edge.next(WAIT_MS)).toBe(EPOLLIN | EPOLLOUT | EPOLLRDHUP);
      expect(edge.next()).toBe(0);
    });

    it('reports at once what holds when a descriptor is added', () => {
      const { tcpPair, sendText, poller } = current();
      const [client, server] = tcpPair();
      sendText(client, 'abc');
      expect(poller(server, EPOLLIN).next(WAIT_MS)).toBe(EPOLLIN);
      const late = poller(server, EVERYTHING_ON_EDGES);
      expect(late.next()).toBe(EPOLLIN | EPOLLOUT);
      expect(late.next()).toBe(0);
    });

    it('carries both data words, and no more records than were asked for', () => {
      const { sys, own } = current();
      const epollFd = own(sys.epollCreate());
      const record = new Int32Array(new ArrayBuffer(sys.eventWords * 4 * 4));
      const at = sys.addressOf(new Uint8Array(record.buffer));
      for (let index = 0; index < 3; index++) {
        const fd = own(sys.eventfd());
        sys.eventfdSignal(fd);
        expect(sys.epollAdd(epollFd, fd, EPOLLIN, index - 1, 100 + index)).toBe(0);
      }
      const seen = new Set<string>();
      // Two at a time: level-triggered ones go to the back, so that three turns meet everybody.
      for (let turn = 0; turn < 3; turn++) {
        expect(sys.epollWait(epollFd, at, 2, 0)).toBe(2);
        for (let index = 0; index < 2; index++) {
          const word = index * sys.eventWords;
          expect(record[word]).toBe(EPOLLIN);
          seen.add(`${record[word + sys.eventDataWord]} ${record[word + sys.eventDataWord + 1]}`);
        }
      }
      expect([...seen].sort()).toEqual(['-1 100', '0 101', '1 102']);
      expect(sys.epollWait(epollFd, at, 4, 0)).toBe(3);
    });

    it('registers once, forgets on demand and on close', () => {
      const { sys, own, poller, shut } = current();
      const fd = own(sys.eventfd());
      const other = own(sys.eventfd());
      const { epollFd, next } = poller(fd, EPOLLIN);
      expect(sys.epollAdd(epollFd, fd, EPOLLIN, 0, 0)).toBe(-EEXIST);
      expect(sys.epollRemove(epollFd, other)).toBe(-ENOENT);
      sys.eventfdSignal(fd);
      expect(next()).toBe(EPOLLIN);
      expect(sys.epollRemove(epollFd, fd)).toBe(0);
      expect(next()).toBe(0);
      expect(sys.epollAdd(epollFd, fd, EPOLLIN, 0, 0)).toBe(0);
      expect(next()).toBe(EPOLLIN);
      shut(fd);
      expect(next()).toBe(0);
    });

    it('waits for as long as it was told when nothing happens', () => {
      const { sys, own, poller } = current();
      const { next } = poller(own(sys.eventfd()), EPOLLIN);
      const before = sys.nowUs();
      expect(next(20)).toBe(0);
      expect(sys.nowUs() - before).toBeGreaterThanOrEqual(19_000);
    });

    it('wakes for an eventfd: once per signal on edges, until drained on levels', () => {
      const { sys, own, poller } = current();
      const fd = own(sys.eventfd());
      const level = poller(fd, EPOLLIN);
      const edge = poller(fd, EPOLLIN | EPOLLET);
      expect(sys.eventfdDrain(fd)).toBe(-EAGAIN);
      expect(level.next()).toBe(0);
      for (let round = 0; round < 2; round++) {
        expect(sys.eventfdSignal(fd)).toBe(0);
        expect(edge.next()).toBe(EPOLLIN);
        expect(edge.next()).toBe(0);
        expect(level.next()).toBe(EPOLLIN);
      }
      expect(sys.eventfdDrain(fd)).toBe(0);
      expect(sys.eventfdDrain(fd)).toBe(-EAGAIN);
      expect(level.next()).toBe(0);
    });
  });
}
