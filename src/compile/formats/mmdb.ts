// Networks of countries and of autonomous systems, out of an mmdb file: one walk over its search tree, before anything is
// matched, so that no worker ever looks into such a file.
//
// An IPv6 tree holds IPv4 below ::/96, and lets other prefixes (::ffff:0:0/96, 6to4, Teredo) lead to the same node: IPv4 is
// told once, as IPv4, and those prefixes are left to what IPv6 they are.
//
// Of a country `country` is asked (where an address is used), else `registered_country` (where its network is registered):
// what databases have of satellites and anycast. Flat databases (`country_code`, `country`, `asn` as text) are read as
// well, and those of sing-box, whose values are the codes.
// @source MaxMind DB file format specification 2.0

import type { RuleComplaint } from '../../layout/compiler-messages.ts';
import type { Network } from '../rule.ts';
import { Garbled } from './byte-reader.ts';
import {
  find,
  type MmdbMetadata,
  type MmdbValues,
  mmdbValues,
  numberAt,
  readMetadata,
  textAt,
} from './mmdb-metadata.ts';
import { maskedNetwork } from './names.ts';

const MAPPED_WORD = 0xffff;
const IPV4_DEPTH = 96;
const SEPARATOR_BYTES = 16;
/** A tree is visited once, but for the few prefixes that lead to IPv4, which are stepped over. */
const VISITS_PER_NODE = 4;
/** Networks that one file may answer. */
const NETWORKS_MAX = 8_000_000;

export type MmdbKind = 'country' | 'asn';

export interface MmdbNetworks {
  /** An entry for each that is wanted, an empty one if the file does not know it. */
  readonly networks: Map<string | number, Network[]>;
  readonly mistakes: RuleComplaint[];
}

interface Walk {
  readonly metadata: MmdbMetadata;
  readonly values: MmdbValues;
  readonly kind: MmdbKind;
  readonly networks: Map<string | number, Network[]>;
  /** By place of the value. */
  readonly answers: Map<number, Network[] | undefined>;
  /** The node of ::/96; -1 for a file of IPv4 only. */
  readonly ipv4Node: number;
  readonly path: Int32Array;
  visits: number;
  found: number;
  /** Whether any value has what is asked for: a database of cities knows no systems. */
  isOfKind: boolean;
}

/** @param wanted codes of countries in upper case, or numbers of autonomous systems */
export function networksOf(
  fileName: string,
  bytes: Uint8Array,
  kind: MmdbKind,
  wanted: ReadonlySet<string | number>,
): MmdbNetworks {
  const networks = new Map<string | number, Network[]>();
  for (const one of wanted) networks.set(one, []);
  try {
    const metadata = readMetadata(bytes);
    const treeBytes = (metadata.nodes * metadata.recordBits) / 4;
    const values = mmdbValues(bytes, treeBytes + SEPARATOR_BYTES);
    const walk: Walk = {
      metadata,
      values,
      kind,
      networks,
      answers: new Map(),
      ipv4Node: metadata.ipVersion === 6 ? ipv4NodeOf(values, metadata) : -1,
      path: new Int32Array(4),
      visits: metadata.nodes * VISITS_PER_NODE,
      found: 0,
      isOfKind: false,
    };
    visit(walk, 0, 0);
    if (walk.isOfKind || wanted.size === 0) return { networks, mistakes: [] };
    const what = kind === 'country' ? 'countries' : 'autonomous systems';
    const message = `knows no ${what}: it is of type "${metadata.databaseType}"`;
    const expected = `a database of ${what}`;
    const mistake = { path: [], found: metadata.databaseType, expected, message, fileName };
    return { networks, mistakes: [mistake] };
  } catch (error) {
    if (!(error instanceof Garbled)) throw error;
    const message = `is garbled at byte ${error.at}: ${error.message}`;
    const mistake = { path: [], found: 'other bytes', expected: 'an mmdb file', message, fileName };
    return { networks, mistakes: [mistake] };
  }
}

/** @returns the node, or the record that ended the way to it */
function ipv4NodeOf(values: MmdbValues, metadata: MmdbMetadata): number {
  let node = 0;
  for (let depth = 0; depth < IPV4_DEPTH && node < metadata.nodes; depth++) {
    node = recordAt(values, metadata, node, 0);
  }
  return node;
}

