// Where the log goes: standard error, without ever waiting for its reader. A line is written at once, so that the last one
// before an end is there; while the reader stalls, lines wait in a bounded queue; beyond the bound whole lines are dropped
// and counted. Not pino's own destination: the synchronous one waits inside write(2), which would stop the control thread
// for as long as a terminal is paused or a log shipper hangs, and the asynchronous one has a thread wait there, which
// process.exit() then waits for. Any thread but the data workers.

import { constants, fstatSync, openSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const STANDARD_ERROR = 2;
const QUEUE_BYTES_MAX = 1024 * 1024;
const RETRY_MS = 50;
/** At the end, for a reader that is slow; one that stalls loses what is queued. */
const DRAIN_TIMEOUT_MS = 1_000;
const DRAIN_LOOK_EVERY_MS = 5;

export interface LogDestination {
  /** One line, or several. Never waits, never throws. */
  write(text: string): void;
  /** Writes that found the queue full, or nobody to read them. */
  readonly dropped: number;
  /** Bytes that wait for the reader. */
  readonly queuedBytes: number;
  /** Resolves when the queue is empty, after a second at the latest. */
  drain(): Promise<void>;
}

/** @param put as writeSync: returns bytes taken, throws EAGAIN where the reader stalls */
export function createLogDestination(put: (bytes: Buffer) => number = putOn(STANDARD_ERROR)): LogDestination {
  let queue: Buffer[] = [];
  let queuedBytes = 0;
  let dropped = 0;
  let retry: NodeJS.Timeout | undefined;

  /** @returns how much of it the reader took, or -1 where there is none any more */
  function attempt(bytes: Buffer): number {
    try {
      return put(bytes);
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'EAGAIN' ? 0 : -1;
    }
  }

  function enqueue(bytes: Buffer): void {
    queue.push(bytes);
    queuedBytes += bytes.length;
    if (retry !== undefined) return;
    retry = setTimeout(flush, RETRY_MS);
    retry.unref();
  }

  function flush(): void {
    retry = undefined;
    const waiting = queue;
    queue = [];
    queuedBytes = 0;
    for (const bytes of waiting) send(bytes);
  }

  function send(bytes: Buffer): void {
    if (queue.length > 0) {
      enqueue(bytes);
      return;
    }
    const taken = attempt(bytes);
    if (taken < 0) dropped++;
    else if (taken < bytes.length) enqueue(bytes.subarray(taken));
  }

  return {
    write(text) {
      const bytes = Buffer.from(text, 'utf8');
      if (queuedBytes > 0 && queuedBytes + bytes.length > QUEUE_BYTES_MAX) dropped++;
      else send(bytes);
    },
    get dropped() {
      return dropped;
    },
    get queuedBytes() {
      return queuedBytes;
    },
    async drain() {
      const deadline = performance.now() + DRAIN_TIMEOUT_MS;
      while (queue.length > 0 && performance.now() < deadline) await sleep(DRAIN_LOOK_EVERY_MS);
    },
  };
}

/**
 * Pipes and terminals are opened once more, because O_NONBLOCK belongs to the open file and the other one is shared with
 * whoever started us. A socket (the journal's) cannot be: it is made non-blocking, as Node makes its standard streams
 * (which Node undoes at exit). Files never stall. A device that cannot be opened again remains one to wait for.
 */
function putOn(fd: number): (bytes: Buffer) => number {
  const kind = fstatSync(fd);
  let target = fd;
  if (kind.isFIFO() || kind.isCharacterDevice()) {
    try {
      const { O_NOCTTY, O_NONBLOCK, O_WRONLY } = constants;
      target = openSync(`/proc/self/fd/${fd}`, O_WRONLY | O_NONBLOCK | O_NOCTTY);
    } catch {
      // For its effect, as below: another user's pipe.
      void process.stderr;
    }
  } else if (kind.isSocket()) {
    void process.stderr;
  }
  return (bytes) => writeSync(target, bytes);
}
