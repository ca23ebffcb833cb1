// When nobody can still hold what was published before: a worker reads shared rows only within a turn of its loop, so
// that once each has begun another turn, or was seen asleep, or is not there at all, what a row referred to until then
// can be used for something else. Control thread; workers do nothing for it but turn.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Tables } from '../layout/tables.ts';

/** A busy worker turns many times in it; a sleeping one is seen at once. */
const LOOK_MS = 1;

export interface Quiescence {
  /** Resolves when every worker has passed a quiescent state since the call. A worker that hangs delays it for ever. */
  whenQuiescent(): Promise<void>;
}

export function createQuiescence({ workers }: Pick<Tables, 'workers'>, lookMs = LOOK_MS): Quiescence {
  return {
    async whenQuiescent() {
      const turns = new Map<number, number>();
      for (let worker = 0; worker < workers.count; worker++) turns.set(worker, workers.turns(worker));
      for (;;) {
        for (const [worker, before] of turns) {
          if (workers.offline(worker) === 1 || workers.turns(worker) !== before) turns.delete(worker);
        }
        if (turns.size === 0) return;
        await sleep(lookMs, undefined, { ref: false });
      }
    },
  };
}
