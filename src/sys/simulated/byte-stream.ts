// The bytes of one direction of a connection, in one ring, with four positions counted from its beginning:
//
//     readAt        arrivedAt       launchedAt       writtenAt
//       |  readable     |   in flight    |   not sent    |
//
// A byte is copied in once and out once; travelling moves a position. Invariant: each position <= the one after it,
// and writtenAt - readAt <= ring.length. The capacities are the sockets' business; the ring grows to what is needed.

const RING_BYTES_FIRST = 4096;
/** Rings of closed connections, by size, for the next simulation: allocating them anew was most of a run's time. */
const spareRings = new Map<number, Uint8Array[]>();
const SPARE_RINGS_MAX = 256;

export class ByteStream {
  readAt = 0;
  arrivedAt = 0;
  launchedAt = 0;
  writtenAt = 0;
  /** Position of the byte that was sent as urgent; -1 for none. */
  urgentAt = -1;
  private ring: Uint8Array | undefined;

  /** Appends; the caller has checked its capacity. */
  write(source: Uint8Array, offset: number, length: number): void {
    const ring = this.roomFor(length);
    const start = this.writtenAt % ring.length;
    const first = Math.min(length, ring.length - start);
    copy(source, offset, ring, start, first);
    if (first < length) copy(source, offset + first, ring, 0, length - first);
    this.writtenAt += length;
  }

  /** Copies the next `length` readable bytes without consuming them. */
  peek(target: Uint8Array, offset: number, length: number): void {
    const ring = this.ring;
    if (ring === undefined || length === 0) return;
    const start = this.readAt % ring.length;
    const first = Math.min(length, ring.length - start);
    copy(ring, start, target, offset, first);
    if (first < length) copy(ring, 0, target, offset + first, length - first);
  }

  /** Moves the next `length` readable bytes to the end of `target`. */
  moveTo(target: ByteStream, length: number): void {
    const ring = this.ring;
    if (ring === undefined || length === 0) return;
    const start = this.readAt % ring.length;
    const first = Math.min(length, ring.length - start);
    target.write(ring, start, first);
    if (first < length) target.write(ring, 0, length - first);
    this.readAt += length;
  }

  /** Drops readable bytes. */
  skip(length: number): void {
    this.readAt += length;
  }

  /** For streams whose bytes do not travel: what is written has arrived. */
  arriveAll(): void {
    this.launchedAt = this.writtenAt;
    this.arrivedAt = this.writtenAt;
  }

  /** Nobody will write or read any more; the ring serves another stream. */
  discard(): void {
    const ring = this.ring;
    this.ring = undefined;
    this.readAt = this.arrivedAt = this.launchedAt = this.writtenAt;
    if (ring === undefined) return;
    const spare = spareRings.get(ring.length);
    if (spare === undefined) spareRings.set(ring.length, [ring]);
    else if (spare.length < SPARE_RINGS_MAX) spare.push(ring);
  }

  private roomFor(length: number): Uint8Array {
    const old = this.ring;
    const held = this.writtenAt - this.readAt;
    if (old !== undefined && held + length <= old.length) return old;
    let bytes = old === undefined ? RING_BYTES_FIRST : old.length * 2;
    while (bytes < held + length) bytes *= 2;
    const grown = spareRings.get(bytes)?.pop() ?? new Uint8Array(bytes);
    if (old !== undefined) {
      for (let position = this.readAt; position < this.writtenAt; ) {
        const from = position % old.length;
        const to = position % bytes;
        const run = Math.min(this.writtenAt - position, old.length - from, bytes - to);
        copy(old, from, grown, to, run);
        position += run;
      }
    }
    this.ring = grown;
    return grown;
  }
}

/** A loop beats the two views of `set` for the few bytes that most messages have. */
function copy(source: Uint8Array, from: number, target: Uint8Array, to: number, length: number): void {
  if (length > 64) {
    target.set(source.subarray(from, from + length), to);
    return;
  }
  for (let index = 0; index < length; index++) target[to + index] = source[from + index] as number;
}
