// A set of networks (`sources`, `allow_destinations`, `accept_proxy_protocol`) as one Int32Array that can be put into
// shared memory and asked without allocation. Five words a prefix: four address words in network order and the prefix
// length on the 128-bit scale (10.0.0.0/8 is ::ffff:10.0.0.0/104).
//
// Compiled on the control thread, asked by workers. Invariants: sorted by address as unsigned numbers, and disjoint (a
// prefix inside another is dropped), so that one binary search decides. A prefix written as IPv6 never matches IPv4:
// `::/0` is cut around ::ffff:0:0/96.

import { MAPPED_WORD } from '../sys/socket-address.ts';
import { formatIp, parseIp } from './ip-address.ts';

export const NETWORK_WORDS = 5;

/** What is wrong with a network as an operator wrote it, naming what was found; undefined if nothing is. */
export function networkMistake(text: string): string | undefined {
  const parsed = parseNetwork(text);
  return typeof parsed === 'string' ? parsed : undefined;
}

/**
 * Compiles networks (`10.0.0.0/8`, `2001:db8::/32`, a bare address). Control thread.
 * @returns Int32Array[count * NETWORK_WORDS], sorted and disjoint
 * @throws RangeError with the text of `networkMistake` for the first bad one
 */
export function compileNetworks(texts: readonly string[]): Int32Array {
  const networks: Int32Array[] = [];
  for (const text of texts) {
    const parsed = parseNetwork(text);
    if (typeof parsed === 'string') throw new RangeError(parsed);
    const length = parsed[4] as number;
    if (length < 96 && holds(parsed, 0, 0, 0, MAPPED_WORD, 0)) networks.push(...aroundIpv4(length));
    else networks.push(parsed);
  }
  networks.sort(compareNetworks);
  const kept: Int32Array[] = [];
  for (const network of networks) {
    const before = kept.at(-1);
    const inside =
      before !== undefined &&
      holds(
        before,
        0,
        network[0] as number,
        network[1] as number,
        network[2] as number,
        network[3] as number,
      );
    if (!inside) kept.push(network);
  }
  const set = new Int32Array(kept.length * NETWORK_WORDS);
  for (const [index, network] of kept.entries()) set.set(network, index * NETWORK_WORDS);
  return set;
}

/**
 * Whether the set holds the address. Workers; O(log n), allocates nothing.
 * @param set what `compileNetworks` answered
 */
export function contains(
  set: Int32Array,
  word0: number,
  word1: number,
  word2: number,
  word3: number,
): boolean {
  return containsIn(set, 0, (set.length / NETWORK_WORDS) | 0, word0, word1, word2, word3);
}

/** As `contains`, for a set of `count` prefixes that begins at word `at` of a larger table. */
export function containsIn(
  table: Int32Array,
  at: number,
  count: number,
  word0: number,
  word1: number,
  word2: number,
  word3: number,
): boolean {
  // The last network whose address is not above the one sought is the only one that can hold it.
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isAbove(table, at + middle * NETWORK_WORDS, word0, word1, word2, word3)) high = middle;
    else low = middle + 1;
  }
  return low > 0 && holds(table, at + (low - 1) * NETWORK_WORDS, word0, word1, word2, word3);
}

function isAbove(
  table: Int32Array,
  at: number,
  word0: number,
  word1: number,
  word2: number,
  word3: number,
): boolean {
  if (table[at] !== word0) return (table[at] as number) >>> 0 > word0 >>> 0;
  if (table[at + 1] !== word1) return (table[at + 1] as number) >>> 0 > word1 >>> 0;
  if (table[at + 2] !== word2) return (table[at + 2] as number) >>> 0 > word2 >>> 0;
  return (table[at + 3] as number) >>> 0 > word3 >>> 0;
}

function holds(
  table: Int32Array,
  at: number,
  word0: number,
  word1: number,
  word2: number,
  word3: number,
): boolean {
  const length = table[at + 4] as number;
  if ((((table[at] as number) ^ word0) & maskWord(length)) !== 0) return false;
  if ((((table[at + 1] as number) ^ word1) & maskWord(length - 32)) !== 0) return false;
  if ((((table[at + 2] as number) ^ word2) & maskWord(length - 64)) !== 0) return false;
  return (((table[at + 3] as number) ^ word3) & maskWord(length - 96)) === 0;
}

/** A word whose first `bits` bits are set, for any number of bits. */
export function maskWord(bits: number): number {
  return bits <= 0 ? 0 : bits >= 32 ? -1 : -1 << (32 - bits);
}

function compareNetworks(a: Int32Array, b: Int32Array): number {
  for (let i = 0; i < 4; i++) {
    const difference = ((a[i] as number) >>> 0) - ((b[i] as number) >>> 0);
    if (difference !== 0) return difference;
  }
  return (a[4] as number) - (b[4] as number);
}

/** Every prefix of `::/length` that is not above ::ffff:0:0/96: the siblings on the way down to it. */
function aroundIpv4(length: number): Int32Array[] {
  const siblings: Int32Array[] = [];
  for (let bits = length + 1; bits <= 96; bits++) {
    const sibling = Int32Array.of(0, 0, MAPPED_WORD, 0, bits);
    const index = (bits - 1) >> 5;
    sibling[index] = (sibling[index] as number) ^ (1 << (31 - ((bits - 1) & 31)));
    for (let i = 0; i < 4; i++) sibling[i] = (sibling[i] as number) & maskWord(bits - i * 32);
    siblings.push(sibling);
  }
  return siblings;
}

function parseNetwork(text: string): Int32Array | string {
  const slash = text.indexOf('/');
  const addressText = slash < 0 ? text : text.slice(0, slash);
  const words = parseIp(addressText);
  if (words === undefined) return `"${text}" is not a network: "${addressText}" is not an IP address`;
  const isIpv4 = !addressText.includes(':');
  const bitsMax = isIpv4 ? 32 : 128;
  let bits = bitsMax;
  if (slash >= 0) {
    const bitsText = text.slice(slash + 1);
    bits = /^(0|[1-9][0-9]{0,2})$/.test(bitsText) ? Number(bitsText) : -1;
    if (bits < 0 || bits > bitsMax) {
      return `"${text}" is not a network: found prefix length "${bitsText}", expected 0 to ${bitsMax}`;
    }
  }
  const length = isIpv4 ? bits + 96 : bits;
  const network = new Int32Array(NETWORK_WORDS);
  for (let i = 0; i < 4; i++) network[i] = (words[i] as number) & maskWord(length - i * 32);
  network[4] = length;
  for (let i = 0; i < 4; i++) {
    if (network[i] !== words[i]) {
      // Masked silently, a slip of the pen would open a network that nobody asked for.
      return `"${text}" is not a network: it has bits beyond /${bits}; expected ${formatIp(network)}/${bits}`;
    }
  }
  return network;
}
