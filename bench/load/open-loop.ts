// Open loop: requests of B bytes are due at a fixed rate, dealt out to N connections in turn, whether or not earlier
// ones were answered. A latency counts from the moment a request was *due*, so that a proxy that stalls pays for
// every request that it held up, also for those which could not even be sent (wrk2 calls this "no coordinated omission").
//
// The loop never sleeps: epoll's milliseconds are too coarse for the rates in question. The origin therefore belongs on
// this thread's poll; a process of its own would fight for the core with it.

import { EAGAIN } from '../../src/sys/constants.ts';
import { nowTicks, TICKS_PER_MS } from './clock.ts';
import { LOAD_BUFFER_BYTES, type Load, type LoadResult, resultOf } from './load.ts';
import { ROLE_CLIENT } from './poll.ts';
import { Dialler } from './sockets.ts';
import { MEASURING, OVER, WARMING, Window, type WindowTimes } from './window.ts';

export interface OpenLoopWork extends WindowTimes {
  readonly port: number;
  readonly connections: number;
  /** [1, LOAD_BUFFER_BYTES] */
  readonly bytes: number;
  readonly requestsPerSecond: number;
}

export class OpenLoop {
  private readonly load: Load;
  private readonly connections: number;
  private readonly bytes: number;
  private readonly intervalTicks: number;
  private readonly fds: Int32Array;
  private readonly toReceive: Int32Array;
  /** Requests that are due and not yet sent. */
  private readonly backlog: Int32Array;
  /** When the oldest request that is not yet answered was due. */
  private readonly dueTicks: Float64Array;
  private readonly startTicks: number;
  private dealt = 0;
  operations = 0;
  failures = 0;
  open = 0;

  constructor(load: Load, work: OpenLoopWork) {
    this.load = load;
    this.connections = work.connections;
    this.bytes = work.bytes;
    this.intervalTicks = (1000 * TICKS_PER_MS) / work.requestsPerSecond;
    this.fds = new Int32Array(work.connections).fill(-1);
    this.toReceive = new Int32Array(work.connections);
    this.backlog = new Int32Array(work.connections);
    this.dueTicks = new Float64Array(work.connections);
    const dialler = new Dialler(load.sys, work.port);
    for (let index = 0; index < work.connections; index++) {
      const fd = dialler.dial();
      if (fd < 0) {
        this.failures++;
        continue;
      }
      this.fds[index] = fd;
      this.open++;
      load.poll.addConnection(fd, ROLE_CLIENT, index);
    }
    this.startTicks = nowTicks();
    for (let index = 0; index < work.connections; index++) {
      this.dueTicks[index] = this.startTicks + index * this.intervalTicks;
    }
  }

  /** Sends what is due by `now`. */
  deal(now: number): void {
    while (this.startTicks + this.dealt * this.intervalTicks <= now) {
      const index = this.dealt++ % this.connections;
      if ((this.fds[index] as number) < 0) continue;
      this.backlog[index] = (this.backlog[index] as number) + 1;
      if (this.toReceive[index] === 0) this.sendNext(index);
    }
  }

  onEvent(index: number): void {
    const fd = this.fds[index] as number;
    if (fd < 0) return;
    if (this.toReceive[index] === 0 && (this.backlog[index] as number) > 0) this.sendNext(index);
    for (;;) {
      const received = this.load.sys.recv(fd, this.load.receiveAddress, LOAD_BUFFER_BYTES, 0);
      if (received === -EAGAIN) return;
      const left = (this.toReceive[index] as number) - received;
      if (received <= 0 || left < 0) return this.fail(index, fd);
      this.toReceive[index] = left;
      if (left === 0) {
        const due = this.dueTicks[index] as number;
        this.load.histogram.record(nowTicks() - due);
        this.dueTicks[index] = due + this.connections * this.intervalTicks;
        this.operations++;
        if ((this.backlog[index] as number) > 0) this.sendNext(index);
        return;
      }
      if (received < LOAD_BUFFER_BYTES) return;
    }
  }

  /** A connection that is not there yet takes nothing: its first writable edge comes back here. */
  private sendNext(index: number): void {
    const fd = this.fds[index] as number;
    const sent = this.load.sys.send(fd, this.load.sendAddress, this.bytes, 0);
    if (sent === -EAGAIN) return;
    // With one request in flight the send buffer is empty before each: less than all is an error.
    if (sent !== this.bytes) return this.fail(index, fd);
    this.backlog[index] = (this.backlog[index] as number) - 1;
    this.toReceive[index] = this.bytes;
  }

  private fail(index: number, fd: number): void {
    this.load.sys.close(fd);
    this.fds[index] = -1;
    this.failures++;
    this.open--;
  }

  closeAll(): void {
    for (const fd of this.fds) if (fd >= 0) this.load.sys.close(fd);
    this.fds.fill(-1);
  }
}

/** @returns round trips inside the measured time, and their latencies from the moment each was due */
export function runOpenLoop(load: Load, work: OpenLoopWork): LoadResult {
  const { poll, origin } = load;
  const loop = new OpenLoop(load, work);
  const window = new Window(work);
  let phase = WARMING;
  while (phase !== OVER && loop.open > 0) {
    loop.deal(nowTicks());
    const count = poll.wait(0);
    for (let index = 0; index < count; index++) {
      const role = poll.role(index);
      if (role === ROLE_CLIENT) loop.onEvent(poll.token(index));
      else origin.handle(role, poll.token(index), poll.mask(index));
    }
    origin.runReady();
    const before = phase;
    phase = window.phaseAt(nowTicks());
    if (before === WARMING && phase === MEASURING) {
      loop.operations = 0;
      load.histogram.reset();
    }
  }
  if (phase !== OVER) window.finish();
  loop.closeAll();
  return resultOf(load, window, loop.operations, loop.failures);
}
