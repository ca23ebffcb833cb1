// Churn beside unrelated traffic: at a fixed rate connections come, each from a source of its own, send 64 bytes and get them
// back, and end in one of three ways, while the open loop of round trips on other connections goes on:
//
//   evict     the API is asked to end the connections of that source, and the client waits for its reset
//   reset     the client resets itself at the moment at which it would have asked
//   request   the client resets itself, and the API is asked at the same rate about connections that nobody has
//
// One thread plays everybody, as in the open loop: it never sleeps, and the latencies are those of the round trips.

import { EAGAIN } from '../../src/sys/constants.ts';
import { ApiRequests } from './api-requests.ts';
import { nowTicks, TICKS_PER_MS, TICKS_PER_US } from './clock.ts';
import { Histogram } from './histogram.ts';
import { LOAD_BUFFER_BYTES, type Load, type LoadResult, resultOf } from './load.ts';
import { OpenLoop, type OpenLoopWork } from './open-loop.ts';
import { ROLE_CLIENT } from './poll.ts';
import { Dialler, type SourceRange } from './sockets.ts';
import { MEASURING, OVER, WARMING, Window } from './window.ts';

/** How a connection of the churn ends. */
export type ChurnEnd = 'evict' | 'reset' | 'request';

export interface ChurnWork extends OpenLoopWork {
  readonly churnPort: number;
  readonly churnPerSecond: number;
  readonly end: ChurnEnd;
  readonly socketPath: string;
  /** The service of `churnPort`. */
  readonly churnService: string;
}

export interface ChurnResult extends LoadResult {
  /** Connections of the churn that have ended inside the measured time. */
  readonly ended: number;
  /** Requests that the API has answered inside it. */
  readonly answered: number;
  /** From asking to the client's reset; NaN where nobody asks. */
  readonly goneP50Us: number;
  readonly goneP99Us: number;
}

const BYTES = 64;
const IN_FLIGHT_MAX = 1024;
export const ROLE_CHURN = 32;
const ROLE_API = 33;
/** 127.64.0.0 to 127.64.15.255: one connection of each lives at a time. */
const SOURCES: SourceRange = { first: 0x7f40_0000, count: 4096 };
/** Nobody comes from here. */
const NOBODY = '192.0.2.1';

const FREE = -1;

export class Churn {
  private readonly load: Load;
  private readonly work: ChurnWork;
  private readonly dialler: Dialler;
  private readonly api: ApiRequests | undefined;
  private readonly fds = new Int32Array(IN_FLIGHT_MAX).fill(FREE);
  private readonly sources = new Int32Array(IN_FLIGHT_MAX);
  /** Bytes that are still to be sent, and to come back; 0: the end was asked for. */
  private readonly toSend = new Int32Array(IN_FLIGHT_MAX);
  private readonly toReceive = new Int32Array(IN_FLIGHT_MAX);
  private readonly dueTicks = new Float64Array(IN_FLIGHT_MAX);
  private readonly askedTicks = new Float64Array(IN_FLIGHT_MAX);
  private readonly free: number[] = Array.from({ length: IN_FLIGHT_MAX }, (_, index) => index);
  private readonly intervalTicks: number;
  private readonly startTicks: number;
  private begun = 0;
  readonly gone = new Histogram();
  /** From the moment a connection was due until its bytes were back. */
  readonly setUp = new Histogram();
  ended = 0;
  private lost = 0;

  constructor(load: Load, work: ChurnWork) {
    this.load = load;
    this.work = work;
    this.dialler = new Dialler(load.sys, work.churnPort, SOURCES);
    const expected = work.end === 'evict' ? '"closed":1,' : '"matched":0,';
    this.api =
      work.end === 'reset'
        ? undefined
        : new ApiRequests(load, ROLE_API, work.socketPath, (answer) => answer.includes(expected));
    this.intervalTicks = (1000 * TICKS_PER_MS) / work.churnPerSecond;
    this.startTicks = nowTicks();
  }

  get answered(): number {
    return this.api?.answered ?? 0;
  }

  get failures(): number {
    return this.lost + (this.api?.failures ?? 0);
  }

