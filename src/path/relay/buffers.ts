// The buffers of a worker's copy engine: blocks of one size in one piece of memory. One block is `current`: every read
// goes there. If the destination takes only a part, that block *becomes* the connection's leftover buffer, and another
// one becomes current: nothing is copied twice. The number of blocks is the bound on leftover memory; when none but the
// current one is left, reads peek (relay.ts) and the bytes stay in the kernel. Owner worker only. Memory that was
// never used is never touched.

import type { Sys } from '../../sys/sys.ts';

/** Also the size of a read. */
export const BLOCK_BYTES = 64 * 1024;
const NONE = -1;

export class Buffers {
  readonly bytes: Uint8Array;
  readonly baseAddress: number;
  /** The block that reads go to. */
  current: number;
  private readonly freeStack: Int32Array;
  private freeCount: number;
  private readonly blocks: number;

  /** @param blocks at least 2 */
  constructor(sys: Sys, blocks: number) {
    this.blocks = blocks;
    this.bytes = new Uint8Array(new ArrayBuffer(blocks * BLOCK_BYTES));
    this.baseAddress = sys.addressOf(this.bytes);
    // The lowest number on top, so that a worker with little backlog touches little memory.
    this.freeStack = new Int32Array(blocks);
    for (let i = 0; i < blocks - 1; i++) this.freeStack[i] = blocks - 1 - i;
    this.freeCount = blocks - 1;
    this.current = 0;
  }

  get inUse(): number {
    return this.blocks - 1 - this.freeCount;
  }

  /** True where a read might leave bytes that have no place. */
  get exhausted(): boolean {
    return this.freeCount === 0;
  }

  addressOf(block: number): number {
    return this.baseAddress + block * BLOCK_BYTES;
  }

  /** Makes the current block a leftover buffer. @returns it, or -1 where there is no other block to go on with */
  keepCurrent(): number {
    if (this.freeCount === 0) return NONE;
    const kept = this.current;
    this.freeCount--;
    this.current = this.freeStack[this.freeCount] as number;
    return kept;
  }

  release(block: number): void {
    this.freeStack[this.freeCount] = block;
    this.freeCount++;
  }
}
