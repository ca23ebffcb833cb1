// A hash table in shared memory: one writer (the control thread), any number of readers that take no lock. Keys are
// 128-bit keyed hashes (siphash.ts), so that an entry has a fixed size and no reader ever compares text: two different
// texts meet on one key with probability 2^-128, and nobody outside knows the key of the hash. Values are int32 >= 0.
//
//   entry, 8 words:  key 0..3 | value | state | - | -
//   state:  EMPTY(0), or version << 2 | USED(1) or DELETED(2); it changes with every write of the entry
//
// Open addressing with linear probing at most half full. A reader that finds a key reads value and state again: a state
// that changed in between means that the writer replaced the entry, and the reader looks at it again. A deleted entry
// whose successor is empty becomes empty, so that probes stay short under churn.

const ENTRY_WORDS = 8;
const VALUE_WORD = 4;
const STATE_WORD = 5;
const USED = 1;
const DELETED = 2;
const STATUS_MASK = 3;
const VERSION_STEP = 4;

/** Bytes of shared memory for `entriesMax` entries. */
export function hashTableBytes(entriesMax: number): number {
  return capacityFor(entriesMax) * ENTRY_WORDS * 4;
}

function capacityFor(entriesMax: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(8, entriesMax * 2)));
}

/** A view of the table: readers on any thread, `set` and `delete` on the writer's only. */
export class HashTable {
  private readonly table: Int32Array;
  private readonly mask: number;
  private readonly entriesMax: number;
  private used = 0;

  constructor(buffer: ArrayBufferLike, byteOffset: number, entriesMax: number) {
    const capacity = capacityFor(entriesMax);
    this.table = new Int32Array(buffer, byteOffset, capacity * ENTRY_WORDS);
    this.mask = capacity - 1;
    this.entriesMax = entriesMax;
  }

  /**
   * @param key  Int32Array that holds the four words of the key from `at` on
   * @returns the value (>= 0), or -1 where the key is absent
   */
  get(key: Int32Array, at: number): number {
    const table = this.table;
    const k0 = key[at] as number;
    const k1 = key[at + 1] as number;
    const k2 = key[at + 2] as number;
    const k3 = key[at + 3] as number;
    let entry = k0 & this.mask;
    for (let probes = 0; probes <= this.mask; probes++) {
      const base = entry * ENTRY_WORDS;
      const state = Atomics.load(table, base + STATE_WORD);
      if (state === 0) return -1;
      if (
        (state & STATUS_MASK) === USED &&
        table[base] === k0 &&
        table[base + 1] === k1 &&
        table[base + 2] === k2 &&
        table[base + 3] === k3
      ) {
        const value = Atomics.load(table, base + VALUE_WORD);
        if (Atomics.load(table, base + STATE_WORD) === state) return value;
        probes--; // The writer was faster: the same entry once more.
        continue;
      }
      entry = (entry + 1) & this.mask;
    }
    return -1;
  }

  /**
   * Adds or replaces an entry. Writer only.
   * @returns false where the table is full and the key is new; nothing has changed then
   */
  set(key: Int32Array, at: number, value: number): boolean {
    const table = this.table;
    let free = -1;
    let entry = (key[at] as number) & this.mask;
    for (let probes = 0; probes <= this.mask; probes++) {
      const base = entry * ENTRY_WORDS;
      const state = table[base + STATE_WORD] as number;
      if (state !== 0 && (state & STATUS_MASK) === USED && this.holds(base, key, at)) {
        Atomics.store(table, base + VALUE_WORD, value);
        Atomics.store(table, base + STATE_WORD, nextState(state, USED));
        return true;
      }
      if (free < 0 && (state & STATUS_MASK) !== USED) free = base;
      if (state === 0) break;
      entry = (entry + 1) & this.mask;
    }
    if (free < 0 || this.used >= this.entriesMax) return false;
    const state = table[free + STATE_WORD] as number;
    for (let word = 0; word < 4; word++) Atomics.store(table, free + word, key[at + word] as number);
    Atomics.store(table, free + VALUE_WORD, value);
    Atomics.store(table, free + STATE_WORD, nextState(state, USED));
    this.used++;
    return true;
  }

  /** Removes an entry. Writer only. @returns false where the key is absent */
  delete(key: Int32Array, at: number): boolean {
    const table = this.table;
    let entry = (key[at] as number) & this.mask;
    for (let probes = 0; probes <= this.mask; probes++) {
      const base = entry * ENTRY_WORDS;
      const state = table[base + STATE_WORD] as number;
      if (state === 0) return false;
      if ((state & STATUS_MASK) === USED && this.holds(base, key, at)) {
        Atomics.store(table, base + STATE_WORD, nextState(state, DELETED));
        this.used--;
        this.sweepBackFrom(entry);
        return true;
      }
      entry = (entry + 1) & this.mask;
    }
    return false;
  }

  /** Number of entries; exact on the writer's view only. */
  get size(): number {
    return this.used;
  }

  private holds(base: number, key: Int32Array, at: number): boolean {
    for (let word = 0; word < 4; word++) if (this.table[base + word] !== key[at + word]) return false;
    return true;
  }

  private sweepBackFrom(start: number): void {
    let entry = start;
    const after = ((entry + 1) & this.mask) * ENTRY_WORDS;
    if (this.table[after + STATE_WORD] !== 0) return;
    while (((this.table[entry * ENTRY_WORDS + STATE_WORD] as number) & STATUS_MASK) === DELETED) {
      Atomics.store(this.table, entry * ENTRY_WORDS + STATE_WORD, 0);
      entry = (entry - 1) & this.mask;
    }
  }
}

function nextState(state: number, status: number): number {
  return ((state & ~STATUS_MASK) + VERSION_STEP) | 0 | status;
}
