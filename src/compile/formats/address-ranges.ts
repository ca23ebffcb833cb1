// From an address to an address, both included → the fewest networks that are just that. Words are int32 in network order,
// IPv4 mapped, as everywhere.

import type { Network } from '../rule.ts';

const MAPPED_WORD = 0xffff;

/** IPv4 in plain numbers: most of what there is. */
export function ipv4Networks(from: number, to: number, into: Network[]): void {
  let start = from;
  while (start <= to) {
    let hostBits = start === 0 ? 32 : Math.min(32, trailingZeros(start));
    while (2 ** hostBits > to - start + 1) hostBits--;
    into.push({ words: [0, 0, MAPPED_WORD, start | 0], bits: 128 - hostBits });
    start += 2 ** hostBits;
  }
}

function trailingZeros(value: number): number {
  const low = value | 0;
  return low === 0 ? 32 : 31 - Math.clz32(low & -low);
}

export function ipv6Networks(from: bigint, to: bigint, into: Network[]): void {
  let start = from;
  while (start <= to) {
    let hostBits = 0;
    while (hostBits < 128) {
      const block = 1n << BigInt(hostBits);
      // Twice as large, it would not begin here, or end behind the end.
      if ((start & block) !== 0n || start + 2n * block - 1n > to) break;
      hostBits++;
    }
    into.push({ words: wordsOf(start), bits: 128 - hostBits });
    start += 1n << BigInt(hostBits);
  }
}

function wordsOf(value: bigint): Network['words'] {
  const word = (shift: bigint) => Number(BigInt.asUintN(32, value >> shift)) | 0;
  return [word(96n), word(64n), word(32n), word(0n)];
}
