// A ring between two threads: one writer, one reader, neither ever waits. Values are int32; or a position may stand for a
// record of a table beside it (receipts), which the writer fills between `claim` and `publish`, and the reader reads
// between `first` and `release`.
//
//   word 0    written: positions published so far   (the writer's)
//   word 16   taken: positions given back so far    (the reader's, on a cache line of its own)
//   word 32.. values
//
// Both counts wrap around; a position is a count modulo the capacity, which is a power of two.

const WRITTEN = 0;
const TAKEN = 16;
const VALUES = 32;

/** Bytes of shared memory for `capacity` values. */
export function ringBytes(capacity: number): number {
  return (VALUES + capacity) * 4;
}

export class Ring {
  private readonly words: Int32Array;
  private readonly mask: number;

  /** @param capacity a power of two */
  constructor(buffer: ArrayBufferLike, capacity: number) {
    if (capacity < 1 || (capacity & (capacity - 1)) !== 0) {
      throw new RangeError(`a ring's capacity is a power of two, not ${capacity}`);
    }
    this.words = new Int32Array(buffer, 0, VALUES + capacity);
    this.mask = capacity - 1;
  }

  /** What has been published and not been taken. Either thread. */
  get count(): number {
    return (Atomics.load(this.words, WRITTEN) - Atomics.load(this.words, TAKEN)) | 0;
  }

  // The writer's.

  /** @returns the position to fill, or -1 where the ring is full */
  claim(): number {
    const written = this.words[WRITTEN] as number;
    if (((written - Atomics.load(this.words, TAKEN)) | 0) > this.mask) return -1;
    return written & this.mask;
  }

  /** What was filled since `claim` is the reader's now. */
  publish(): void {
    Atomics.store(this.words, WRITTEN, ((this.words[WRITTEN] as number) + 1) | 0);
  }

  /** @returns false where the ring is full: nothing has changed */
  push(value: number): boolean {
    const position = this.claim();
    if (position < 0) return false;
    this.words[VALUES + position] = value;
    this.publish();
    return true;
  }

  // The reader's.

  /** @returns the position of the oldest that was not taken, or -1 */
  first(): number {
    const taken = this.words[TAKEN] as number;
    return Atomics.load(this.words, WRITTEN) === taken ? -1 : taken & this.mask;
  }

  /** The first position is the writer's again. */
  release(): void {
    Atomics.store(this.words, TAKEN, ((this.words[TAKEN] as number) + 1) | 0);
  }

  /** Takes the oldest value; the caller has seen that there is one (`count`). */
  shift(): number {
    const value = this.words[VALUES + ((this.words[TAKEN] as number) & this.mask)] as number;
    this.release();
    return value;
  }
}
