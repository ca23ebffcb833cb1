// The load generator's own epoll instance. Each registration carries a role (who handles it) and a token (which of its
// connections), so that the generator and the origin may share one loop. Edge-triggered but for listening sockets.

import { EPOLLET, EPOLLIN, EPOLLOUT, EPOLLRDHUP } from '../../src/sys/constants.ts';
import type { Sys } from '../../src/sys/sys.ts';

const EVENTS_MAX = 512;

/** The role of every connection that a load opens; the origin's roles start at 1. */
export const ROLE_CLIENT = 0;

export class Poll {
  readonly fd: number;
  private readonly sys: Sys;
  private readonly events: Int32Array;
  private readonly eventsAddress: number;
  private readonly eventWords: number;
  private readonly dataWord: number;

  constructor(sys: Sys) {
    this.sys = sys;
    this.eventWords = sys.eventWords;
    this.dataWord = sys.eventDataWord;
    const buffer = new ArrayBuffer(EVENTS_MAX * sys.eventWords * 4);
    this.events = new Int32Array(buffer);
    this.eventsAddress = sys.addressOf(new Uint8Array(buffer));
    this.fd = sys.epollCreate();
    if (this.fd < 0) throw new Error(`epoll_create1: errno ${-this.fd}`);
  }

  /** Registers a connection for its whole life. */
  addConnection(fd: number, role: number, token: number): number {
    return this.sys.epollAdd(this.fd, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, token, role);
  }

  addListener(fd: number, role: number): number {
    return this.sys.epollAdd(this.fd, fd, EPOLLIN, fd, role);
  }

  /** @returns number of events that `mask`, `role` and `token` answer for; an interrupted wait answers 0 */
  wait(timeoutMs: number): number {
    const count = this.sys.epollWait(this.fd, this.eventsAddress, EVENTS_MAX, timeoutMs);
    return count < 0 ? 0 : count;
  }

  mask(index: number): number {
    return this.events[index * this.eventWords] as number;
  }

  token(index: number): number {
    return this.events[index * this.eventWords + this.dataWord] as number;
  }

  role(index: number): number {
    return this.events[index * this.eventWords + this.dataWord + 1] as number;
  }
}
