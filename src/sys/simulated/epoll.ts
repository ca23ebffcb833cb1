// epoll as Linux does it: a list of items that were woken; asking for events polls each of them again and reports what
// holds now. A level-triggered item goes back on the list while something holds, an edge-triggered one waits for the
// next wake-up, which comes also when nothing new holds (new data while old data is unread).
// @source linux/fs/eventpoll.c

import { EEXIST, ENOENT, EPOLLERR, EPOLLET, EPOLLHUP } from '../constants.ts';
import type { AddressSpace } from './memory.ts';
import { OpenFile } from './open-file.ts';
import type { Random } from './random.ts';

export const EVENT_WORDS = 3;
export const EVENT_DATA_WORD = 1;

interface EpollItem {
  readonly file: OpenFile;
  readonly events: number;
  readonly dataLow: number;
  readonly dataHigh: number;
  /** On the ready list. */
  listed: boolean;
  gone: boolean;
  wake(flags: number): void;
  forget(): void;
}

export class EpollFile extends OpenFile {
  private readonly items = new Map<OpenFile, EpollItem>();
  private ready: EpollItem[] = [];

  /** Nested epolls are not simulated. */
  poll(): number {
    return 0;
  }

  release(): void {
    for (const item of this.items.values()) {
      item.gone = true;
      item.file.unwatch(item);
    }
    this.items.clear();
    this.ready = [];
  }

  add(file: OpenFile, mask: number, dataLow: number, dataHigh: number): number {
    if (this.items.has(file)) return -EEXIST;
    const events = mask | EPOLLERR | EPOLLHUP;
    const item: EpollItem = {
      file,
      events,
      dataLow,
      dataHigh,
      listed: false,
      gone: false,
      wake: (flags) => {
        if (item.listed || (flags !== 0 && (flags & events) === 0)) return;
        item.listed = true;
        this.ready.push(item);
      },
      forget: () => {
        item.gone = true;
        this.items.delete(file);
      },
    };
    this.items.set(file, item);
    file.watchers.push(item);
    if ((file.poll() & events) !== 0) item.wake(0);
    return 0;
  }

  remove(file: OpenFile): number {
    const item = this.items.get(file);
    if (item === undefined) return -ENOENT;
    item.forget();
    file.unwatch(item);
    return 0;
  }

  /** Writes at most `eventsMax` records at `address`. @returns how many */
  collect(memory: AddressSpace, address: number, eventsMax: number): number {
    const woken = this.ready;
    if (woken.length === 0) return 0;
    const again: EpollItem[] = [];
    let count = 0;
    let index = 0;
    for (; index < woken.length && count < eventsMax; index++) {
      const item = woken[index] as EpollItem;
      item.listed = false;
      if (item.gone) continue;
      const holds = item.file.poll() & item.events;
      if (holds === 0) continue;
      const record = address + count * EVENT_WORDS * 4;
      memory.writeInt32(record, holds);
      memory.writeInt32(record + 4, item.dataLow);
      memory.writeInt32(record + 8, item.dataHigh);
      count++;
      if ((item.events & EPOLLET) !== 0) continue;
      item.listed = true;
      again.push(item);
    }
    this.ready = index < woken.length ? woken.slice(index).concat(again) : again;
    return count;
  }

  /** Puts the woken items in another order, which no program may depend on. */
  shuffle(random: Random): void {
    const ready = this.ready;
    for (let index = ready.length - 1; index > 0; index--) {
      const other = random.below(index + 1);
      const item = ready[index] as EpollItem;
      ready[index] = ready[other] as EpollItem;
      ready[other] = item;
    }
  }
}