  /** Begins what is due by `now`; what finds no room is lost, and counted. */
  deal(now: number): void {
    for (; this.startTicks + this.begun * this.intervalTicks <= now; this.begun++) {
      const index = this.free.pop();
      const source = this.dialler.nextSource;
      const fd = index === undefined ? FREE : this.dialler.dial();
      if (index === undefined || fd < 0) {
        if (index !== undefined) this.free.push(index);
        this.lost++;
        continue;
      }
      this.fds[index] = fd;
      this.sources[index] = source;
      this.dueTicks[index] = this.startTicks + this.begun * this.intervalTicks;
      this.toSend[index] = BYTES;
      this.toReceive[index] = BYTES;
      this.load.poll.addConnection(fd, ROLE_CHURN, index);
    }
  }

  onEvent(role: number, index: number): void {
    if (role === ROLE_API) this.api?.onEvent(index);
    else if ((this.fds[index] as number) !== FREE) this.onClient(index, this.fds[index] as number);
  }

  private onClient(index: number, fd: number): void {
    const { sys, sendAddress, receiveAddress } = this.load;
    if ((this.toSend[index] as number) > 0) {
      const sent = sys.send(fd, sendAddress, this.toSend[index] as number, 0);
      if (sent > 0) this.toSend[index] = (this.toSend[index] as number) - sent;
    }
    const received = sys.recv(fd, receiveAddress, LOAD_BUFFER_BYTES, 0);
    if (received === -EAGAIN) return;
    const left = this.toReceive[index] as number;
    if (received <= 0) {
      if (left > 0) this.lost++;
      else this.gone.record(nowTicks() - (this.askedTicks[index] as number));
      this.finish(index, fd);
      return;
    }
    this.toReceive[index] = left - received;
    if (left !== received) return;
    this.setUp.record(nowTicks() - (this.dueTicks[index] as number));
    this.end(index, fd);
  }

  private end(index: number, fd: number): void {
    const { end, churnService } = this.work;
    if (end !== 'reset') {
      const source = end === 'evict' ? dotted(this.sources[index] as number) : NOBODY;
      const dryRun = end === 'evict' ? '' : ',"dry_run":true';
      this.askedTicks[index] = nowTicks();
      this.api?.post('/v1/evictions', `{"service":"${churnService}","source":"${source}"${dryRun}}`);
    }
    if (end === 'evict') return;
    this.load.sys.resetOnClose(fd);
    this.finish(index, fd);
  }

  private finish(index: number, fd: number): void {
    this.load.sys.close(fd);
    this.fds[index] = FREE;
    this.free.push(index);
    this.ended++;
  }

  closeAll(): void {
    for (const fd of this.fds) if (fd !== FREE) this.load.sys.close(fd);
    this.fds.fill(FREE);
    this.api?.close();
  }
}

function dotted(address: number): string {
  return `${address >>> 24}.${(address >>> 16) & 0xff}.${(address >>> 8) & 0xff}.${address & 0xff}`;
}

/** @returns the unrelated round trips' latencies from the moment each was due, and how the churn went meanwhile */
export function runChurn(load: Load, work: ChurnWork): ChurnResult {
  const { poll, origin } = load;
  const loop = new OpenLoop(load, work);
  const churn = new Churn(load, work);
  const window = new Window(work);
  let phase = WARMING;
  let endedBefore = 0;
  let answeredBefore = 0;
  while (phase !== OVER && loop.open > 0) {
    const now = nowTicks();
    loop.deal(now);
    churn.deal(now);
    const count = poll.wait(0);
    for (let index = 0; index < count; index++) {
      const role = poll.role(index);
      if (role === ROLE_CLIENT) loop.onEvent(poll.token(index));
      else if (role >= ROLE_CHURN) churn.onEvent(role, poll.token(index));
      else origin.handle(role, poll.token(index), poll.mask(index));
    }
    origin.runReady();
    const before = phase;
    phase = window.phaseAt(nowTicks());
    if (before === WARMING && phase === MEASURING) {
      loop.operations = 0;
      load.histogram.reset();
      churn.gone.reset();
      endedBefore = churn.ended;
      answeredBefore = churn.answered;
    }
  }
  if (phase !== OVER) window.finish();
  const result = {
    ...resultOf(load, window, loop.operations, loop.failures + churn.failures),
    ended: churn.ended - endedBefore,
    answered: churn.answered - answeredBefore,
    goneP50Us: churn.gone.quantile(0.5) / TICKS_PER_US,
    goneP99Us: churn.gone.quantile(0.99) / TICKS_PER_US,
  };
  loop.closeAll();
  churn.closeAll();
  return result;
}
