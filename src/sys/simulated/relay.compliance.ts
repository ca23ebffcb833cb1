// The smallest relay that a simulation can be tried with: an edge-triggered proxy that meets the faults, clients that
// send a pattern and expect it back, and echo servers, all on one simulated network. It measures and checks the
// simulation; the real path has tests of its own.

import {
  AF_INET,
  EAGAIN,
  EINPROGRESS,
  EINTR,
  EPOLLET,
  EPOLLIN,
  EPOLLOUT,
  EPOLLRDHUP,
  SHUT_WR,
  SOCK_STREAM,
} from '../constants.ts';
import { MAPPED_WORD, SocketAddress } from '../socket-address.ts';
import type { Sys } from '../sys.ts';
import type { Faults } from './faults.ts';
import { createSimulatedNetwork, type SimulatedNetwork } from './simulated-network.ts';
import type { SimulatedSys } from './simulated-sys.ts';

export interface RelayInit {
  readonly connections: number;
  /** Each client sends and expects back up to this many bytes; below 900,000. */
  readonly bytesMax: number;
  readonly faults: Faults;
}

export interface RelayOutcome {
  readonly finished: number;
  readonly reset: number;
  readonly wrongBytes: number;
  /** Open descriptors of all processes at the end, beyond those that stay. */
  readonly descriptorsLeft: number;
  readonly virtualMs: number;
  /** Depends on every event and its moment. */
  readonly digest: number;
}

const CHUNK_BYTES = 16384;
const EVENTS_MAX = 64;
const LOOPBACK = 0x7f000001;
const PROXY_PORT = 1080;
const SERVER_PORT = 8080;
const TURNS_MAX = 400_000;
const VIRTUAL_MS_MAX = 300_000;

interface Tally {
  finished: number;
  reset: number;
  wrongBytes: number;
}

/** What clients send: each reads these bytes from a place of its own. */
const PATTERN_BYTES = 1 << 20;
const PATTERN_STEP = 977;
const pattern = Buffer.alloc(PATTERN_BYTES);
for (let index = 0; index < PATTERN_BYTES; index++) pattern[index] = index * 7 + (index >> 9) + (index >> 17);

function listenOn(sys: Sys, address: SocketAddress, port: number): number {
  const fd = sys.socket(AF_INET, SOCK_STREAM, 0);
  address.setIp(0, 0, MAPPED_WORD, LOOPBACK, port);
  sys.bind(fd, address.address, address.length);
  sys.listen(fd, 128);
  return fd;
}

function endWithReset(sys: Sys, fd: number): void {
  sys.resetOnClose(fd);
  sys.close(fd);
}

export function relayManyConnections(seed: number, init: RelayInit): RelayOutcome {
  const network = createSimulatedNetwork({ seed, faults: init.faults });
  const peers = network.sys({ faults: {} });
  const tally: Tally = { finished: 0, reset: 0, wrongBytes: 0 };
  const proxy = createProxy(network);
  const listener = serveEcho(network, peers);
  for (let id = 0; id < init.connections; id++) {
    const length = 1 + network.random.below(init.bytesMax);
    network.at(network.random.below(20), () => runClient(network, peers, id, length, tally));
  }
  const startMs = network.nowMs();
  let turns = 0;
  const unfinished = (): boolean => tally.finished + tally.reset < init.connections || proxy.live() > 0;
  while (unfinished() && turns++ < TURNS_MAX && network.nowMs() - startMs < VIRTUAL_MS_MAX) proxy.turn();
  const virtualMs = network.nowMs() - startMs;
  proxy.stop();
  peers.close(listener);
  network.advance(10_000);
  return {
    ...tally,
    descriptorsLeft: proxy.openCount() + peers.openCount(),
    virtualMs,
    digest: proxy.digest(),
  };
}

/** A client: sends everything, closes its direction, and compares what comes back until the end. */
function runClient(
  network: SimulatedNetwork,
  sys: SimulatedSys,
  id: number,
  length: number,
  tally: Tally,
): void {
  const bytes = new Uint8Array(CHUNK_BYTES);
  const address = new SocketAddress(sys);
  const at = sys.addressOf(bytes);
  const fd = sys.socket(AF_INET, SOCK_STREAM, 0);
  address.setIp(0, 0, MAPPED_WORD, LOOPBACK, PROXY_PORT);
  if (sys.connect(fd, address.address, address.length) !== -EINPROGRESS) throw new Error('connect');
  const first = id * PATTERN_STEP;
  const patternAt = sys.addressOf(pattern) + first;
  let sent = 0;
  let received = 0;

  function end(how: 'finished' | 'reset'): void {
    tally[how]++;
    if (how === 'finished' && received !== length) tally.wrongBytes += length - received;
    sys.close(fd);
  }

  /** @returns false where the connection is over */
  function write(): boolean {
    while (sent < length) {
      const wanted = Math.min(CHUNK_BYTES, length - sent);
      const taken = sys.send(fd, patternAt + sent, wanted, 0);
      if (taken === -EAGAIN) return true;
      if (taken < 0) {
        end('reset');
        return false;
      }
      sent += taken;
      if (sent === length) sys.shutdown(fd, SHUT_WR);
    }
    return true;
  }

  network.watch(sys, fd, () => {
    if (!write()) return;
    for (;;) {
      const taken = sys.recv(fd, at, CHUNK_BYTES, 0);
      if (taken === -EAGAIN) return;
      if (taken <= 0) {
        end(taken === 0 ? 'finished' : 'reset');
        return;
      }
      const start = first + received;
      if (pattern.compare(bytes, 0, taken, start, start + taken) !== 0) tally.wrongBytes += taken;
      received += taken;
    }
  });
}

