// Finds, holds and takes out source entries (source.ts). Workers hold and release without a lock; one thread, the control
// thread, takes entries out. That there is only one remover is what makes it simple:
//
//   hold     walk the bucket; found: holders + 1 by compare-and-swap, unless DEAD. Else fill a new entry and push it at
//            the head of the bucket by compare-and-swap; if the head has changed, walk again: so a key is never in twice
//   release  holders - 1; whoever makes it 0 puts the entry into its ring of released ones, where it stands once
//   take out holders 0 → DEAD by compare-and-swap, then out of its chains: at a head by compare-and-swap, further in
//            by a plain store, for only the remover writes there. Walkers that stand on it still find the way on
//   recycle  once every worker has passed a quiescent state nobody stands on it: it may become another entry
//
// So no chain word can be mistaken for an older one of the same value: between two looks of one turn nothing is recycled.
// Hashes are keyed (HalfSipHash-1-3 over five words): who chooses source addresses cannot aim at a bucket.
// @source J.-P. Aumasson, D. J. Bernstein, SipHash (2012); github.com/veorq/SipHash, halfsiphash.c

import { MAPPED_WORD } from '../sys/socket-address.ts';
import { ANY_SERVICE, SOURCE_DEAD } from './source.ts';
import type { SourceTable } from './source.ts';

/** `hold` found no room. */
export const NO_ENTRY = -1;

/** Where new entries come from, and those go that nobody holds: one a worker (connection/sources.ts). */
export interface EntrySupply {
  /** @returns an entry that nobody knows, or NO_ENTRY */
  take(): number;
  /** Gives back what `take` answered and nobody was shown. */
  keep(entry: number): void;
  /** No longer holds an entry. */
  release(entry: number): void;
}

export class SourceIndex {
  readonly table: SourceTable;
  private readonly buckets: Int32Array;
  private readonly mask: number;
  private readonly key0: number;
  private readonly key1: number;

  /** @param buckets a power of two of them @param hashKey `SharedTables.hashKey` */
  constructor(table: SourceTable, buckets: Int32Array, hashKey: Int32Array) {
    this.table = table;
    this.buckets = buckets;
    this.mask = buckets.length - 1;
    this.key0 = hashKey[0] as number;
    this.key1 = hashKey[1] as number;
  }

  /** @returns the entry of a key that is not DEAD, or NO_ENTRY. Any thread; it may be gone a moment later. */
  find(service: number, a0: number, a1: number, a2: number, a3: number): number {
    const table = this.table;
    let link = Atomics.load(this.buckets, this.bucketOf(service, a0, a1, a2, a3));
    while (link !== 0) {
      const entry = link - 1;
      if (this.is(entry, service, a0, a1, a2, a3) && table.holders(entry) !== SOURCE_DEAD) return entry;
      link = table.bucketNext(entry);
    }
    return NO_ENTRY;
  }

  /**
   * Holds the entry of `(service, address)`, which is made where there is none. Worker; the address is masked already.
   * @returns the entry, or NO_ENTRY where the table is full
   */
  hold(supply: EntrySupply, service: number, a0: number, a1: number, a2: number, a3: number): number {
    const bucket = this.bucketOf(service, a0, a1, a2, a3);
    const head = Atomics.load(this.buckets, bucket);
    const found = this.holdIn(head, service, a0, a1, a2, a3);
    if (found !== NO_ENTRY) return found;
    return this.add(supply, bucket, head, service, a0, a1, a2, a3);
  }

  /** @returns true where nobody holds it any more and it stands in no ring yet: the caller puts it into one */
  release(entry: number): boolean {
    return this.table.addHolders(entry, -1) === 1 && this.table.swapReleased(entry, 0, 1) === 0;
  }

  /**
   * Nobody can hold an entry from here on that came from a ring of released ones, unless somebody holds it again.
   * Control thread only. @returns whether it is DEAD: `takeOut` must follow before anybody else has the thread
   */
  condemn(entry: number): boolean {
    const table = this.table;
    table.setReleased(entry, 0);
    return table.swapHolders(entry, 0, SOURCE_DEAD) === 0;
  }

  /**
   * Takes all that were condemned out of their chains: they may be recycled after a quiescent state. At once, because the
   * members of an address are walked once for all of them. Control thread only.
   */
  takeOut(condemned: readonly number[]): void {
    const addresses = new Set<number>();
    for (const entry of condemned) {
      this.takeOutOfBucket(entry);
      if (this.table.service(entry) !== ANY_SERVICE) addresses.add(this.table.addressEntry(entry));
    }
    for (const address of addresses) this.dropDeadMembers(address);
  }

  private holdIn(head: number, service: number, a0: number, a1: number, a2: number, a3: number): number {
    const table = this.table;
    let link = head;
    while (link !== 0) {
      const entry = link - 1;
      if (this.is(entry, service, a0, a1, a2, a3)) {
        let holders = table.holders(entry);
        while (holders !== SOURCE_DEAD) {
          const was = table.swapHolders(entry, holders, holders + 1);
          if (was === holders) return entry;
          holders = was;
        }
      }
      link = table.bucketNext(entry);
    }
    return NO_ENTRY;
  }

