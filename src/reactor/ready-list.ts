// Connections that still have work although no event will say so: they used up their share of a turn. First in, first
// out, each at most once (the caller keeps a flag); a turn serves only those that were in when it began, so that one
// fast peer never starves others. Owner worker only.

export class ReadyList {
  private readonly ring: Int32Array;
  private head = 0;
  private size = 0;

  /** @param slotsMax as each slot is in at most once, it can't overflow */
  constructor(slotsMax: number) {
    this.ring = new Int32Array(slotsMax);
  }

  get count(): number {
    return this.size;
  }

  push(slot: number): void {
    if (this.size === this.ring.length) throw new Error('ready list: a slot was pushed twice');
    let tail = this.head + this.size;
    if (tail >= this.ring.length) tail -= this.ring.length;
    this.ring[tail] = slot;
    this.size++;
  }

  /** The caller has seen that `count` is above 0. */
  shift(): number {
    const slot = this.ring[this.head] as number;
    this.head++;
    if (this.head === this.ring.length) this.head = 0;
    this.size--;
    return slot;
  }
}