/** Servers that send back what they get. @returns the listener */
function serveEcho(network: SimulatedNetwork, sys: SimulatedSys): number {
  const address = new SocketAddress(sys);
  const listener = listenOn(sys, address, SERVER_PORT);
  network.watch(sys, listener, () => {
    for (let fd = sys.accept(listener, 0, 0); fd >= 0; fd = sys.accept(listener, 0, 0)) {
      const direction = createDirection(sys, fd, fd);
      const accepted = fd;
      network.watch(sys, accepted, () => {
        const result = pump(sys, direction);
        if (result < 0) endWithReset(sys, accepted);
        else if (result === 0) sys.close(accepted);
      });
    }
  });
  return listener;
}

interface Direction {
  readonly from: number;
  readonly to: number;
  readonly at: number;
  /** Bytes read and not yet written: [start, end) of the direction's buffer. */
  start: number;
  end: number;
  ended: boolean;
}

function createDirection(sys: Sys, from: number, to: number): Direction {
  return { from, to, at: sys.addressOf(new Uint8Array(CHUNK_BYTES)), start: 0, end: 0, ended: false };
}

/** Moves what can be moved. @returns 1 there may be more later, 0 the direction has ended, or a negative errno */
function pump(sys: Sys, direction: Direction): number {
  while (!direction.ended) {
    while (direction.start < direction.end) {
      const sent = sys.send(direction.to, direction.at + direction.start, direction.end - direction.start, 0);
      if (sent < 0) return sent === -EAGAIN ? 1 : sent;
      direction.start += sent;
    }
    const taken = sys.recv(direction.from, direction.at, CHUNK_BYTES, 0);
    if (taken < 0) return taken === -EAGAIN ? 1 : taken;
    direction.start = 0;
    direction.end = taken;
    if (taken > 0) continue;
    direction.ended = true;
    sys.shutdown(direction.to, SHUT_WR);
  }
  return 0;
}

interface Proxy {
  turn(): void;
  live(): number;
  stop(): void;
  openCount(): number;
  digest(): number;
}

interface Pair {
  readonly client: number;
  readonly server: number;
  readonly up: Direction;
  readonly down: Direction;
}

function createProxy(network: SimulatedNetwork): Proxy {
  const sys = network.sys();
  const address = new SocketAddress(sys);
  const records = new Int32Array(EVENTS_MAX * sys.eventWords);
  const recordsAddress = sys.addressOf(new Uint8Array(records.buffer));
  const pairs = new Map<number, Pair>();
  let digest = 0;
  const epollFd = patiently(() => sys.epollCreate());
  const listener = patiently(() => sys.socket(AF_INET, SOCK_STREAM, 0));
  address.setIp(0, 0, MAPPED_WORD, LOOPBACK, PROXY_PORT);
  sys.bind(listener, address.address, address.length);
  sys.listen(listener, 128);
  sys.epollAdd(epollFd, listener, EPOLLIN, listener, 0);
  address.setIp(0, 0, MAPPED_WORD, LOOPBACK, SERVER_PORT);

  /** At start a descriptor must be had, even on a bad day. */
  function patiently(open: () => number): number {
    let fd = open();
    while (fd < 0) {
      network.advance(1);
      fd = open();
    }
    return fd;
  }

  function admit(client: number): void {
    const server = sys.socket(AF_INET, SOCK_STREAM, 0);
    if (server < 0 || sys.connect(server, address.address, address.length) !== -EINPROGRESS) {
      endWithReset(sys, client);
      if (server >= 0) sys.close(server);
      return;
    }
    const up = createDirection(sys, client, server);
    const pair: Pair = { client, server, up, down: createDirection(sys, server, client) };
    for (const fd of [client, server]) {
      pairs.set(fd, pair);
      sys.epollAdd(epollFd, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, fd, 0);
    }
  }

  function serve(pair: Pair): void {
    const up = pump(sys, pair.up);
    const down = up < 0 ? up : pump(sys, pair.down);
    if (up > 0 || down > 0) return;
    for (const fd of [pair.client, pair.server]) {
      pairs.delete(fd);
      if (down < 0) sys.resetOnClose(fd);
      sys.close(fd);
    }
  }

  function turn(): void {
    const count = sys.epollWait(epollFd, recordsAddress, EVENTS_MAX, 1000);
    if (count < 0 && count !== -EINTR) throw new Error(`epollWait ${count}`);
    for (let index = 0; index < count; index++) {
      const word = index * sys.eventWords;
      const fd = records[word + sys.eventDataWord] as number;
      digest = (Math.imul(digest ^ fd ^ sys.nowUs(), 0x01000193) + (records[word] as number)) | 0;
      const pair = pairs.get(fd);
      if (pair !== undefined) serve(pair);
      if (fd !== listener) continue;
      const client = sys.accept(listener, 0, 0);
      if (client >= 0) admit(client);
    }
  }

  return {
    turn,
    live: () => pairs.size,
    stop() {
      sys.close(listener);
      sys.close(epollFd);
    },
    openCount: () => sys.openCount(),
    digest: () => digest,
  };
}
