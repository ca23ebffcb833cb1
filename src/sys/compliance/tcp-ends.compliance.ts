// How a TCP connection ends: half-closes both ways, FIN, RST, and what is still to be read before them.

import { describe, expect, it } from 'vitest';
import {
  EAGAIN,
  ECONNRESET,
  ENOTCONN,
  EPIPE,
  EPOLLERR,
  EPOLLET,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  EPOLLRDHUP,
  SHUT_RD,
  SHUT_RDWR,
  SHUT_WR,
  SO_ERROR,
  SOL_SOCKET,
} from '../constants.ts';
import { WAIT_MS, type Workbench } from './workbench.compliance.ts';

const EVERYTHING = EPOLLIN | EPOLLOUT | EPOLLRDHUP;
const RESET_BITS = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLERR | EPOLLHUP;

export function describeTcpEnds(current: () => Workbench): void {
  describe('ends of TCP connections', () => {
    it.each([
      ['client', 0],
      ['server', 1],
    ])('lets the %s close its direction while the other goes on', (_, first) => {
      const { sys, tcpPair, sendText, awaitText, recvText, poller } = current();
      const pair = tcpPair();
      const closing = pair[first as 0 | 1];
      const open = pair[(1 - first) as 0 | 1];
      sendText(closing, 'last words');
      expect(sys.shutdown(closing, SHUT_WR)).toBe(0);
      expect(sendText(closing, 'x')).toBe(-EPIPE);
      expect(poller(open, EVERYTHING | EPOLLET).until(EPOLLRDHUP)).toBe(EVERYTHING);
      expect(recvText(open)).toBe('last words');
      expect(recvText(open)).toBe(0);
      expect(recvText(open)).toBe(0);
      for (const text of ['still', ' here']) {
        expect(sendText(open, text)).toBe(text.length);
        expect(awaitText(closing)).toBe(text);
      }
      expect(sys.shutdown(open, SHUT_WR)).toBe(0);
      expect(poller(closing, EVERYTHING).until(EPOLLHUP)).toBe(EVERYTHING | EPOLLHUP);
      expect(recvText(closing)).toBe(0);
      expect(poller(open, EVERYTHING).until(EPOLLHUP)).toBe(EVERYTHING | EPOLLHUP);
      expect(sys.shutdown(open, SHUT_WR)).toBe(-ENOTCONN);
      expect(sys.getOptionInt(open, SOL_SOCKET, SO_ERROR)).toBe(0);
    });

    it('gives an edge to the one who shuts down', () => {
      const { sys, tcpPair, poller } = current();
      const [client] = tcpPair();
      const edge = poller(client, EVERYTHING | EPOLLET);
      expect(edge.next(WAIT_MS)).toBe(EPOLLOUT);
      expect(edge.next()).toBe(0);
      sys.shutdown(client, SHUT_WR);
      expect(edge.next(WAIT_MS)).toBe(EPOLLOUT);
    });

    it('reads nothing more after SHUT_RD but what has come', () => {
      const { sys, tcpPair, sendText, awaitText, recvText, poller } = current();
      const [client, server] = tcpPair();
      sendText(client, 'early');
      expect(poller(server, EPOLLIN).next(WAIT_MS)).toBe(EPOLLIN);
      expect(sys.shutdown(server, SHUT_RD)).toBe(0);
      expect(poller(server, EVERYTHING).next(WAIT_MS)).toBe(EVERYTHING);
      expect(recvText(server)).toBe('early');
      expect(recvText(server)).toBe(0);
      sendText(server, 'answer');
      expect(awaitText(client)).toBe('answer');
    });

    it('closes with FIN: data, then end of stream, then EPIPE for whoever goes on writing', () => {
      const { tcpPair, sendText, recvText, poller, shut } = current();
      const [client, server] = tcpPair();
      sendText(client, 'bye');
      const edge = poller(server, EVERYTHING | EPOLLET);
      shut(client);
      expect(edge.until(EPOLLRDHUP)).toBe(EVERYTHING);
      expect(recvText(server)).toBe('bye');
      expect(recvText(server)).toBe(0);
      expect(sendText(server, 'anybody?')).toBe(8);
      expect(edge.until(EPOLLERR)).toBe(RESET_BITS);
      expect(sendText(server, 'x')).toBe(-EPIPE);
      expect(recvText(server)).toBe(0);
    });

    it('resets when it is closed with unread data', () => {
      const { tcpPair, sendText, recvText, poller, shut } = current();
      const [client, server] = tcpPair();
      sendText(client, 'never read');
      expect(poller(server, EPOLLIN).next(WAIT_MS)).toBe(EPOLLIN);
      shut(server);
      expect(poller(client, EVERYTHING | EPOLLET).until(EPOLLERR)).toBe(RESET_BITS);
      expect(recvText(client)).toBe(-ECONNRESET);
      expect(recvText(client)).toBe(0);
      expect(sendText(client, 'x')).toBe(-EPIPE);
    });

    it('resets on demand, and what was sent before still arrives first', () => {
      const { sys, tcpPair, sendText, recvText, poller, shut } = current();
      const [client, server] = tcpPair();
      sendText(client, 'first');
      expect(poller(server, EPOLLIN).next(WAIT_MS)).toBe(EPOLLIN);
      expect(sys.resetOnClose(client)).toBe(0);
      shut(client);
      expect(poller(server, EVERYTHING | EPOLLET).until(EPOLLERR)).toBe(RESET_BITS);
      expect(recvText(server)).toBe('first');
      expect(recvText(server)).toBe(-ECONNRESET);
      expect(recvText(server)).toBe(0);
    });

    it('goes on counting what a reset left undelivered', () => {
      const { sys, tcpPair, fill, poller, shut } = current();
      const [client, server] = tcpPair();
      fill(client);
      sys.resetOnClose(server);
      shut(server);
      expect(poller(client, EVERYTHING | EPOLLET).until(EPOLLERR)).toBe(RESET_BITS);
      expect(sys.unsentBytes(client)).toBeGreaterThan(0);
    });

    it('reports a reset once, to a send or to SO_ERROR as well', () => {
      const { sys, tcpPair, sendText, poller, shut } = current();
      for (const [ask, answer] of [
        [(fd: number) => sendText(fd, 'x'), -ECONNRESET],
        [(fd: number) => sys.getOptionInt(fd, SOL_SOCKET, SO_ERROR), ECONNRESET],
      ] as const) {
        const [client, server] = tcpPair();
        sys.resetOnClose(client);
        shut(client);
        expect(poller(server, EVERYTHING | EPOLLET).until(EPOLLERR)).toBe(RESET_BITS);
        expect(ask(server)).toBe(answer);
        expect(sys.getOptionInt(server, SOL_SOCKET, SO_ERROR)).toBe(0);
        expect(sendText(server, 'x')).toBe(-EPIPE);
      }
    });

    it('resets after a half-close, too', () => {
      const { sys, tcpPair, recvText, poller, shut } = current();
      const [client, server] = tcpPair();
      sys.shutdown(client, SHUT_WR);
      expect(poller(server, EPOLLRDHUP).until(EPOLLRDHUP)).toBe(EPOLLRDHUP);
      sys.resetOnClose(client);
      shut(client);
      expect(poller(server, EVERYTHING | EPOLLET).until(EPOLLERR)).toBe(RESET_BITS);
      expect(sys.getOptionInt(server, SOL_SOCKET, SO_ERROR)).toBe(EPIPE);
      expect(recvText(server)).toBe(0);
    });

    it('resets a peer that writes to an end shut down both ways', () => {
      const { sys, tcpPair, sendText, poller } = current();
      const [client, server] = tcpPair();
      sys.shutdown(server, SHUT_RDWR);
      const edge = poller(client, EVERYTHING | EPOLLET);
      expect(edge.until(EPOLLRDHUP)).toBe(EVERYTHING);
      expect(sendText(client, 'x')).toBe(1);
      expect(edge.until(EPOLLERR)).toBe(RESET_BITS);
    });

    it('delivers everything that was sent before an orderly close, however slowly it is read', () => {
      const { tcpPair, fill, poller, shut, recvText } = current();
      const [client, server] = tcpPair();
      const total = fill(client);
      shut(client);
      let received = 0;
      for (;;) {
        expect(poller(server, EPOLLIN).next(WAIT_MS)).not.toBe(0);
        const text = recvText(server, 30_000);
        if (typeof text === 'number') {
          expect(text).toBe(0);
          break;
        }
        received += text.length;
      }
      expect(received).toBe(total);
    });

    it('says EAGAIN, not end of stream, while the peer is silent', () => {
      const { tcpPair, recvText } = current();
      const [client, server] = tcpPair();
      expect(recvText(client)).toBe(-EAGAIN);
      expect(recvText(server)).toBe(-EAGAIN);
    });
  });
}
