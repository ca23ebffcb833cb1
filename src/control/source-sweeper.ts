// Takes source entries that nobody holds any more out of the shared table (layout/source-index.ts), and gives them back to
// the workers once none of them can stand on one. It looks at what the workers have put into their rings and at nothing
// else: sources that stay cost nothing. Control thread only; the table's one remover.
//
//   released rings ─► out of the chains ─► a quiescent state of every worker ─► supply rings

import { NO_ENTRY, SourceIndex } from '../layout/source-index.ts';
import type { Tables } from '../layout/tables.ts';
import type { Quiescence } from './quiescence.ts';

/** Of one sweep; the rest waits for the next one. */
const ENTRIES_PER_SWEEP_MAX = 8_192;

export interface SourceSweeper {
  /** Takes out what was released since, if the last batch has been given back. @returns how many are out */
  sweep(): number;
  /** Releases an entry for a connection whose worker has died. */
  release(entry: number): void;
}

export function createSourceSweeper(tables: Tables, quiescence: Quiescence): SourceSweeper {
  const index = new SourceIndex(tables.sources, tables.sourceBuckets, tables.shared.hashKey);
  /** Released by this thread itself. */
  const own: number[] = [];
  let isWaiting = false;

  /** @returns what is out: first the entries, then the addresses that have no others */
  function takeOut(released: readonly number[]): number[] {
    const out: number[] = [];
    let batch = released.filter((entry) => index.condemn(entry));
    while (batch.length > 0) {
      index.takeOut(batch);
      out.push(...batch);
      const addresses = batch
        .map((entry) => tables.sources.addressEntry(entry))
        .filter((address) => address !== NO_ENTRY && index.release(address));
      batch = addresses.filter((address) => index.condemn(address));
    }
    return out;
  }

  /** Each to the worker that has the fewest. */
  function giveBack(entries: readonly number[]): void {
    for (const entry of entries) {
      let fewest = tables.supplies[0];
      for (const supply of tables.supplies) if (supply.count < (fewest?.count ?? 0)) fewest = supply;
      // Each ring has room for all entries.
      if (fewest?.push(entry) !== true) throw new Error('a ring of free source entries is full');
    }
  }

  function sweep(): number {
    if (isWaiting) return 0;
    const released = own.splice(0, ENTRIES_PER_SWEEP_MAX);
    for (const ring of tables.released) {
      while (ring.count > 0 && released.length < ENTRIES_PER_SWEEP_MAX) released.push(ring.shift());
    }
    const out = takeOut(released);
    if (out.length === 0) return 0;
    isWaiting = true;
    void quiescence.whenQuiescent().then(() => {
      isWaiting = false;
      giveBack(out);
      // A flood is not to wait for the next round.
      if (released.length === ENTRIES_PER_SWEEP_MAX) sweep();
    });
    return out.length;
  }

  return {
    sweep,
    release(entry) {
      if (index.release(entry)) own.push(entry);
    },
  };
}
