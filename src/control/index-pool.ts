// Indexes into a table of fixed size. One that is given back is not used again before `settle`: until every worker has
// applied the plan in which its object is gone, a worker may still follow the old plan to it, and must find nothing
// there rather than somebody else. Control thread only.

export interface IndexPool {
  /** How many `acquire` can still answer before the next `settle`. */
  readonly room: number;
  /** The lowest index that is free. @throws RangeError where there is none; ask `room` first */
  acquire(): number;
  /** What the next `count` calls of `acquire` would answer. */
  foresee(count: number): number[];
  /** Gives an index back, for use after the next `settle`. */
  release(index: number): void;
  /** Every worker has applied the plan that follows the releases. */
  settle(): void;
}

export function createIndexPool(count: number): IndexPool {
  let used = 0;
  const free: number[] = [];
  let released: number[] = [];
  return {
    get room() {
      return count - used + free.length;
    },
    acquire() {
      const index = free.pop() ?? (used < count ? used++ : -1);
      if (index < 0) throw new RangeError(`all ${count} indexes are in use`);
      return index;
    },
    foresee(wanted) {
      const first = free.slice(Math.max(0, free.length - wanted)).reverse();
      return [...first, ...Array.from({ length: wanted - first.length }, (_, place) => used + place)];
    },
    release(index) {
      released.push(index);
    },
    settle() {
      if (released.length === 0) return;
      // Descending, so that `pop` answers the lowest: tables stay dense, and a run can be repeated. Few are put into their
      // places, so that one change among many free indexes does not sort them all.
      if (released.length > INSERTED_MAX) {
        for (const index of released) free.push(index);
        free.sort((a, b) => b - a);
      } else {
        for (const index of released) free.splice(placeOf(free, index), 0, index);
      }
      released = [];
    },
  };
}

const INSERTED_MAX = 64;

/** Where an index belongs in a descending list. */
function placeOf(descending: readonly number[], index: number): number {
  let low = 0;
  let high = descending.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((descending[middle] as number) > index) low = middle + 1;
    else high = middle;
  }
  return low;
}
