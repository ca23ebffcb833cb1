// Source entries: one record for each `(service, source address)` that has connections, shared by all workers, found by
// hash and claimed by compare-and-swap (connection/sources.ts). The address is masked to the service's device prefix.
//
// A second kind stands for an address over all services: its `service` is ANY_SERVICE, and its `members` lead to the
// entries of that address. So whoever wants one address finds it, however many services there are.
//
//   bucket ─► entry ─► entry                  (bucketNext; pushed at the head)
//   address entry ─members─► entry ─► entry   (memberNext; pushed at the head)

import { atomic, defineRecords, i32, words } from '../memory/records.ts';
import { MAPPED_WORD } from '../sys/socket-address.ts';
import type { ServiceTable } from './service.ts';

export const ANY_SERVICE = -1;
/** Instead of a service: connections of which nobody knows yet whose they are. */
export const UNIDENTIFIED = -2;

/** Of `holders`: the entry is being taken out; nobody can hold it any more. */
export const SOURCE_DEAD = -1;

export const sourceType = defineRecords('Source', {
  /** Next in its bucket, + 1; 0: the last. */
  bucketNext: atomic,
  /** Connections, over all workers, that stand in its lists; of an address entry, its members. */
  holders: atomic,
  /** 1 while it stands in a ring of released entries, so that it does so only once. */
  released: atomic,
  /** Service row, ANY_SERVICE or UNIDENTIFIED. */
  service: i32,
  address: words(4),
  /** Of an address entry: its first member, + 1. */
  members: atomic,
  /** Of a member: the next one, + 1; and its address entry. */
  memberNext: atomic,
  addressEntry: i32,
});

export type SourceTable = ReturnType<typeof sourceType.attach>;

/** Of IPv6, what one customer usually has; of IPv4 all. */
const PREFIX_BITS6 = 64;

/** How many bits of an address tell a service's clients apart, on the scale of 128. */
export function addressBits(
  services: ServiceTable,
  service: number,
  a0: number,
  a1: number,
  a2: number,
): number {
  if (a0 === 0 && a1 === 0 && a2 === MAPPED_WORD) {
    const bits = service < 0 ? 0 : services.prefixBits4(service);
    return bits === 0 ? 128 : 96 + bits;
  }
  const bits = service < 0 ? 0 : services.prefixBits6(service);
  return bits === 0 ? PREFIX_BITS6 : bits;
}
