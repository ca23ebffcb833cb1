// The simulated address space. Each buffer that `addressOf` meets is a region of 4 GiB of its own, so that an address
// is `region * 2^32 + offset`; region 0 stays empty, which makes the null pointer a fault.

const REGION_BYTES = 2 ** 32;

export class AddressSpace {
  private readonly regionOf = new Map<ArrayBufferLike, number>();
  private readonly regions: Uint8Array[] = [new Uint8Array(0)];
  private readonly views: DataView[] = [new DataView(new ArrayBuffer(0))];

  addressOf(bytes: Uint8Array): number {
    let region = this.regionOf.get(bytes.buffer);
    if (region === undefined) {
      region = this.regions.push(new Uint8Array(bytes.buffer)) - 1;
      this.views.push(new DataView(bytes.buffer));
      this.regionOf.set(bytes.buffer, region);
    }
    return region * REGION_BYTES + bytes.byteOffset;
  }

  /** The whole region around `address`, or undefined where [address, address + length) is not memory. */
  bytesAt(address: number, length: number): Uint8Array | undefined {
    const bytes = this.regions[Math.floor(address / REGION_BYTES)];
    return bytes !== undefined && length >= 0 && (address % REGION_BYTES) + length <= bytes.length
      ? bytes
      : undefined;
  }

  offsetOf(address: number): number {
    return address % REGION_BYTES;
  }

  readInt32(address: number): number {
    return (this.views[Math.floor(address / REGION_BYTES)] as DataView).getInt32(
      address % REGION_BYTES,
      true,
    );
  }

  writeInt32(address: number, value: number): void {
    (this.views[Math.floor(address / REGION_BYTES)] as DataView).setInt32(
      address % REGION_BYTES,
      value,
      true,
    );
  }
}
