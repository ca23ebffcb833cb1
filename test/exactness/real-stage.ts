// The real network as the actors of these tests see it: system calls through libc, one epoll that runs whoever watches a
// descriptor, and timers. It is turned by the test's own loop and never blocks for longer than a millisecond.

import { EPOLLET, EPOLLIN, EPOLLOUT, EPOLLRDHUP } from '../../src/sys/constants.ts';
import { createLibc } from '../../src/sys/libc/libc.ts';
import { SocketAddress } from '../../src/sys/socket-address.ts';
import type { Random } from '../../src/sys/simulated/random.ts';
import type { Stage } from './peer.ts';

const EVENTS_MAX = 256;
const WAIT_MS = 1;

interface RealStage extends Stage {
  /** Waits a moment, and runs what has become due. */
  turn(): void;
  close(): void;
}

interface Timer {
  readonly atUs: number;
  readonly run: () => void;
}

export function createRealStage(random: Random): RealStage {
  const sys = createLibc();
  const epollFd = sys.epollCreate();
  if (epollFd < 0) throw new Error(`epoll_create1 answered ${epollFd}`);
  const events = new Int32Array(new ArrayBuffer(EVENTS_MAX * sys.eventWords * 4));
  const eventsAt = sys.addressOf(new Uint8Array(events.buffer));
  /** By number of registration, which no two descriptors share. */
  const watchers = new Map<number, () => void>();
  const numberOf = new Map<number, number>();
  let registrations = 0;
  let timers: Timer[] = [];

  function runTimers(): void {
    const nowUs = sys.nowUs();
    const due = timers.filter(({ atUs }) => atUs <= nowUs);
    if (due.length === 0) return;
    timers = timers.filter(({ atUs }) => atUs > nowUs);
    for (const { run } of due) run();
  }

  return {
    sys,
    address: new SocketAddress(sys),
    random,
    watch(fd, run) {
      // A number that is used again belongs to a new descriptor: the old one's events are dropped.
      const before = numberOf.get(fd);
      if (before !== undefined) watchers.delete(before);
      const number = ++registrations;
      numberOf.set(fd, number);
      watchers.set(number, run);
      const added = sys.epollAdd(epollFd, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, number, 0);
      if (added < 0) throw new Error(`descriptor ${fd} can't be polled: ${added}`);
      timers.push({ atUs: 0, run: () => watchers.get(number)?.() });
    },
    at(delayMs, run) {
      timers.push({ atUs: sys.nowUs() + delayMs * 1000, run });
    },
    turn() {
      const count = sys.epollWait(epollFd, eventsAt, EVENTS_MAX, WAIT_MS);
      for (let index = 0; index < count; index++) {
        watchers.get(events[index * sys.eventWords + sys.eventDataWord] as number)?.();
      }
      runTimers();
    },
    close: () => void sys.close(epollFd),
  };
}
