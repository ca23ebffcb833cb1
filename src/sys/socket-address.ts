// Socket addresses as the kernel reads and writes them, and the one form that Sluice computes with: four int32 words
// of an IPv6 address in network order (IPv4 is mapped: 0, 0, 0xffff, v4) and a port. Written into fixed buffers, so
// that accepting or dialling allocates nothing.
//
//   bytes     0      2      4                8                24
//   in        family port   address(4)
//   in6       family port   flow(4)          address(16)      scope(4)
//   un        family path ...
// @source ip(7), ipv6(7), unix(7)

import { AF_INET, AF_INET6, AF_UNIX } from './constants.ts';
import type { Sys } from './sys.ts';

export const SOCKADDR_BYTES_MAX = 128;
export const SOCKADDR_IN_BYTES = 16;
export const SOCKADDR_IN6_BYTES = 28;
/** sun_path with its terminating zero. */
export const UNIX_PATH_BYTES_MAX = 108;

/** The third word of an IPv4-mapped address: ::ffff:a.b.c.d. */
export const MAPPED_WORD = 0xffff;

/** One socket address in memory that the kernel may read and write, with its length word. */
export class SocketAddress {
  readonly bytes: Uint8Array;
  readonly address: number;
  readonly lengthAddress: number;
  private readonly view: DataView;

  constructor(sys: Sys) {
    const buffer = new ArrayBuffer(SOCKADDR_BYTES_MAX + 8);
    this.bytes = new Uint8Array(buffer);
    this.view = new DataView(buffer);
    this.address = sys.addressOf(this.bytes);
    this.lengthAddress = this.address + SOCKADDR_BYTES_MAX;
    this.resetLength();
  }

  /** Bytes in use; set by the kernel or by one of the setters. */
  get length(): number {
    return this.view.getInt32(SOCKADDR_BYTES_MAX, true);
  }

  set length(bytes: number) {
    this.view.setInt32(SOCKADDR_BYTES_MAX, bytes, true);
  }

  /** To be called before the kernel writes into it. */
  resetLength(): void {
    this.length = SOCKADDR_BYTES_MAX;
  }

  get family(): number {
    return this.view.getUint16(0, true);
  }

  /** The port in host order; 0 for Unix sockets. */
  get port(): number {
    return this.family === AF_UNIX ? 0 : this.view.getUint16(2, false);
  }

  /** Word `index` (0 to 3) of the address as IPv6, network order, as int32. Unix sockets answer ::. */
  word(index: number): number {
    const family = this.family;
    if (family === AF_INET6) return this.view.getInt32(8 + index * 4, false);
    if (family !== AF_INET) return 0;
    return index === 3 ? this.view.getInt32(4, false) : index === 2 ? MAPPED_WORD : 0;
  }

  /**
   * Sets an IPv4 or IPv6 address from words. A mapped address becomes AF_INET, so that IPv4 works where IPv6 is off.
   * @returns the length in bytes
   */
  setIp(word0: number, word1: number, word2: number, word3: number, port: number): number {
    const view = this.view;
    if (word0 === 0 && word1 === 0 && word2 === MAPPED_WORD) {
      view.setUint16(0, AF_INET, true);
      view.setUint16(2, port, false);
      view.setInt32(4, word3, false);
      view.setInt32(8, 0, true);
      view.setInt32(12, 0, true);
      this.length = SOCKADDR_IN_BYTES;
      return SOCKADDR_IN_BYTES;
    }
    view.setUint16(0, AF_INET6, true);
    view.setUint16(2, port, false);
    view.setInt32(4, 0, true);
    view.setInt32(8, word0, false);
    view.setInt32(12, word1, false);
    view.setInt32(16, word2, false);
    view.setInt32(20, word3, false);
    view.setInt32(24, 0, true);
    this.length = SOCKADDR_IN6_BYTES;
    return SOCKADDR_IN6_BYTES;
  }

  /**
   * Sets a Unix socket's path (slow path). The caller has checked that it is shorter than UNIX_PATH_BYTES_MAX.
   * @returns the length in bytes
   */
  setUnix(path: Uint8Array): number {
    this.bytes.fill(0, 0, SOCKADDR_BYTES_MAX);
    this.view.setUint16(0, AF_UNIX, true);
    this.bytes.set(path, 2);
    this.length = 2 + path.length + 1;
    return this.length;
  }

  /** The path of a Unix socket (slow path; allocates). */
  unixPath(): string {
    let end = 2;
    while (end < this.length && this.bytes[end] !== 0) end++;
    return Buffer.from(this.bytes.subarray(2, end)).toString('utf8');
  }
}
