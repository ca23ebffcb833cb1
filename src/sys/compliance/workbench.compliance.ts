// What the compliance suite works with: one Sys, a scratch buffer, and short ways to make listeners, pairs of connected
// sockets and pollers. Nothing here sleeps: waiting is done in `epollWait`, which on the simulated network passes
// virtual time.

import { expect } from 'vitest';
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  EAGAIN,
  EINPROGRESS,
  EPOLLIN,
  EPOLLOUT,
  SO_REUSEADDR,
  SOCK_STREAM,
  SOL_SOCKET,
} from '../constants.ts';
import { MAPPED_WORD, SocketAddress } from '../socket-address.ts';
import type { Sys } from '../sys.ts';

/** One implementation, fresh for each test. */
export interface SysFixture {
  readonly sys: Sys;
  /** A path for a Unix socket where nothing stands. */
  unixPath(): string;
  /** Places a file that is no socket. */
  placeFile(path: string): void;
  /** Mode bits (0o777) at `path`. */
  modeOf(path: string): number;
  dispose(): void;
}

export const LOOPBACK_V4 = 0x7f000001;
export const WAIT_MS = 2000;
/** How long a test watches for something that must not happen. */
export const QUIET_MS = 5;
export const SCRATCH_BYTES = 1 << 18;
const EVENTS_MAX = 16;

interface Poller {
  readonly epollFd: number;
  /** The mask of the next event, or 0 when none comes within `timeoutMs`. */
  next(timeoutMs?: number): number;
  /** Waits until an event with all of these bits came. */
  until(bits: number): number;
}

export interface Workbench {
  readonly sys: Sys;
  readonly fixture: SysFixture;
  readonly name: SocketAddress;
  readonly scratch: Uint8Array;
  readonly scratchAddress: number;
  /** Notes a descriptor for closing at the end; a negative errno fails the test. */
  own(fd: number): number;
  poller(fd: number, mask: number): Poller;
  setLoopback(family: number, port: number): void;
  listenTcp(family?: number, backlog?: number): { fd: number; port: number };
  connectTcp(port: number, family?: number): number;
  acceptFrom(listenerFd: number): number;
  tcpPair(family?: number): [client: number, server: number];
  listenUnix(path: string, backlog?: number): number;
  unixPair(): [client: number, server: number];
  sendText(fd: number, text: string, flags?: number): number;
  /** The bytes as text, or a number where recv answered 0 or an errno. */
  recvText(fd: number, lengthMax?: number, flags?: number): string | number;
  /** Waits until something is to be read, then as `recvText`. */
  awaitText(fd: number, lengthMax?: number): string | number;
  /** Sends until EAGAIN. @returns bytes taken */
  fill(fd: number): number;
  /** Closes now and forgets. */
  shut(fd: number): void;
  closeAll(): void;
}

