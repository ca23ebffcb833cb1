// From a source address to its entries in the shared table (layout/source.ts), for whoever wants its connections. Entries
// hold the address masked to their service's prefix, which may be any: so each length is tried, which is at most 128
// look-ups, however many sources there are. Control thread, which is also the only one that takes entries out: what it
// walks does not go away under it.

import { contains, maskWord } from '../layout/network-set.ts';
import { addressWord, NO_ENTRY, SourceIndex } from '../layout/source-index.ts';
import { ANY_SERVICE } from '../layout/source.ts';
import type { Tables } from '../layout/tables.ts';
import { MAPPED_WORD } from '../sys/socket-address.ts';

export interface SourceEntries {
  /**
   * Entries whose connections may come from `source`.
   * @param source    one prefix, as compileNetworks answers it
   * @param service   row, or -1 for all
   * @param mayScan   whether all entries may be looked through: a prefix wider than an address (IPv6: /64) leads nowhere
   * @returns undefined where that would be needed and is not allowed
   */
  find(source: Int32Array, service: number, mayScan: boolean): Int32Array | undefined;
}

export function createSourceEntries(tables: Tables): SourceEntries {
  const { sources } = tables;
  const index = new SourceIndex(sources, tables.sourceBuckets, tables.shared.hashKey);

  /** The prefix lengths that entries of this address may have been masked to, on the scale of 128. */
  function lengths(source: Int32Array, longest: number): number[] {
    const shortest = isIpv4(source) ? 97 : 1;
    return Array.from({ length: longest - shortest + 1 }, (_, i) => shortest + i);
  }

  function ofService(source: Int32Array, service: number): number[] {
    const entries = lengths(source, 128).map((bits) => {
      const [a0, a1, a2, a3] = masked(source, bits);
      return index.find(service, a0, a1, a2, a3);
    });
    return [...new Set(entries)].filter((entry) => entry !== NO_ENTRY);
  }

  function ofAddress(source: Int32Array, service: number): number[] {
    const found = new Set<number>();
    for (const bits of lengths(source, isIpv4(source) ? 128 : 64)) {
      const [a0, a1, a2, a3] = masked(source, bits);
      const address = index.find(
        ANY_SERVICE,
        a0,
        a1,
        addressWord(a0, a1, a2, a2),
        addressWord(a0, a1, a2, a3),
      );
      if (address === NO_ENTRY) continue;
      for (let link = sources.members(address); link !== 0; link = sources.memberNext(link - 1)) {
        if (service < 0 || sources.service(link - 1) === service) found.add(link - 1);
      }
    }
    return [...found];
  }

  function scan(source: Int32Array, service: number): number[] {
    const found: number[] = [];
    const touched = tables.machine.sourcesTouched(0);
    for (let entry = 0; entry < touched; entry++) {
      const owner = sources.service(entry);
      if (sources.holders(entry) <= 0 || owner === ANY_SERVICE || (service >= 0 && owner !== service))
        continue;
      if (
        contains(
          source,
          sources.address(entry, 0),
          sources.address(entry, 1),
          sources.address(entry, 2),
          sources.address(entry, 3),
        )
      )
        found.push(entry);
    }
    return found;
  }

  return {
    find(source, service, mayScan) {
      // `0.0.0.0/0` beside `::/0`: several prefixes stand for one that was cut.
      const isOne = source.length === 5;
      const bits = source[4] as number;
      if (isOne && bits === 128 && service >= 0) return Int32Array.from(ofService(source, service));
      if (isOne && bits >= (isIpv4(source) ? 128 : 64)) return Int32Array.from(ofAddress(source, service));
      return mayScan ? Int32Array.from(scan(source, service)) : undefined;
    },
  };
}

function isIpv4(source: Int32Array): boolean {
  return source[0] === 0 && source[1] === 0 && source[2] === MAPPED_WORD;
}

function masked(source: Int32Array, bits: number): [number, number, number, number] {
  const word = (at: number) => (source[at] as number) & maskWord(bits - at * 32);
  return [word(0), word(1), word(2), word(3)];
}
