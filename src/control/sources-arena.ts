// Places the source networks of services in shared memory, where workers ask them in place. Services with the same
// networks share one block. A block that nobody names any more is given back only when no worker can still be looking
// into it (quiescence.ts): a row that was read a moment ago may lead there.
//
//   word 0 of the table is never part of a block: a row's 0 means every source
//   block   number of prefixes | prefixes (layout/network-set.ts)
//
// Control thread only. Invariant: a block is written whole before anybody knows where it lies, and never rewritten.

import type { Prefix } from '../config/configuration.ts';
import { compileNetworks, NETWORK_WORDS } from '../layout/network-set.ts';
import { createArena } from '../memory/arena.ts';
import { SluiceError } from './errors.ts';
import type { Quiescence } from './quiescence.ts';

export interface SourcesArena {
  /** Where the block of these networks begins, for one more holder; 0: every source. @throws SluiceError table_full */
  hold(networks: readonly Prefix[]): number;
  /** One holder fewer of what `hold` answered. */
  release(start: number): void;
  /** Words of blocks in use, those that wait for workers among them. */
  readonly wordsUsed: number;
}

interface Block {
  readonly key: string;
  readonly start: number;
  holders: number;
}

/** @param networks `Tables.networks` */
export function createSourcesArena(networks: Int32Array, quiescence: Quiescence): SourcesArena {
  const arena = createArena(networks.length);
  arena.allocate(1);
  const byKey = new Map<string, Block>();
  const byStart = new Map<number, Block>();
  /** Left by their last holder since the wait in progress began. */
  let leaving: number[] = [];
  let isWaiting = false;

  async function freeLeaving(): Promise<void> {
    isWaiting = true;
    while (leaving.length > 0) {
      const blocks = leaving;
      leaving = [];
      await quiescence.whenQuiescent();
      for (const start of blocks) arena.release(start);
    }
    isWaiting = false;
  }

  function place(texts: readonly Prefix[]): number {
    const compiled = compileNetworks(texts);
    const start = arena.allocate(compiled.length + 1);
    if (start < 0) {
      const room = networks.length - arena.wordsUsed;
      const message = `no room for ${texts.length} source networks; the tables are sized when the daemon starts`;
      throw new SluiceError('table_full', message, {
        table: 'networks',
        wanted: compiled.length + 1,
        room: Math.max(0, room),
      });
    }
    networks[start] = compiled.length / NETWORK_WORDS;
    networks.set(compiled, start + 1);
    return start;
  }

  return {
    get wordsUsed() {
      return arena.wordsUsed;
    },
    hold(texts) {
      if (texts.length === 0) return 0;
      const key = [...new Set(texts)].sort().join(' ');
      const known = byKey.get(key);
      if (known !== undefined) {
        known.holders++;
        return known.start;
      }
      const block = { key, start: place(texts), holders: 1 };
      byKey.set(key, block);
      byStart.set(block.start, block);
      return block.start;
    },
    release(start) {
      if (start === 0) return;
      const block = byStart.get(start);
      if (block === undefined) throw new RangeError(`no block of networks begins at ${start}`);
      if (--block.holders > 0) return;
      byKey.delete(block.key);
      byStart.delete(start);
      leaving.push(start);
      if (!isWaiting) void freeLeaving();
    },
  };
}