/** The path holds the bits on the way to this node, zeros behind them. */
function visit(walk: Walk, node: number, depth: number): void {
  const { metadata, path, ipv4Node } = walk;
  if (--walk.visits < 0) throw new Garbled(node, 'a tree whose branches grow together');
  const bits = metadata.ipVersion === 6 ? 128 : 32;
  if (depth === bits) throw new Garbled(node, 'a tree that is deeper than addresses are long');
  for (let side = 0; side < 2; side++) {
    if (side === 1) path[depth >> 5] = (path[depth >> 5] as number) | (1 << (31 - (depth & 31)));
    const record = recordAt(walk.values, metadata, node, side);
    if (record === 0) throw new Garbled(node, 'a tree that leads back to its root');
    if (record < metadata.nodes) {
      const isAlias = record === ipv4Node && !(depth === IPV4_DEPTH - 1 && isZero(path));
      if (!isAlias) visit(walk, record, depth + 1);
    } else if (record > metadata.nodes) {
      answer(walk, record, depth + 1);
    }
  }
  path[depth >> 5] = (path[depth >> 5] as number) & ~(1 << (31 - (depth & 31)));
}

function isZero(path: Int32Array): boolean {
  return path[0] === 0 && path[1] === 0 && path[2] === 0 && path[3] === 0;
}

function answer(walk: Walk, record: number, depth: number): void {
  const { metadata, path, answers, values } = walk;
  const at = values.base + record - metadata.nodes - SEPARATOR_BYTES;
  let list = answers.get(at);
  if (list === undefined && !answers.has(at)) {
    list = listFor(walk, at);
    answers.set(at, list);
  }
  if (list === undefined) return;
  if (++walk.found > NETWORKS_MAX) throw new Garbled(at, `more than ${NETWORKS_MAX} networks`);
  if (metadata.ipVersion === 4) {
    list.push({ words: [0, 0, MAPPED_WORD, path[0] as number], bits: IPV4_DEPTH + depth });
    return;
  }
  const isBelowZero = path[0] === 0 && path[1] === 0 && path[2] === 0;
  if (depth >= IPV4_DEPTH && isBelowZero) {
    list.push({ words: [0, 0, MAPPED_WORD, path[3] as number], bits: depth });
    return;
  }
  list.push(maskedNetwork(path, depth));
  // All of IPv4 lies in a network that is wider than ::/96.
  if (isBelowZero) list.push({ words: [0, 0, MAPPED_WORD, 0], bits: IPV4_DEPTH });
}

/** @returns undefined: nobody wants it */
function listFor(walk: Walk, at: number): Network[] | undefined {
  const { values, networks, kind } = walk;
  if (at < values.base) throw new Garbled(at, 'a record that leads between tree and values');
  const key = kind === 'asn' ? asnAt(values, at) : countryAt(values, at)?.toUpperCase();
  if (key === undefined) return undefined;
  walk.isOfKind = true;
  return networks.get(key);
}

function countryAt(values: MmdbValues, at: number): string | undefined {
  const country = find(values, at, 'country');
  return (
    textAt(values, find(values, country, 'iso_code')) ??
    textAt(values, find(values, at, 'country_code')) ??
    textAt(values, country) ??
    textAt(values, find(values, find(values, at, 'registered_country'), 'iso_code')) ??
    textAt(values, at)
  );
}

function asnAt(values: MmdbValues, at: number): number | undefined {
  const number = numberAt(values, find(values, at, 'autonomous_system_number'));
  if (number !== undefined) return number;
  const digits = /^(?:AS)?(\d{1,10})$/i.exec(textAt(values, find(values, at, 'asn')) ?? '')?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** @returns a node, `nodes` for nothing, or beyond it the place of a value */
function recordAt(values: MmdbValues, metadata: MmdbMetadata, node: number, side: number): number {
  const { bytes } = values;
  switch (metadata.recordBits) {
    case 24:
      return bytes.readUIntBE(node * 6 + side * 3, 3);
    case 28: {
      const at = node * 7;
      const middle = bytes[at + 3] as number;
      const high = side === 0 ? middle >> 4 : middle & 0xf;
      return high * 0x1000000 + bytes.readUIntBE(at + side * 4, 3);
    }
    default:
      return bytes.readUInt32BE(node * 8 + side * 4);
  }
}
