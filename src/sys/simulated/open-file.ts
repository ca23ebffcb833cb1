// What a descriptor stands for, and who wants to hear about it. The kernel wakes waiters with the events that caused
// it (a key), or with 0 when the state changed in a way that concerns everybody; what a waiter then learns is what
// `poll` says at that later moment. Edge- and level-triggered epoll both follow from this pair.
// @source linux/fs/eventpoll.c (ep_poll_callback, ep_send_events)

export interface Watcher {
  /** Something happened: `flags` are EPOLL* bits, or 0 for "look yourself". */
  wake(flags: number): void;
  /** The file was closed; the watcher is no longer on its list. */
  forget(): void;
}

export abstract class OpenFile {
  readonly watchers: Watcher[] = [];

  /** The EPOLL* bits that hold now. */
  abstract poll(): number;
  /** The descriptor was closed. */
  abstract release(): void;

  wake(flags: number): void {
    const watchers = this.watchers;
    for (let index = 0; index < watchers.length; index++) (watchers[index] as Watcher).wake(flags);
  }

  unwatch(watcher: Watcher): void {
    const index = this.watchers.indexOf(watcher);
    if (index >= 0) this.watchers.splice(index, 1);
  }

  close(): void {
    for (const watcher of this.watchers.splice(0)) watcher.forget();
    this.release();
  }
}
