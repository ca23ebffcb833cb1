// The set of names in a binary rule set: a trie of names written backwards, of which bits tell the shape.
//
//   labels   one byte for each node but the root, in breadth-first order
//   shape    for each node, in this order: a 0 for each child, then a 1
//   leaves   for each node: whether a name ends there
//
// The k-th 0 is node k + 1, so one pass over the shape tells every node its parent, and from a leaf up to the root the labels
// spell the name forwards. Nothing needs the rank and select indexes that make it searchable.
// @source sing, common/domain/set.go; Jacobson 1989 (level-order unary degree sequences)

import { type ByteReader, Garbled } from './byte-reader.ts';

/** A name of 253 and its mark. */
const KEY_BYTES_MAX = 512;
/** Of all keys together: garbled shapes have long keys without number. */
const KEYS_BYTES_MAX = 256 * 1024 * 1024;
const WORD_BYTES = 8;

interface Trie {
  readonly bytes: Buffer;
  readonly leavesAt: number;
  readonly leafBits: number;
  readonly labelsAt: number;
  /** By node. */
  readonly parents: Int32Array;
}

/**
 * @param keysMax more are refused
 * @returns the keys as they were before they were turned round, marks in front
 */
export function readSuccinctSet(reader: ByteReader, keysMax: number): string[] {
  const trie = readTrie(reader);
  const keys: string[] = [];
  const forwards = Buffer.alloc(KEY_BYTES_MAX);
  let keysBytes = 0;
  for (let node = 0; node < Math.min(trie.parents.length, trie.leafBits); node++) {
    if (!bitAt(trie.bytes, trie.leavesAt, node)) continue;
    const length = spell(trie, node, forwards);
    keysBytes += length;
    if (length < 0 || keysBytes > KEYS_BYTES_MAX) throw new Garbled(trie.labelsAt, 'names that are too long');
    if (keys.length === keysMax) throw new Garbled(trie.leavesAt, `more than ${keysMax} names`);
    keys.push(textOf(forwards, length));
  }
  return keys;
}

function readTrie(reader: ByteReader): Trie {
  // Reserved.
  reader.skip(1);
  const leafWords = reader.count(reader.uvarint(), WORD_BYTES);
  const leavesAt = reader.skip(leafWords * WORD_BYTES);
  const shapeWords = reader.count(reader.uvarint(), WORD_BYTES);
  const shapeAt = reader.skip(shapeWords * WORD_BYTES);
  const labels = reader.uvarint();
  const labelsAt = reader.skip(labels);
  const parents = parentsOf(reader.bytes, shapeAt, shapeWords * 64, labels + 1);
  return { bytes: reader.bytes, leavesAt, leafBits: leafWords * 64, labelsAt, parents };
}

function parentsOf(bytes: Buffer, shapeAt: number, bits: number, nodes: number): Int32Array {
  if (bits < 2 * nodes - 1) throw new Garbled(shapeAt, 'a set of names whose shape is cut short');
  const parents = new Int32Array(nodes);
  let parent = 0;
  let child = 1;
  for (let bit = 0; parent < nodes; bit++) {
    if (bit >= bits || parent >= child) throw new Garbled(shapeAt, 'a set of names whose shape is no tree');
    if (bitAt(bytes, shapeAt, bit)) parent++;
    else if (child === nodes) throw new Garbled(shapeAt, 'a set of names with more branches than letters');
    else parents[child++] = parent;
  }
  return parents;
}

/** Words are big-endian, bits in them counted from the lowest. */
function bitAt(bytes: Buffer, at: number, bit: number): boolean {
  const byte = bytes[at + (bit >>> 6) * WORD_BYTES + 7 - ((bit & 63) >>> 3)] as number;
  return ((byte >> (bit & 7)) & 1) === 1;
}

/** @returns bytes, or -1 if they are too many */
function spell(trie: Trie, leaf: number, into: Buffer): number {
  let length = 0;
  for (let node = leaf; node !== 0; node = trie.parents[node] as number) {
    if (length === KEY_BYTES_MAX) return -1;
    into[length++] = trie.bytes[trie.labelsAt + node - 1] as number;
  }
  return length;
}

/** Characters were turned round, not bytes: those of several bytes are back to front now. */
function textOf(forwards: Buffer, length: number): string {
  for (let at = 0; at < length; at++) {
    if ((forwards[at] as number) < 0x80) continue;
    return [...Buffer.from(forwards.subarray(0, length)).reverse().toString('utf8')].reverse().join('');
  }
  return forwards.toString('latin1', 0, length);
}
