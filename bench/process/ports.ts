// Ports to listen on: taken from below the ephemeral range, so that no client's own port is ever in the way; and the
// kernel's count of closed connections that still hold theirs.

import { readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Child } from './child.ts';

const PORT_FIRST = 20_000;
const PORT_COUNT = 12_000;
const TRIES_MAX = 200;
const START_WAIT_MS = 15_000;
const START_LOOK_MS = 20;
/** A closed connection holds its port for a minute. */
const TIME_WAIT_MS = 62_000;

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

let next = PORT_FIRST + ((process.pid * 37) % PORT_COUNT);

/** A port of 127.0.0.1 that nobody listens on at this moment, and another one each time. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < TRIES_MAX; attempt++) {
    const port = next;
    next = port + 1 < PORT_FIRST + PORT_COUNT ? port + 1 : PORT_FIRST;
    if (await canListen(port)) return port;
  }
  throw new Error('no free port found');
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** Waits until `child` accepts on `port`. Throws, with what it said, where it ends or takes too long. */
export function waitUntilAccepts(port: number, child: Child): Promise<void> {
  return waitUntil(() => accepts(port), child);
}

/**
 * Waits until `child` answers 200 at `url`: for a subject whose sockets listen before what is behind them is ready,
 * accepting proves nothing.
 */
export function waitUntilReady(url: string, child: Child): Promise<void> {
  const asks = (): Promise<boolean> =>
    fetch(url).then(
      (response) => response.ok,
      () => false,
    );
  return waitUntil(asks, child);
}

async function waitUntil(isReady: () => Promise<boolean>, child: Child): Promise<void> {
  const deadline = performance.now() + START_WAIT_MS;
  while (!(await isReady())) {
    const ended = child.process.exitCode !== null || child.process.signalCode !== null || child.pid < 0;
    if (ended || performance.now() > deadline) {
      throw new Error(`${ended ? 'ended' : 'is not ready'} at start: ${child.output().trim()}`);
    }
    await delay(START_LOOK_MS);
  }
}

/** Sockets in TIME_WAIT now. */
export function timeWaitCount(): number {
  return Number(/^TCP:.* tw (\d+)/m.exec(readFileSync('/proc/net/sockstat', 'latin1'))?.[1] ?? 0);
}

/**
 * Waits until `count` more sockets may enter TIME_WAIT: beyond the kernel's bound it drops them at once, which would
 * make the later ones of several subjects look cheaper.
 */
export async function waitForTimeWaitRoom(count: number): Promise<void> {
  const bound = Number(readFileSync('/proc/sys/net/ipv4/tcp_max_tw_buckets', 'latin1'));
  const deadline = performance.now() + TIME_WAIT_MS;
  while (timeWaitCount() + count > bound && performance.now() < deadline) await delay(250);
}
