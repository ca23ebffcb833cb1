// The loop that owns a worker's thread:
//
//   sleep in epoll_wait → read the clock once → events of the batch → ready list → due timers → mail → again
//
// It knows descriptors by the two words registered with them and nothing about connections. Each part of a turn is
// bounded: EVENTS_MAX events, the ready list as it was when the turn began, TIMERS_PER_TURN_MAX deadlines, all mail
// (rare by contract). Owner worker only; nothing here allocates after construction.

import { EINTR, EPOLLIN } from '../sys/constants.ts';
import type { Sys } from '../sys/sys.ts';
import { ReadyList } from './ready-list.ts';
import { SpinPolicy } from './spin-policy.ts';
import { TimerWheel } from './timer-wheel.ts';

const EVENTS_MAX = 512;
const TIMERS_PER_TURN_MAX = 512;
/**
 * The longest sleep. A worker that native code blocks for ever can't be stopped by `terminate()`, so each turn has an
 * end, whatever the timers say (measured: FACTS, threads).
 */
const SLEEP_MS_MAX = 1_000;

/** How long the loop looks again before it sleeps, where that is the cheaper way (spin-policy.ts). */
const SPIN_US_MAX = 20;

/** Bit of the low data word that tells a listener from a connection; the rest is its index. */
const LISTENER_TOKEN = 0x40000000;
const WAKE_TOKEN = 0x20000000;
/** Connection tokens are below this: slot * 2 + side. */
const CONNECTION_TOKENS_MAX = WAKE_TOKEN;

/** What the reactor calls, on its own thread. None may block or throw, but for a broken invariant. */
export interface ReactorHandler {
  /** `token` and `generation` as registered; a stale generation is the handler's to notice. */
  onConnection(token: number, generation: number, mask: number): void;
  onListener(index: number): void;
  /** A slot from the ready list. */
  onReady(slot: number): void;
  onDeadline(timer: number): void;
  /** The eventfd was signalled. */
  onWake(): void;
  /** Just before a sleep and just after: between the two the worker reads nothing shared. */
  onSleep(asleep: boolean): void;
}

export class Reactor {
  readonly epollFd: number;
  readonly wheel: TimerWheel;
  readonly ready: ReadyList;
  /** Milliseconds since the reactor began, as an int32 tick; read once a turn. */
  nowTick = 0;
  private readonly sys: Sys;
  private readonly handler: ReactorHandler;
  private readonly events: Int32Array;
  private readonly eventsAddress: number;
  private readonly wakeFd: number;
  private readonly epochMs: number;
  /** A number in a field would be a new object at every write once it is beyond 31 bits. */
  private readonly clock = new Float64Array(1);
  private readonly fire: (timer: number) => void;
  private readonly spinPolicy: SpinPolicy;

  /**
   * @param wakeFd     eventfd that wakes the loop; stays the caller's
   * @param slotsMax   bound of the ready list
   * @param timersMax  timers are [0, timersMax)
   */
  constructor(sys: Sys, handler: ReactorHandler, wakeFd: number, slotsMax: number, timersMax: number) {
    this.sys = sys;
    this.handler = handler;
    this.wakeFd = wakeFd;
    this.epochMs = sys.nowMs();
    this.clock[0] = this.epochMs;
    this.wheel = new TimerWheel(timersMax, 0);
    this.ready = new ReadyList(slotsMax);
    this.events = new Int32Array(new ArrayBuffer(EVENTS_MAX * sys.eventWords * 4));
    this.eventsAddress = sys.addressOf(new Uint8Array(this.events.buffer));
    this.spinPolicy = new SpinPolicy(sys.threadCpuUs());
    this.fire = (timer) => handler.onDeadline(timer);
    this.epollFd = sys.epollCreate();
    if (this.epollFd < 0) throw new Error(`epoll_create1 failed with errno ${-this.epollFd}`);
    const added = sys.epollAdd(this.epollFd, wakeFd, EPOLLIN, WAKE_TOKEN, 0);
    if (added < 0) throw new Error(`the wake descriptor can't be polled: errno ${-added}`);
  }

  /**
   * Registers a connection's descriptor, edge-triggered, for its whole life.
   * @param token  slot * 2 + side, below CONNECTION_TOKENS_MAX
   * @returns 0 or a negative errno
   */
  addConnection(fd: number, mask: number, token: number, generation: number): number {
    return this.sys.epollAdd(this.epollFd, fd, mask, token, generation);
  }

  /** Registers a listening socket, level-triggered: a capped accept or a lack of descriptors loses no wake-up. */
  addListener(fd: number, index: number): number {
    return this.sys.epollAdd(this.epollFd, fd, EPOLLIN, LISTENER_TOKEN | index, 0);
  }

  removeListener(fd: number): number {
    return this.sys.epollRemove(this.epollFd, fd);
  }

  /**
   * Monotonic milliseconds (CLOCK_MONOTONIC), read once a turn like `nowTick`: other threads can compare them, and they do
   * not wrap around.
   */
  get nowMs(): number {
    return this.clock[0] as number;
  }

  /** One turn, asleep for at most `sleepMsMax`. */
  turn(sleepMsMax: number): void {
    const sys = this.sys;
    const handler = this.handler;
    let sleepMs = 0;
    if (this.ready.count === 0) {
      sleepMs = this.wheel.sleepMs(this.nowTick, sleepMsMax < SLEEP_MS_MAX ? sleepMsMax : SLEEP_MS_MAX);
    }
    let count = 0;
    if (sleepMs > 0 && this.spinPolicy.spins) count = this.spin();
    if (count === 0) {
      if (sleepMs > 0) handler.onSleep(true);
      count = sys.epollWait(this.epollFd, this.eventsAddress, EVENTS_MAX, sleepMs);
      if (sleepMs > 0) handler.onSleep(false);
    }
    if (count < 0 && count !== -EINTR) throw new Error(`epoll_wait failed with errno ${-count}`);
    const nowMs = sys.nowMs();
    this.clock[0] = nowMs;
    this.nowTick = (nowMs - this.epochMs) | 0;
    const readyNow = this.ready.count;
    this.dispatch(count);
    for (let i = 0; i < readyNow; i++) handler.onReady(this.ready.shift());
    this.wheel.advance(this.nowTick, this.fire, TIMERS_PER_TURN_MAX);
    if (count > 0 && this.spinPolicy.count(count)) this.spinPolicy.close(sys.threadCpuUs());
  }

  /** Looks for events until SPIN_US_MAX have passed. @returns their number, 0 for none */
  private spin(): number {
    const sys = this.sys;
    const endsUs = sys.nowUs() + SPIN_US_MAX;
    do {
      const count = sys.epollWait(this.epollFd, this.eventsAddress, EVENTS_MAX, 0);
      if (count > 0) return count;
    } while (sys.nowUs() < endsUs);
    return 0;
  }

  private dispatch(count: number): void {
    const events = this.events;
    const words = this.sys.eventWords;
    const dataWord = this.sys.eventDataWord;
    const handler = this.handler;
    for (let i = 0, at = 0; i < count; i++, at += words) {
      const token = events[at + dataWord] as number;
      if (token < CONNECTION_TOKENS_MAX) {
        handler.onConnection(token, events[at + dataWord + 1] as number, events[at] as number);
      } else if (token === WAKE_TOKEN) {
        this.sys.eventfdDrain(this.wakeFd);
        handler.onWake();
      } else {
        handler.onListener(token & ~LISTENER_TOKEN);
      }
    }
  }
}
