// Writes mmdb files for tests: a tree of networks, their values behind it, and the description at the end.
// @source MaxMind DB file format specification 2.0

import { parseIp } from '../../layout/ip-address.ts';

export type MmdbValue = string | number | boolean | { readonly [key: string]: MmdbValue };

export interface WrittenMmdb {
  readonly ipVersion: 4 | 6;
  readonly recordBits: 24 | 28 | 32;
  readonly databaseType?: string;
  /** `10.0.0.0/8` → value. A later one lies inside an earlier one, if they meet. */
  readonly entries: readonly (readonly [network: string, value: MmdbValue])[];
  /** Prefixes of IPv6 that lead to where IPv4 is: `2002::/16`. */
  readonly aliases?: readonly string[];
}

/** Numbers lead to nodes; values wait for their place. */
type Record_ = number | { readonly value: number } | undefined;

interface Tree {
  readonly nodes: [Record_, Record_][];
}

export function writeMmdb(written: WrittenMmdb): Buffer {
  const tree: Tree = { nodes: [[undefined, undefined]] };
  const values: Buffer[] = [];
  let valuesBytes = 0;
  for (const [network, value] of written.entries) {
    const encoded = encode(value);
    insert(tree, bitsOf(network, written.ipVersion), { value: valuesBytes });
    values.push(encoded);
    valuesBytes += encoded.length;
  }
  for (const alias of written.aliases ?? []) {
    insert(tree, bitsOf(alias, 6), follow(tree, bitsOf('::/96', 6)));
  }
  const treeBytes = Buffer.concat(
    tree.nodes.map((node) => nodeBytes(node, tree.nodes.length, written.recordBits)),
  );
  const description = encode({
    binary_format_major_version: 2,
    binary_format_minor_version: 0,
    build_epoch: 1_700_000_000,
    database_type: written.databaseType ?? 'Test',
    ip_version: written.ipVersion,
    node_count: tree.nodes.length,
    record_size: written.recordBits,
  });
  const marker = Buffer.from('\xab\xcd\xefMaxMind.com', 'latin1');
  return Buffer.concat([treeBytes, Buffer.alloc(16), ...values, marker, description]);
}

/** IPv4 in a file of IPv6 lies below ::/96. */
function bitsOf(network: string, ipVersion: 4 | 6): number[] {
  const [address = '', length = ''] = network.split('/');
  const words = parseIp(address) as Int32Array;
  const isIpv4 = !address.includes(':');
  const bits = Array.from(
    { length: 128 },
    (_, bit) => ((words[bit >> 5] as number) >>> (31 - (bit & 31))) & 1,
  );
  if (!isIpv4) return bits.slice(0, Number(length));
  const own = bits.slice(96, 96 + Number(length));
  return ipVersion === 4 ? own : [...Array.from({ length: 96 }, () => 0), ...own];
}

function insert(tree: Tree, bits: readonly number[], record: Record_): void {
  let node = 0;
  for (const [depth, bit] of bits.entries()) {
    const here = tree.nodes[node] as [Record_, Record_];
    if (depth === bits.length - 1) {
      here[bit as 0 | 1] = record;
      return;
    }
    const next = here[bit as 0 | 1];
    if (typeof next === 'number') {
      node = next;
      continue;
    }
    // What stood here for all goes to both halves.
    tree.nodes.push([next, next]);
    node = tree.nodes.length - 1;
    here[bit as 0 | 1] = node;
  }
}

function follow(tree: Tree, bits: readonly number[]): Record_ {
  let record: Record_ = 0;
  for (const bit of bits) if (typeof record === 'number') record = tree.nodes[record]?.[bit as 0 | 1];
  return record;
}

function nodeBytes(node: readonly [Record_, Record_], nodes: number, recordBits: 24 | 28 | 32): Buffer {
  const [left, right] = node.map((record) => {
    if (record === undefined) return nodes;
    return typeof record === 'number' ? record : nodes + 16 + record.value;
  }) as [number, number];
  const bytes = Buffer.alloc(recordBits / 4);
  if (recordBits === 32) {
    bytes.writeUInt32BE(left, 0);
    bytes.writeUInt32BE(right, 4);
    return bytes;
  }
  bytes.writeUIntBE(left & 0xffffff, 0, 3);
  bytes.writeUIntBE(right & 0xffffff, recordBits === 28 ? 4 : 3, 3);
  if (recordBits === 28) bytes[3] = ((left >>> 24) << 4) | (right >>> 24);
  return bytes;
}

function encode(value: MmdbValue): Buffer {
  if (typeof value === 'string') {
    const bytes = Buffer.from(value);
    return Buffer.concat([control(2, bytes.length), bytes]);
  }
  if (typeof value === 'number') {
    let bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    while (bytes[0] === 0) bytes = bytes.subarray(1);
    return Buffer.concat([control(6, bytes.length), bytes]);
  }
  if (typeof value === 'boolean') return control(14, value ? 1 : 0);
  const entries = Object.entries(value);
  const inside = entries.flatMap(([key, one]) => [encode(key), encode(one)]);
  return Buffer.concat([control(7, entries.length), ...inside]);
}

function control(type: number, size: number): Buffer {
  const first = (type > 7 ? 0 : type) << 5;
  const extended = type > 7 ? [type - 7] : [];
  return size < 29
    ? Buffer.from([first | size, ...extended])
    : Buffer.from([first | 29, ...extended, size - 29]);
}
