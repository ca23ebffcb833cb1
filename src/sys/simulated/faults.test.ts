// Each fault happens when it is asked for, and leaves the program a way on: an edge, a level, or a later try.

import { describe, expect, it } from 'vitest';
import {
  AF_INET,
  EAGAIN,
  ECONNRESET,
  EINTR,
  EPOLLERR,
  EPOLLET,
  EPOLLIN,
  EPOLLOUT,
  SOCK_STREAM,
} from '../constants.ts';
import { MAPPED_WORD, SocketAddress } from '../socket-address.ts';
import type { Faults } from './faults.ts';
import { createSimulatedNetwork, type SimulatedNetwork } from './simulated-network.ts';
import type { SimulatedSys } from './simulated-sys.ts';

const LOOPBACK = 0x7f000001;
const PORT = 4000;
const SCRATCH_BYTES = 1 << 17;
const DATA_BYTES = 20_000;
const EDGES = EPOLLIN | EPOLLOUT | EPOLLET;

interface Scene {
  readonly network: SimulatedNetwork;
  /** The process that meets the faults; its end of the connection is `fd`. */
  readonly sys: SimulatedSys;
  readonly peers: SimulatedSys;
  readonly at: number;
  readonly listener: number;
  readonly fd: number;
  readonly connectedMs: number;
  accept(): number;
  epoll(sys: SimulatedSys, fd: number, mask: number): () => number;
}

/** A faulty client and a listener of a faultless peer, its connection established but not accepted. */
function scene(faults: Partial<Faults>, seed = 1): Scene {
  const network = createSimulatedNetwork({ seed, faults });
  const sys = network.sys();
  const peers = network.sys({ faults: {} });
  const at = sys.addressOf(new Uint8Array(SCRATCH_BYTES));
  const records = new Int32Array(16);
  const recordsAddress = sys.addressOf(new Uint8Array(records.buffer));
  const address = new SocketAddress(sys);
  address.setIp(0, 0, MAPPED_WORD, LOOPBACK, PORT);

  function epoll(process: SimulatedSys, fd: number, mask: number): () => number {
    const epollFd = process.epollCreate();
    expect(process.epollAdd(epollFd, fd, mask, 0, 0)).toBe(0);
    return () => {
      const count = process.epollWait(epollFd, recordsAddress, 1, 1000);
      return count > 0 ? (records[0] as number) : count;
    };
  }

  const listener = peers.socket(AF_INET, SOCK_STREAM, 0);
  peers.bind(listener, address.address, address.length);
  peers.listen(listener, 8);
  const fd = sys.socket(AF_INET, SOCK_STREAM, 0);
  const startMs = network.nowMs();
  sys.connect(fd, address.address, address.length);
  epoll(peers, listener, EPOLLIN)();
  const accept = (): number => peers.accept(listener, 0, 0);
  return { network, sys, peers, at, listener, fd, connectedMs: network.nowMs() - startMs, accept, epoll };
}

