// Addresses of names that are being dialled: blocks of ADDRESSES_MAX addresses, one a connection that waits for a
// connect to a name with several addresses. Owner worker only; fixed, because a name is looked up before it is known how
// many connections want it. At the bound a connection tries the first address only.

export const ADDRESSES_MAX = 8;
const BLOCK_WORDS = ADDRESSES_MAX * 4;
const NONE = -1;

export class Candidates {
  private readonly words: Int32Array;
  /** Next in the free list. */
  private readonly next: Int32Array;
  /** By block: how many addresses it holds, and how many of them have been tried. */
  private readonly count: Int32Array;
  private readonly tried: Int32Array;
  private free: number;

  constructor(blocks: number) {
    this.words = new Int32Array(blocks * BLOCK_WORDS);
    this.next = new Int32Array(blocks);
    this.count = new Int32Array(blocks);
    this.tried = new Int32Array(blocks);
    for (let block = 0; block < blocks; block++) this.next[block] = block + 1 < blocks ? block + 1 : NONE;
    this.free = blocks > 0 ? 0 : NONE;
  }

  /** @returns a block, or -1 */
  take(): number {
    const block = this.free;
    if (block !== NONE) this.free = this.next[block] as number;
    return block;
  }

  release(block: number): void {
    this.next[block] = this.free;
    this.free = block;
  }

  /** The block is filled, and its first address is being tried. */
  begin(block: number, count: number): void {
    this.count[block] = count;
    this.tried[block] = 1;
  }

  /** How many addresses it holds. */
  size(block: number): number {
    return this.count[block] as number;
  }

  /** How many have not been tried. */
  left(block: number): number {
    return (this.count[block] as number) - (this.tried[block] as number);
  }

  /** @returns the address to try next; the caller has seen that one is left */
  advance(block: number): number {
    const address = this.tried[block] as number;
    this.tried[block] = address + 1;
    return address;
  }

  set(block: number, address: number, word: number, value: number): void {
    this.words[block * BLOCK_WORDS + address * 4 + word] = value;
  }

  word(block: number, address: number, word: number): number {
    return this.words[block * BLOCK_WORDS + address * 4 + word] as number;
  }
}
