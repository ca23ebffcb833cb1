// Bulk: N connections through which the origin's source pours the pattern (down), or which pour it into the origin's
// sink (up). Every byte is compared with the pattern and counted at the end that receives it; the run fails where one
// is wrong, missing or too many.

import { EAGAIN, SHUT_WR } from '../../src/sys/constants.ts';
import { nowTicks, TICKS_PER_MS } from './clock.ts';
import { type Load, type LoadResult, resultOf } from './load.ts';
import { PIECE_BYTES_MAX } from './pattern.ts';
import { ROLE_CLIENT } from './poll.ts';
import { Dialler } from './sockets.ts';
import { MEASURING, OVER, WAIT_MS_MAX, WARMING, Window, type WindowTimes } from './window.ts';

/** Asked for at once on the way down; asked again before it runs out. */
const REQUEST_BYTES = 64 * 1024 * 1024;
const PIECES_PER_TURN = 4;
/** How long the rest may take to arrive after the measured time. */
const FINISH_MS_MAX = 10_000;

export interface BulkWork extends WindowTimes {
  readonly port: number;
  readonly connections: number;
  readonly direction: 'down' | 'up';
}

class Bulk {
  private readonly load: Load;
  private readonly down: boolean;
  private readonly word = new DataView(new ArrayBuffer(8));
  private readonly wordAddress: number;
  private readonly fds: Int32Array;
  private readonly ready: Uint8Array;
  /** Bytes received (down) or sent (up). */
  private readonly offset: Float64Array;
  /** down: bytes asked for so far; up: unused. */
  private readonly asked: Float64Array;
  private readonly shut: Uint8Array;
  /** Set at the end of the measured time: no more is asked for, or sent. */
  finishing = false;
  readyCount = 0;
  bytes = 0;
  failures = 0;
  open = 0;

  constructor(load: Load, work: BulkWork) {
    this.load = load;
    this.down = work.direction === 'down';
    this.wordAddress = load.sys.addressOf(new Uint8Array(this.word.buffer));
    this.fds = new Int32Array(work.connections).fill(-1);
    this.ready = new Uint8Array(work.connections);
    this.offset = new Float64Array(work.connections);
    this.asked = new Float64Array(work.connections);
    this.shut = new Uint8Array(work.connections);
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
  }

  markReady(index: number): void {
    if (this.ready[index] === 1 || (this.fds[index] as number) < 0) return;
    this.ready[index] = 1;
    this.readyCount++;
  }

  private unready(index: number): void {
    this.ready[index] = 0;
    this.readyCount--;
  }

  /** One bounded turn for each connection that may go on. */
  runReady(): void {
    for (let index = 0; index < this.fds.length; index++) {
      if (this.ready[index] === 0) continue;
      if (this.down) this.receive(index, this.fds[index] as number);
      else this.pour(index, this.fds[index] as number);
    }
  }

  private receive(index: number, fd: number): void {
    const sys = this.load.sys;
    if (
      !this.finishing &&
      (this.asked[index] as number) - (this.offset[index] as number) < REQUEST_BYTES / 2
    ) {
      this.word.setFloat64(0, REQUEST_BYTES, true);
      const sent = sys.send(fd, this.wordAddress, 8, 0);
      if (sent === 8) this.asked[index] = (this.asked[index] as number) + REQUEST_BYTES;
      else if (sent !== -EAGAIN) return this.end(index, fd, false);
    }
    for (let turn = 0; turn < PIECES_PER_TURN; turn++) {
      const received = sys.recv(fd, this.load.receiveAddress, PIECE_BYTES_MAX, 0);
      const offset = this.offset[index] as number;
      const owed = (this.asked[index] as number) - offset;
      if (received === -EAGAIN) {
        // All that was asked for is here, and not a byte more.
        if (this.finishing && owed === 0) this.end(index, fd, true);
        else this.unready(index);
        return;
      }
      const right = received > 0 && received <= owed;
      if (!right || !this.load.pattern.matches(this.load.received, received, offset)) {
        return this.end(index, fd, false);
      }
      this.offset[index] = offset + received;
      this.bytes += received;
    }
  }

  private pour(index: number, fd: number): void {
    const sys = this.load.sys;
    if (this.shut[index] === 1) return this.readVerdict(index, fd);
    for (let turn = 0; turn < PIECES_PER_TURN; turn++) {
      if (this.finishing) {
        sys.shutdown(fd, SHUT_WR);
        this.shut[index] = 1;
        return this.unready(index);
      }
      const offset = this.offset[index] as number;
      const from = this.load.patternAddress + this.load.pattern.position(offset);
      const sent = sys.send(fd, from, PIECE_BYTES_MAX, 0);
      if (sent === -EAGAIN) return this.unready(index);
      if (sent < 0) return this.end(index, fd, false);
      this.offset[index] = offset + sent;
      this.bytes += sent;
    }
  }

  /** The sink's answer: how many bytes it found right. */
  private readVerdict(index: number, fd: number): void {
    const received = this.load.sys.recv(fd, this.wordAddress, 8, 0);
    if (received === -EAGAIN) return this.unready(index);
    this.end(index, fd, received === 8 && this.word.getFloat64(0, true) === this.offset[index]);
  }

  private end(index: number, fd: number, right: boolean): void {
    this.load.sys.close(fd);
    this.fds[index] = -1;
    if (this.ready[index] === 1) this.unready(index);
    this.open--;
    if (!right) this.failures++;
  }

  /** From now on only what was begun is finished. Wakes those that wait for room, or have nothing to wait for. */
  finish(): void {
    this.finishing = true;
    for (let index = 0; index < this.fds.length; index++) this.markReady(index);
  }

  abandon(): void {
    for (let index = 0; index < this.fds.length; index++) {
      if ((this.fds[index] as number) >= 0) this.end(index, this.fds[index] as number, false);
    }
  }
}

/** @returns bytes inside the measured time; failures are connections whose bytes were not exact */
export function runBulk(load: Load, work: BulkWork): LoadResult {
  const { poll, origin } = load;
  load.histogram.reset();
  const bulk = new Bulk(load, work);
  const window = new Window(work);
  let phase = WARMING;
  let measuredBytes = 0;
  let overTicks = Number.POSITIVE_INFINITY;
  while (bulk.open > 0 && nowTicks() < overTicks) {
    const count = poll.wait(origin.readyCount + bulk.readyCount > 0 ? 0 : WAIT_MS_MAX);
    for (let index = 0; index < count; index++) {
      const role = poll.role(index);
      if (role === ROLE_CLIENT) bulk.markReady(poll.token(index));
      else origin.handle(role, poll.token(index), poll.mask(index));
    }
    bulk.runReady();
    origin.runReady();
    if (phase === OVER) continue;
    const before = phase;
    phase = window.phaseAt(nowTicks());
    if (before === WARMING && phase === MEASURING) bulk.bytes = 0;
    if (phase === OVER) {
      measuredBytes = bulk.bytes;
      overTicks = nowTicks() + FINISH_MS_MAX * TICKS_PER_MS;
      bulk.finish();
    }
  }
  bulk.abandon();
  if (phase !== OVER) window.finish();
  return resultOf(load, window, measuredBytes, bulk.failures);
}