describe('faults of the simulated network', () => {
  it('splits writes, and gives an edge when there is room again', () => {
    const { sys, fd, at, epoll } = scene({ splitWrite: 1 });
    const edge = epoll(sys, fd, EDGES);
    expect(edge()).toBe(EPOLLOUT);
    const sent = sys.send(fd, at, DATA_BYTES, 0);
    expect(sent).toBeGreaterThan(0);
    expect(sent).toBeLessThan(DATA_BYTES);
    expect(sys.send(fd, at, DATA_BYTES - sent, 0)).toBe(-EAGAIN);
    expect(edge()).toBe(EPOLLOUT);
    expect(sys.send(fd, at, DATA_BYTES - sent, 0)).toBeGreaterThan(0);
  });

  it('answers EAGAIN to a send that had room, and gives an edge afterwards', () => {
    const { sys, fd, at, epoll } = scene({ spuriousAgain: 1 });
    const edge = epoll(sys, fd, EDGES);
    expect(edge()).toBe(EPOLLOUT);
    for (let round = 0; round < 3; round++) {
      expect(sys.send(fd, at, 10, 0)).toBe(-EAGAIN);
      expect(edge()).toBe(EPOLLOUT);
    }
  });

  it('answers EAGAIN to an accept now and then, while the level stays', () => {
    const network = createSimulatedNetwork({ seed: 1, faults: { spuriousAgain: 0.5 } });
    const sys = network.sys();
    const peers = network.sys({ faults: {} });
    const address = new SocketAddress(sys);
    address.setIp(0, 0, MAPPED_WORD, LOOPBACK, PORT);
    const listener = sys.socket(AF_INET, SOCK_STREAM, 0);
    sys.bind(listener, address.address, address.length);
    sys.listen(listener, 64);
    for (let count = 0; count < 20; count++) {
      peers.connect(peers.socket(AF_INET, SOCK_STREAM, 0), address.address, address.length);
    }
    network.advance(5);
    let accepted = 0;
    let refused = 0;
    while (accepted < 20) {
      if (sys.accept(listener, 0, 0) >= 0) accepted++;
      else refused++;
    }
    expect(refused).toBeGreaterThan(3);
    expect(sys.accept(listener, 0, 0)).toBe(-EAGAIN);
  });

  it('interrupts waits', () => {
    const { sys, fd, epoll } = scene({ interrupt: 1 });
    expect(epoll(sys, fd, EPOLLOUT)()).toBe(-EINTR);
  });

  it('reports ready descriptors in different orders', () => {
    const orders = new Set<string>();
    for (let seed = 1; seed <= 20; seed++) {
      const sys = createSimulatedNetwork({ seed, faults: { reorder: 1 } }).sys();
      const epollFd = sys.epollCreate();
      const records = new Int32Array(3 * sys.eventWords);
      for (let index = 0; index < 3; index++) sys.epollAdd(epollFd, sys.eventfd(), EPOLLOUT, index, 0);
      expect(sys.epollWait(epollFd, sys.addressOf(new Uint8Array(records.buffer)), 3, 0)).toBe(3);
      orders.add([0, 1, 2].map((index) => records[index * sys.eventWords + sys.eventDataWord]).join());
    }
    expect(orders.size).toBeGreaterThan(3);
  });

  it('sends fragments, and has small buffers', () => {
    const fragments = scene({ fragment: 1 });
    const server = fragments.accept();
    expect(fragments.sys.send(fragments.fd, fragments.at, DATA_BYTES, 0)).toBe(DATA_BYTES);
    fragments.epoll(fragments.peers, server, EPOLLIN)();
    expect(fragments.peers.recv(server, fragments.at, DATA_BYTES, 0)).toBeLessThan(DATA_BYTES);
    const small = scene({ smallBuffers: 1 });
    expect(small.sys.send(small.fd, small.at, DATA_BYTES, 0)).toBe(4608);
  });

  it('resets both ends, within 20 ms', () => {
    const { network, sys, peers, fd, at, accept, epoll } = scene({ reset: 1 });
    const server = accept();
    network.advance(20);
    expect(epoll(sys, fd, EDGES)() & EPOLLERR).toBe(EPOLLERR);
    expect(sys.recv(fd, at, 1, 0)).toBe(-ECONNRESET);
    expect(peers.recv(server, at, 1, 0)).toBe(-ECONNRESET);
  });

  it('delays connects, within 200 ms', () => {
    const delays = [1, 2, 3, 4, 5].map((seed) => scene({ delayedConnect: 1 }, seed).connectedMs);
    expect(Math.max(...delays)).toBeGreaterThan(20);
    expect(Math.max(...delays)).toBeLessThan(210);
  });

  it('never reads short while more is queued, nor delivers a byte that was not sent', () => {
    const { sys, peers, fd, at, accept, network } = scene({
      splitWrite: 0.5,
      spuriousAgain: 0.2,
      fragment: 0.5,
    });
    const server = accept();
    let sent = 0;
    let received = 0;
    for (let turn = 0; turn < 300; turn++) {
      sent += Math.max(0, sys.send(fd, at, 1000, 0));
      network.advance(1);
      if (turn % 10 !== 9) continue;
      received += peers.recv(server, at, 700, 0);
      expect(received % 700 === 0 || received === sent).toBe(true);
    }
    expect(received).toBeGreaterThan(0);
    expect(received).toBeLessThanOrEqual(sent);
  });
});