  private add(
    supply: EntrySupply,
    bucket: number,
    headSeen: number,
    service: number,
    a0: number,
    a1: number,
    a2: number,
    a3: number,
  ): number {
    const table = this.table;
    const entry = supply.take();
    if (entry === NO_ENTRY) return NO_ENTRY;
    let addressEntry = NO_ENTRY;
    if (service !== ANY_SERVICE) {
      addressEntry = this.hold(
        supply,
        ANY_SERVICE,
        a0,
        a1,
        addressWord(a0, a1, a2, a2),
        addressWord(a0, a1, a2, a3),
      );
      if (addressEntry === NO_ENTRY) {
        supply.keep(entry);
        return NO_ENTRY;
      }
    }
    table.setService(entry, service);
    table.setAddress(entry, 0, a0);
    table.setAddress(entry, 1, a1);
    table.setAddress(entry, 2, a2);
    table.setAddress(entry, 3, a3);
    table.setMembers(entry, 0);
    table.setMemberNext(entry, 0);
    table.setAddressEntry(entry, addressEntry);
    table.setReleased(entry, 0);
    table.setHolders(entry, 1);
    let head = headSeen;
    for (;;) {
      table.setBucketNext(entry, head);
      const was = Atomics.compareExchange(this.buckets, bucket, head, entry + 1);
      if (was === head) break;
      head = was;
      const found = this.holdIn(head, service, a0, a1, a2, a3);
      if (found === NO_ENTRY) continue;
      // Another worker was faster.
      if (addressEntry !== NO_ENTRY) supply.release(addressEntry);
      supply.keep(entry);
      return found;
    }
    if (addressEntry !== NO_ENTRY) this.join(entry, addressEntry);
    return entry;
  }

  /** The address entry is held by its members, so it cannot go away meanwhile. */
  private join(entry: number, addressEntry: number): void {
    const table = this.table;
    let first = table.members(addressEntry);
    for (;;) {
      table.setMemberNext(entry, first);
      const was = table.swapMembers(addressEntry, first, entry + 1);
      if (was === first) return;
      first = was;
    }
  }

  private takeOutOfBucket(entry: number): void {
    const table = this.table;
    const bucket = this.bucketOf(
      table.service(entry),
      table.address(entry, 0),
      table.address(entry, 1),
      table.address(entry, 2),
      table.address(entry, 3),
    );
    const next = table.bucketNext(entry);
    let head = Atomics.compareExchange(this.buckets, bucket, entry + 1, next);
    if (head === entry + 1) return;
    while (head !== 0 && table.bucketNext(head - 1) !== entry + 1) head = table.bucketNext(head - 1);
    if (head === 0) throw new Error(`source entry ${entry} is not in its bucket`);
    table.setBucketNext(head - 1, next);
  }

  private dropDeadMembers(address: number): void {
    const table = this.table;
    let link = table.members(address);
    while (link !== 0 && table.holders(link - 1) === SOURCE_DEAD) {
      const next = table.memberNext(link - 1);
      const was = table.swapMembers(address, link, next);
      link = was === link ? next : was;
    }
    // Behind one that lives nobody else writes.
    while (link !== 0) {
      let next = table.memberNext(link - 1);
      while (next !== 0 && table.holders(next - 1) === SOURCE_DEAD) next = table.memberNext(next - 1);
      if (next !== table.memberNext(link - 1)) table.setMemberNext(link - 1, next);
      link = next;
    }
  }

  private is(entry: number, service: number, a0: number, a1: number, a2: number, a3: number): boolean {
    const table = this.table;
    return (
      table.service(entry) === service &&
      table.address(entry, 3) === a3 &&
      table.address(entry, 2) === a2 &&
      table.address(entry, 1) === a1 &&
      table.address(entry, 0) === a0
    );
  }

  private bucketOf(service: number, a0: number, a1: number, a2: number, a3: number): number {
    return halfSipHash(this.key0, this.key1, service, a0, a1, a2, a3) & this.mask;
  }
}

/** The key of an address entry: all of an IPv4 address, the first 64 bits of an IPv6 one. `word`: the third or fourth. */
export function addressWord(a0: number, a1: number, a2: number, word: number): number {
  return a0 === 0 && a1 === 0 && a2 === MAPPED_WORD ? word : 0;
}

/** HalfSipHash-1-3 of five words; the first of its two result words. */
function halfSipHash(
  k0: number,
  k1: number,
  m0: number,
  m1: number,
  m2: number,
  m3: number,
  m4: number,
): number {
  let v0 = k0;
  let v1 = k1;
  let v2 = 0x6c796765 ^ k0;
  let v3 = 0x74656462 ^ k1;
  for (let i = 0; i < 9; i++) {
    // Five words, the length, and three rounds to finish.
    const m =
      i === 0 ? m0 : i === 1 ? m1 : i === 2 ? m2 : i === 3 ? m3 : i === 4 ? m4 : i === 5 ? 20 << 24 : 0;
    if (i === 6) v2 ^= 0xff;
    v3 ^= m;
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    v0 ^= m;
  }
  return v1 ^ v3;
}