export function createWorkbench(fixture: SysFixture): Workbench {
  const { sys } = fixture;
  const owned = new Set<number>();
  const scratch = new Uint8Array(new ArrayBuffer(SCRATCH_BYTES));
  const scratchAddress = sys.addressOf(scratch);
  const events = new Int32Array(new ArrayBuffer(EVENTS_MAX * sys.eventWords * 4));
  const eventsAddress = sys.addressOf(new Uint8Array(events.buffer));
  const name = new SocketAddress(sys);

  function own(fd: number): number {
    expect(fd).toBeGreaterThanOrEqual(0);
    owned.add(fd);
    return fd;
  }

  function poller(fd: number, mask: number): Poller {
    const epollFd = own(sys.epollCreate());
    expect(sys.epollAdd(epollFd, fd, mask, fd, 7)).toBe(0);
    function next(timeoutMs = QUIET_MS): number {
      const count = sys.epollWait(epollFd, eventsAddress, 1, timeoutMs);
      expect(count).toBeGreaterThanOrEqual(0);
      return count === 0 ? 0 : (events[0] as number);
    }
    function until(bits: number): number {
      for (let tries = 0; tries < 1000; tries++) {
        const seen = next(WAIT_MS);
        if (seen === 0 || (seen & bits) === bits) return seen;
      }
      return 0;
    }
    return { epollFd, next, until };
  }

  function setLoopback(family: number, port: number): void {
    if (family === AF_INET6) name.setIp(0, 0, 0, 1, port);
    else name.setIp(0, 0, MAPPED_WORD, LOOPBACK_V4, port);
  }

  function listenTcp(family = AF_INET, backlog = 16): { fd: number; port: number } {
    const fd = own(sys.socket(family, SOCK_STREAM, 0));
    sys.setOptionInt(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    setLoopback(family, 0);
    expect(sys.bind(fd, name.address, name.length)).toBe(0);
    expect(sys.listen(fd, backlog)).toBe(0);
    name.resetLength();
    expect(sys.getsockname(fd, name.address, name.lengthAddress)).toBe(0);
    return { fd, port: name.port };
  }

  function connectTcp(port: number, family = AF_INET): number {
    const fd = own(sys.socket(family, SOCK_STREAM, 0));
    setLoopback(family, port);
    expect(sys.connect(fd, name.address, name.length)).toBe(-EINPROGRESS);
    expect(poller(fd, EPOLLOUT).until(EPOLLOUT)).toBe(EPOLLOUT);
    return fd;
  }

  function acceptFrom(listenerFd: number): number {
    expect(poller(listenerFd, EPOLLIN).until(EPOLLIN)).toBe(EPOLLIN);
    return own(sys.accept(listenerFd, 0, 0));
  }

  function tcpPair(family = AF_INET): [number, number] {
    const listener = listenTcp(family);
    const client = connectTcp(listener.port, family);
    const server = acceptFrom(listener.fd);
    shut(listener.fd);
    return [client, server];
  }

  function listenUnix(path: string, backlog = 16): number {
    const fd = own(sys.socket(AF_UNIX, SOCK_STREAM, 0));
    name.setUnix(Buffer.from(path));
    expect(sys.bind(fd, name.address, name.length)).toBe(0);
    expect(sys.listen(fd, backlog)).toBe(0);
    return fd;
  }

  function unixPair(): [number, number] {
    const path = fixture.unixPath();
    const listener = listenUnix(path);
    const client = own(sys.socket(AF_UNIX, SOCK_STREAM, 0));
    name.setUnix(Buffer.from(path));
    expect(sys.connect(client, name.address, name.length)).toBe(0);
    const server = own(sys.accept(listener, 0, 0));
    shut(listener);
    return [client, server];
  }

  function sendText(fd: number, text: string, flags = 0): number {
    const length = Buffer.from(scratch.buffer).write(text, 'latin1');
    return sys.send(fd, scratchAddress, length, flags);
  }

  function recvText(fd: number, lengthMax = SCRATCH_BYTES, flags = 0): string | number {
    const length = sys.recv(fd, scratchAddress, lengthMax, flags);
    return length > 0 ? Buffer.from(scratch.subarray(0, length)).toString('latin1') : length;
  }

  function awaitText(fd: number, lengthMax = SCRATCH_BYTES): string | number {
    expect(poller(fd, EPOLLIN).next(WAIT_MS)).not.toBe(0);
    return recvText(fd, lengthMax);
  }

  function fill(fd: number): number {
    let total = 0;
    // A kernel goes on moving bytes to the peer for a moment after it first says EAGAIN.
    for (let quiet = 0; quiet < 2; ) {
      const sent = sys.send(fd, scratchAddress, SCRATCH_BYTES, 0);
      if (sent < 0) expect(sent).toBe(-EAGAIN);
      if (sent > 0) total += sent;
      else if (poller(fd, EPOLLOUT).next(QUIET_MS) === 0) quiet++;
    }
    return total;
  }

  function shut(fd: number): void {
    owned.delete(fd);
    expect(sys.close(fd)).toBe(0);
  }

  function closeAll(): void {
    for (const fd of owned) sys.close(fd);
    owned.clear();
    fixture.dispose();
  }

  return {
    sys,
    fixture,
    name,
    scratch,
    scratchAddress,
    own,
    poller,
    setLoopback,
    listenTcp,
    connectTcp,
    acceptFrom,
    tcpPair,
    listenUnix,
    unixPair,
    sendText,
    recvText,
    awaitText,
    fill,
    shut,
    closeAll,
  };
}
