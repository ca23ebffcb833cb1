// eventfd(2): a counter that is readable while it is not 0.

import { EAGAIN, EPOLLIN, EPOLLOUT } from '../constants.ts';
import { OpenFile } from './open-file.ts';

export class EventCounter extends OpenFile {
  private count = 0;

  poll(): number {
    return this.count > 0 ? EPOLLIN | EPOLLOUT : EPOLLOUT;
  }

  release(): void {}

  signal(): number {
    this.count++;
    this.wake(EPOLLIN);
    return 0;
  }

  drain(): number {
    if (this.count === 0) return -EAGAIN;
    this.count = 0;
    this.wake(EPOLLOUT);
    return 0;
  }
}
