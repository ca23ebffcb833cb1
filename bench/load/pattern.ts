// The bytes that bulk work sends, and by which each byte received is judged: a random block repeated without end. The
// period is a prime, so that a piece which was lost, doubled or swapped at any page, pipe or buffer size shows at once;
// the totals, counted beside it, show a piece of exactly one period. Comparing costs less than any checksum would.

const PERIOD_BYTES = 262_139;
/** Longest piece that may be sent or compared at once. */
export const PIECE_BYTES_MAX = 262_144;

export class Pattern {
  /** Holds every window of up to PIECE_BYTES_MAX bytes in one piece. */
  readonly bytes: Uint8Array;
  private readonly asBuffer: Buffer;

  constructor() {
    this.bytes = new Uint8Array(new ArrayBuffer(PERIOD_BYTES + PIECE_BYTES_MAX));
    let state = 0x9e3779b9;
    for (let index = 0; index < PERIOD_BYTES; index++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      this.bytes[index] = state;
    }
    for (let index = PERIOD_BYTES; index < this.bytes.length; index++) {
      this.bytes[index] = this.bytes[index - PERIOD_BYTES] as number;
    }
    this.asBuffer = Buffer.from(this.bytes.buffer as ArrayBuffer);
  }

  /** Where in `bytes` the stream's byte number `streamOffset` stands. */
  position(streamOffset: number): number {
    return streamOffset % PERIOD_BYTES;
  }

  /** Whether `received[0, length)` is what the stream holds from `streamOffset` on. */
  matches(received: Buffer, length: number, streamOffset: number): boolean {
    const from = streamOffset % PERIOD_BYTES;
    return received.compare(this.asBuffer, from, from + length, 0, length) === 0;
  }
}
