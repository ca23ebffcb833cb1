// Connections as work: connect, B bytes each way, close; a fixed number of them in flight, and a fixed number in all
// (fewer than one address pair has ports, since every connection that the proxy closed keeps one for a minute).
// The client closes first: normally (FIN), or with a reset.

import { EAGAIN } from '../../src/sys/constants.ts';
import { nowTicks, TICKS_PER_MS } from './clock.ts';
import { LOAD_BUFFER_BYTES, type Load, type LoadResult, resultOf } from './load.ts';
import { ROLE_CLIENT } from './poll.ts';
import { Dialler } from './sockets.ts';
import { WAIT_MS_MAX, Window } from './window.ts';

/** Where nothing finishes for so long, the run ends, and what is open counts as failed. */
const STALL_MS_MAX = 3000;

export interface ConnectCloseWork {
  readonly port: number;
  readonly pids: readonly number[];
  /** Connections at once. */
  readonly inFlight: number;
  readonly warmupConnections: number;
  readonly measuredConnections: number;
  readonly bytes: number;
  readonly reset: boolean;
}

class ConnectClose {
  private readonly load: Load;
  private readonly dialler: Dialler;
  private readonly bytes: number;
  private readonly reset: boolean;
  private readonly fds: Int32Array;
  private readonly toSend: Int32Array;
  private readonly toReceive: Int32Array;
  private readonly startTicks: Float64Array;
  /** Connections that may still be started. */
  allowed: number;
  finished = 0;
  failures = 0;

  constructor(load: Load, work: ConnectCloseWork) {
    this.load = load;
    this.dialler = new Dialler(load.sys, work.port);
    this.bytes = work.bytes;
    this.reset = work.reset;
    this.fds = new Int32Array(work.inFlight).fill(-1);
    this.toSend = new Int32Array(work.inFlight);
    this.toReceive = new Int32Array(work.inFlight);
    this.startTicks = new Float64Array(work.inFlight);
    this.allowed = work.warmupConnections + work.measuredConnections;
    for (let index = 0; index < work.inFlight; index++) this.start(index);
  }

  onEvent(index: number): void {
    const fd = this.fds[index] as number;
    if (fd < 0) return;
    const sys = this.load.sys;
    if ((this.toSend[index] as number) > 0) this.send(index, fd);
    const received = sys.recv(fd, this.load.receiveAddress, LOAD_BUFFER_BYTES, 0);
    if (received === -EAGAIN) return;
    if (received <= 0) return this.fail(index, fd);
    const left = (this.toReceive[index] as number) - received;
    this.toReceive[index] = left;
    if (left > 0) return;
    this.load.histogram.record(nowTicks() - (this.startTicks[index] as number));
    if (this.reset) sys.resetOnClose(fd);
    sys.close(fd);
    this.finished++;
    this.start(index);
  }

  private start(index: number): void {
    this.fds[index] = -1;
    while (this.allowed > 0) {
      this.allowed--;
      this.startTicks[index] = nowTicks();
      const fd = this.dialler.dial();
      if (fd < 0) {
        this.failures++;
        continue;
      }
      this.fds[index] = fd;
      this.toSend[index] = this.bytes;
      this.toReceive[index] = this.bytes;
      // On loopback the connection mostly stands already, which saves waiting for its first writable edge.
      this.send(index, fd);
      this.load.poll.addConnection(fd, ROLE_CLIENT, index);
      return;
    }
  }

  private send(index: number, fd: number): void {
    const sent = this.load.sys.send(fd, this.load.sendAddress, this.toSend[index] as number, 0);
    if (sent > 0) this.toSend[index] = (this.toSend[index] as number) - sent;
  }

  private fail(index: number, fd: number): void {
    this.load.sys.close(fd);
    this.failures++;
    this.start(index);
  }

  /** Ends what is still open; each of them failed. */
  abandon(): void {
    for (const fd of this.fds) {
      if (fd < 0) continue;
      this.load.sys.close(fd);
      this.failures++;
    }
    this.failures += this.allowed;
    this.fds.fill(-1);
  }
}

/** @returns connections that did their work, and how long each took from dialling to the last byte */
export function runConnectClose(load: Load, work: ConnectCloseWork): LoadResult {
  const { poll, origin } = load;
  const window = new Window({ warmupMs: 0, measureMs: Number.POSITIVE_INFINITY, pids: work.pids });
  const loop = new ConnectClose(load, work);
  const total = work.warmupConnections + work.measuredConnections;
  let warmed = -1;
  let done = 0;
  let progressTicks = nowTicks();
  while (done < total && nowTicks() - progressTicks < STALL_MS_MAX * TICKS_PER_MS) {
    const count = poll.wait(origin.readyCount > 0 ? 0 : WAIT_MS_MAX);
    for (let index = 0; index < count; index++) {
      const role = poll.role(index);
      if (role === ROLE_CLIENT) loop.onEvent(poll.token(index));
      else origin.handle(role, poll.token(index), poll.mask(index));
    }
    origin.runReady();
    if (loop.finished + loop.failures > done) progressTicks = nowTicks();
    done = loop.finished + loop.failures;
    if (warmed < 0 && done >= work.warmupConnections) {
      warmed = loop.finished;
      load.histogram.reset();
      window.begin();
    }
  }
  if (warmed < 0) window.begin();
  const measured = warmed < 0 ? 0 : loop.finished - warmed;
  window.finish();
  loop.abandon();
  return resultOf(load, window, measured, loop.failures);
}
