// Reads bytes one after another, never past their end: whatever does not fit throws Garbled, which whoever reads a file
// catches and tells. A count is believed only as far as bytes are there to bear it out.

/** The bytes are not what they should be: at which of them, and what is wrong. */
export class Garbled extends Error {
  readonly at: number;
  constructor(at: number, message: string) {
    super(message);
    this.at = at;
  }
}

export class ByteReader {
  readonly bytes: Buffer;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get left(): number {
    return this.bytes.length - this.at;
  }

  /** @returns where they begin */
  skip(count: number): number {
    const start = this.at;
    if (count > this.left)
      throw new Garbled(start, `the file ends, and ${count - this.left} bytes more are missing`);
    this.at += count;
    return start;
  }

  byte(): number {
    return this.bytes[this.skip(1)] as number;
  }

  uint16(): number {
    return this.bytes.readUInt16BE(this.skip(2));
  }

  /** @source Go, encoding/binary: base 128, low groups first; what exceeds 2^53 is no count of anything here */
  uvarint(): number {
    const start = this.at;
    let value = 0;
    for (let scale = 1; scale < 2 ** 53; scale *= 128) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return this.safe(value, start);
    }
    throw new Garbled(start, 'a number that has too many bytes');
  }

  /** Eight bytes, big-endian. */
  uint64(): number {
    const start = this.skip(8);
    return this.safe(this.bytes.readUInt32BE(start) * 2 ** 32 + this.bytes.readUInt32BE(start + 4), start);
  }

  /** How many things of at least `bytesMin` follow. */
  count(count: number, bytesMin: number): number {
    if (count * bytesMin <= this.left) return count;
    throw new Garbled(this.at, `${count} things announced, for which ${this.left} bytes are too few`);
  }

  text(): string {
    const length = this.uvarint();
    const start = this.skip(length);
    return this.bytes.toString('utf8', start, start + length);
  }

  private safe(value: number, at: number): number {
    if (Number.isSafeInteger(value)) return value;
    throw new Garbled(at, 'a number beyond all bounds');
  }
}
