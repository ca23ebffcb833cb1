// The lists through the slots: every connection stands in one list for each thing that it belongs to, so that whoever
// wants the connections of that thing finds them, and only them. The links lie in the slots, the heads here: two words a
// list, for each worker. The worker links (connection/lists.ts); the control thread reads the counts, to choose the
// shortest list.
//
//   word 0   first slot + 1, so that untouched memory is an empty list
//   word 1   number of slots

/** Connections of one `(service, source)`; the key is its entry (layout/source.ts). */
export const LIST_SOURCE = 0;
export const LIST_SERVICE = 1;
/** The key is the credential. */
export const LIST_USER = 2;
export const LIST_INBOUND = 3;
export const LIST_OUTBOUND = 4;
export const LIST_RULE = 5;
export const LISTS_COUNT = 6;

/** Links of a slot: no neighbour on that side; and, as `linkPrevious`, not in the list at all. */
export const NO_SLOT = -1;
export const NOT_LINKED = -2;

const HEAD_WORDS = 2;

/** How many keys each kind of list has, in the order of LIST_*. */
export type ListKeys = readonly number[];

/** Bytes of the heads of one worker. */
export function listHeadsBytes(keys: ListKeys): number {
  return keys.reduce((sum, count) => sum + count, 0) * HEAD_WORDS * 4;
}

/** A view of one worker's heads. Writer: that worker. */
export class ListHeads {
  private readonly words: Int32Array;
  /** By kind: where its heads begin, in words. */
  private readonly starts: Int32Array;

  constructor(buffer: ArrayBufferLike, keys: ListKeys) {
    this.words = new Int32Array(buffer);
    this.starts = new Int32Array(LISTS_COUNT);
    let start = 0;
    for (let kind = 0; kind < LISTS_COUNT; kind++) {
      this.starts[kind] = start;
      start += (keys[kind] ?? 0) * HEAD_WORDS;
    }
  }

  /** @returns the first slot, or NO_SLOT */
  first(kind: number, key: number): number {
    return (this.words[(this.starts[kind] as number) + key * HEAD_WORDS] as number) - 1;
  }

  count(kind: number, key: number): number {
    return this.words[(this.starts[kind] as number) + key * HEAD_WORDS + 1] as number;
  }

  setFirst(kind: number, key: number, slot: number): void {
    this.words[(this.starts[kind] as number) + key * HEAD_WORDS] = slot + 1;
  }

  /** Empties every list. For a worker that has ended. */
  clear(): void {
    this.words.fill(0);
  }

  addCount(kind: number, key: number, delta: number): void {
    const at = (this.starts[kind] as number) + key * HEAD_WORDS + 1;
    this.words[at] = (this.words[at] as number) + delta;
  }
}
