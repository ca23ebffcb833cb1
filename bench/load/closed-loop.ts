// Closed loop: each of N connections sends B bytes, waits until all of them came back, and sends again. Fails loudly:
// a connection that ends is counted and stays away.

import { EAGAIN } from '../../src/sys/constants.ts';
import { nowTicks } from './clock.ts';
import { LOAD_BUFFER_BYTES, type Load, type LoadResult, resultOf } from './load.ts';
import { ROLE_CLIENT } from './poll.ts';
import { Dialler } from './sockets.ts';
import { MEASURING, OVER, WAIT_MS_MAX, WARMING, Window, type WindowTimes } from './window.ts';

export interface ClosedLoopWork extends WindowTimes {
  readonly port: number;
  readonly connections: number;
  /** [1, LOAD_BUFFER_BYTES] */
  readonly bytes: number;
}

class ClosedLoop {
  private readonly load: Load;
  private readonly bytes: number;
  private readonly fds: Int32Array;
  private readonly toSend: Int32Array;
  private readonly toReceive: Int32Array;
  private readonly startTicks: Float64Array;
  operations = 0;
  failures = 0;
  open = 0;

  constructor(load: Load, work: ClosedLoopWork) {
    this.load = load;
    this.bytes = work.bytes;
    this.fds = new Int32Array(work.connections).fill(-1);
    this.toSend = new Int32Array(work.connections);
    this.toReceive = new Int32Array(work.connections);
    this.startTicks = new Float64Array(work.connections);
    const dialler = new Dialler(load.sys, work.port);
    for (let index = 0; index < work.connections; index++) {
      const fd = dialler.dial();
      if (fd < 0) {
        this.failures++;
        continue;
      }
      this.fds[index] = fd;
      this.open++;
      this.begin(index, nowTicks());
      load.poll.addConnection(fd, ROLE_CLIENT, index);
    }
  }

  onEvent(index: number): void {
    const fd = this.fds[index] as number;
    if (fd < 0) return;
    if ((this.toSend[index] as number) > 0) this.send(index, fd);
    for (;;) {
      const received = this.load.sys.recv(fd, this.load.receiveAddress, LOAD_BUFFER_BYTES, 0);
      if (received === -EAGAIN) return;
      const left = (this.toReceive[index] as number) - received;
      if (received <= 0 || left < 0) return this.fail(index, fd);
      this.toReceive[index] = left;
      if (left === 0) {
        const now = nowTicks();
        this.load.histogram.record(now - (this.startTicks[index] as number));
        this.operations++;
        // What comes next is an answer to this, so it is a new edge.
        return this.begin(index, now);
      }
      if (received < LOAD_BUFFER_BYTES) return;
    }
  }

  private begin(index: number, now: number): void {
    this.startTicks[index] = now;
    this.toSend[index] = this.bytes;
    this.toReceive[index] = this.bytes;
    this.send(index, this.fds[index] as number);
  }

  /** Where the connection is not there yet, or takes less, the next writable edge goes on. */
  private send(index: number, fd: number): void {
    const sent = this.load.sys.send(fd, this.load.sendAddress, this.toSend[index] as number, 0);
    if (sent > 0) this.toSend[index] = (this.toSend[index] as number) - sent;
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

/** @returns round trips inside the measured time, and their latencies */
export function runClosedLoop(load: Load, work: ClosedLoopWork): LoadResult {
  const { poll, origin } = load;
  const loop = new ClosedLoop(load, work);
  const window = new Window(work);
  let phase = WARMING;
  while (phase !== OVER && loop.open > 0) {
    const count = poll.wait(origin.readyCount > 0 ? 0 : WAIT_MS_MAX);
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
