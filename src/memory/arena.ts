// Places blocks in a range of words: a buddy system. A block is a power of two of words, its start a multiple of its size;
// what is free and whose buddy is free as well becomes one block again. So both ways cost the logarithm of the range, and
// at most half of a block lies idle: first fit would keep no word idle but walk a list whose length nobody bounds.
//
// It knows only where blocks lie; the words are somebody else's. One thread.

/** Smallest block, in words: what is smaller shares nothing. */
const BLOCK_WORDS_MIN = 8;
const ORDER_MIN = Math.log2(BLOCK_WORDS_MIN);

export interface Arena {
  /** @returns where a block of at least `words` begins, or -1 where no room is left */
  allocate(words: number): number;
  /**
   * Takes the block of at least `words` at `start`, which `allocate` answered once, in an arena of the same range.
   * @returns false where some of it is in use
   */
  reserve(start: number, words: number): boolean;
  /** Gives a block back. @throws RangeError for what `allocate` did not answer */
  release(start: number): void;
  /** Words of blocks in use, with what of them lies idle. */
  readonly wordsUsed: number;
}

/** @param words of the range; what is left over behind the last block is not used */
export function createArena(words: number): Arena {
  /** By order (log2 of the size): starts of free blocks. */
  const free: Set<number>[] = [];
  const orders = new Map<number, number>();
  let wordsUsed = 0;

  let start = 0;
  for (let order = Math.floor(Math.log2(Math.max(1, words))); order >= 0; order--) {
    free[order] = new Set();
    if (order >= ORDER_MIN && start + 2 ** order <= words) {
      setOf(order).add(start);
      start += 2 ** order;
    }
  }

  function setOf(order: number): Set<number> {
    return free[order] as Set<number>;
  }

  return {
    get wordsUsed() {
      return wordsUsed;
    },
    allocate(wanted) {
      const order = Math.max(ORDER_MIN, Math.ceil(Math.log2(wanted)));
      let from = order;
      while (from < free.length && setOf(from).size === 0) from++;
      if (from >= free.length) return -1;
      const block = setOf(from).values().next().value as number;
      setOf(from).delete(block);
      // The lower half goes on being divided, the upper halves stay free.
      while (from > order) {
        from--;
        setOf(from).add(block + 2 ** from);
      }
      orders.set(block, order);
      wordsUsed += 2 ** order;
      return block;
    },
    reserve(start, wanted) {
      const order = Math.max(ORDER_MIN, Math.ceil(Math.log2(wanted)));
      let from = order;
      while (from < free.length && !setOf(from).has(start - (start % 2 ** from))) from++;
      if (from >= free.length || start % 2 ** order !== 0) return false;
      setOf(from).delete(start - (start % 2 ** from));
      // Of each half that is divided, the one without the block stays free.
      while (from > order) {
        from--;
        const lower = start - (start % 2 ** (from + 1));
        setOf(from).add(start < lower + 2 ** from ? lower + 2 ** from : lower);
      }
      orders.set(start, order);
      wordsUsed += 2 ** order;
      return true;
    },
    release(released) {
      let order = orders.get(released);
      if (order === undefined) throw new RangeError(`no block begins at ${released}`);
      orders.delete(released);
      wordsUsed -= 2 ** order;
      let block = released;
      while (order + 1 < free.length) {
        const buddy = block % 2 ** (order + 1) === 0 ? block + 2 ** order : block - 2 ** order;
        if (!setOf(order).delete(buddy)) break;
        block = Math.min(block, buddy);
        order++;
      }
      setOf(order).add(block);
    },
  };
}
