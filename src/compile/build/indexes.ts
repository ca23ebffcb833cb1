// The indexes of a block while they are filled: every item is entered under the bit of the rule, or of the group, that it
// belongs to. Compiler thread.

import {
  DEVICE_NAMES,
  GROUP_DESTINATION,
  GROUP_DEVICE,
  GROUP_INBOUND,
  GROUP_IP_VERSION,
  GROUP_NETWORK,
  GROUP_PORT,
  GROUP_PROCESS_NAME,
  GROUP_PROCESS_PATH,
  GROUP_PROTOCOL,
  GROUP_SERVICE,
  GROUP_SOURCE,
  GROUP_SOURCE_PORT,
  GROUP_TIME,
  GROUP_USER,
  GROUP_USER_ID,
  GROUPS_COUNT,
  GROUPS_INDEXED,
  GROUPS_MERGED,
  INDEX_DEVICE,
  INDEX_DOMAIN,
  INDEX_INBOUND,
  INDEX_IPV4,
  INDEX_IPV6,
  INDEX_IP_VERSION,
  INDEX_KEYWORDS,
  INDEX_NETWORK,
  INDEX_PORT,
  INDEX_PROCESS_NAME,
  INDEX_PROCESS_PATH,
  INDEX_PROTOCOL,
  INDEX_SERVICE,
  INDEX_SOURCE_IPV4,
  INDEX_SOURCE_IPV6,
  INDEX_SOURCE_PORT,
  INDEX_TIME,
  INDEX_USER,
  INDEX_USER_ID,
  PROTOCOL_NAMES,
} from '../../layout/rules.ts';
import {
  hashText,
  RULE_DOMAIN_SEED_KEY,
  RULE_INBOUND_KEY,
  RULE_PROCESS_NAME_KEY,
  RULE_PROCESS_PATH_KEY,
  RULE_SERVICE_KEY,
  RULE_USER_KEY,
} from '../../layout/name-hash.ts';
import { MAPPED_WORD } from '../../sys/socket-address.ts';
import { PRIVATE_NETWORKS } from '../private-networks.ts';
import type { Items, Network, Range } from '../rule.ts';
import type { Bits } from './classes.ts';
import { Classes, withBit } from './classes.ts';
import type { BuildContext } from './context.ts';
import { DomainTable } from './domains.ts';
import { hashTable, valueTable } from './hashes.ts';
import { addressIntervals, type BitRange, wordIntervals } from './intervals.ts';
import { buildKeywords } from './keywords.ts';
import { buildRegex } from './regex-machine.ts';

const NETWORK_VALUES = 2;
const IP_VERSION_VALUES = 2;
const MAPPED_BITS = 96;
/** A place that is no country's code. */
const PRIVATE = 'private';

interface Addresses {
  readonly ipv4: BitRange<number>[];
  readonly ipv6: BitRange<bigint>[];
  /** Networks that many rules share by a name: a country's, a system's. Entered once, with all their bits. */
  readonly places: Map<string | number, Bits>;
}

function noAddresses(): Addresses {
  return { ipv4: [], ipv6: [], places: new Map() };
}

export class Indexes {
  readonly classes = new Classes();
  /** Networks that were entered. */
  networks = 0;
  private readonly context: BuildContext;
  /** Rules, then bits of groups. */
  private bits: number;
  /** By group: rules that the group may refuse; of a set's merged groups: rules that have conditions in them. */
  private readonly required: Set<number>[] = [];
  private readonly marked: Set<number>[] = [];
  private readonly isUsed = new Uint8Array(GROUPS_COUNT);
  private readonly domains = new DomainTable(this.classes);
  private readonly targets = noAddresses();
  private readonly sources = noAddresses();
  private readonly ports: BitRange<number>[] = [];
  private readonly sourcePorts: BitRange<number>[] = [];
  private readonly minutes: BitRange<number>[] = [];
  private readonly userIds: BitRange<number>[] = [];
  private readonly names = new Map<number, Map<string, Bits>>();
  private readonly values = new Map<number, Map<number, Bits>>();
  private readonly keywordPatterns: { text: string; predicate: number }[] = [];
  private predicates = 0;
  private readonly predicateNumbers = new Map<string, number>();
  /** Rules that want a keyword in the name, and have no other destination. */
  private readonly keywordRules = new Set<number>();
  private readonly machines: Int32Array[] = [];
  private readonly machineNumbers = new Map<string, number>();

  constructor(rules: number, context: BuildContext) {
    this.bits = rules;
    this.context = context;
  }

  get vectorWords(): number {
    return Math.max(1, Math.ceil(this.bits / 32));
  }

  get domainsCount(): number {
    return this.domains.size;
  }

  newBit(): number {
    return this.bits++;
  }

  /** The rule is no candidate where the group refuses it. */
  require(group: number, rule: number): void {
    (this.required[group] ??= new Set()).add(rule);
  }

  mark(group: number, rule: number): void {
    (this.marked[group] ??= new Set()).add(rule);
  }

  /** The rule is no candidate where the name has no keyword. */
  requireKeyword(rule: number): void {
    this.keywordRules.add(rule);
  }

  /** Enters what the items say about a group. */
  add(group: number, items: Items, bit: number): void {
    this.isUsed[group] = 1;
    switch (group) {
      case GROUP_DESTINATION:
        this.addDestination(items, bit);
        return;
      case GROUP_PORT:
        addRanges(this.ports, items.port, bit);
        return;
      case GROUP_SOURCE:
        this.addNetworks(this.sources, items.sourceIpCidr, [bit]);
        if (items.sourceIpIsPrivate) addBit(this.sources.places, PRIVATE, bit);
        for (const code of items.sourceGeoip) addBit(this.sources.places, code, bit);
        return;
      case GROUP_SOURCE_PORT:
        addRanges(this.sourcePorts, items.sourcePort, bit);
        return;
      case GROUP_TIME:
        addRanges(this.minutes, items.time, bit);
        return;
      case GROUP_USER_ID:
        addRanges(this.userIds, items.userId, bit);
        return;
      default:
        this.addSmall(group, items, bit);
    }
  }

  private addSmall(group: number, items: Items, bit: number): void {
    const names: Readonly<Record<number, readonly string[]>> = {
      [GROUP_INBOUND]: items.inbound,
      [GROUP_SERVICE]: items.service,
      [GROUP_USER]: items.user,
      [GROUP_PROCESS_NAME]: items.processName,
      [GROUP_PROCESS_PATH]: items.processPath,
    };
    const values: Readonly<Record<number, readonly number[]>> = {
      [GROUP_NETWORK]: items.network,
      [GROUP_PROTOCOL]: items.protocol,
      [GROUP_IP_VERSION]: items.ipVersion.map((version) => (version === 4 ? 0 : 1)),
      [GROUP_DEVICE]: items.device,
    };
    for (const name of names[group] ?? []) addBit(tableOf(this.names, group), name, bit);
    for (const value of values[group] ?? []) addBit(tableOf(this.values, group), value, bit);
  }

  private addDestination(items: Items, bit: number): void {
    for (const name of items.domain) this.domains.addItself(name, bit);
    for (const { name, isBelow } of items.domainSuffix) {
      this.domains.addBelow(name, bit);
      if (!isBelow) this.domains.addItself(name, bit);
    }
    this.addNetworks(this.targets, items.ipCidr, [bit]);
    if (items.ipIsPrivate) addBit(this.targets.places, PRIVATE, bit);
    for (const code of items.geoip) addBit(this.targets.places, code, bit);
    for (const asn of items.asn) addBit(this.targets.places, asn, bit);
  }

  /** Networks of places, once all rules that name them are known. */
  private addPlaces(addresses: Addresses): void {
    for (const [place, held] of addresses.places) {
      const bits = typeof held === 'number' ? [held] : [...new Set(held)].sort((a, b) => a - b);
      this.addNetworks(addresses, this.networksOf(place), bits);
    }
  }

  private networksOf(place: string | number): readonly Network[] {
    if (place === PRIVATE) return PRIVATE_NETWORKS;
    return typeof place === 'number' ? this.context.system(place) : this.context.country(place);
  }

  private addNetworks(addresses: Addresses, networks: readonly Network[], rules: readonly number[]): void {
    this.networks += networks.length;
    for (const network of networks) {
      const { words, bits } = network;
      if (bits >= MAPPED_BITS && words[0] === 0 && words[1] === 0 && words[2] === MAPPED_WORD) {
        const from = words[3] >>> 0;
        addresses.ipv4.push({ from, to: from + 2 ** (128 - bits) - 1, bits: rules });
      } else {
        const from = words.reduce((sum, word) => (sum << 32n) | BigInt(word >>> 0), 0n);
        addresses.ipv6.push({ from, to: from + (1n << BigInt(128 - bits)) - 1n, bits: rules });
      }
    }
  }

  /** @returns the predicate of these keywords: whoever asks for the same ones shares it */
  keywords(texts: readonly string[]): number {
    const key = JSON.stringify(texts);
    let predicate = this.predicateNumbers.get(key);
    if (predicate === undefined) {
      predicate = this.predicates++;
      this.predicateNumbers.set(key, predicate);
      for (const text of texts) this.keywordPatterns.push({ text, predicate });
    }
    return predicate;
  }

  /** @returns the number of the machine */
  regex(pattern: string): number {
    let number = this.machineNumbers.get(pattern);
    if (number === undefined) {
      const machine = buildRegex(pattern);
      if ('wrong' in machine) {
        throw new RangeError(`${pattern} ${machine.wrong}: the checker should have told`);
      }
      number = this.machines.push(machine) - 1;
      this.machineNumbers.set(pattern, number);
    }
    return number;
  }

  /** By group: its default vector; undefined: it is not asked for. */
  defaults(rules: number): (Int32Array | undefined)[] {
    return Array.from({ length: GROUPS_INDEXED }, (_, group) => {
      if (this.isUsed[group] === 0) return undefined;
      const vector = new Int32Array(this.vectorWords);
      const required = this.required[group];
      for (let rule = 0; rule < rules; rule++) if (required?.has(rule) !== true) setBit(vector, rule);
      return vector;
    });
  }

  /** By group: the rules that are looked for in it; behind the last group, those that are candidates always. */
  primaries(rules: number): (Int32Array | undefined)[] {
    const vectors: (Int32Array | undefined)[] = Array.from({ length: GROUPS_INDEXED + 1 });
    for (let rule = 0; rule < rules; rule++) {
      if (this.keywordRules.has(rule)) continue;
      const group = SELECTIVE.find((one) => this.required[one]?.has(rule) === true) ?? GROUPS_INDEXED;
      vectors[group] ??= new Int32Array(this.vectorWords);
      setBit(vectors[group], rule);
    }
    vectors[GROUPS_INDEXED] ??= new Int32Array(this.vectorWords);
    return vectors;
  }

  /** The rules that are looked for by keywords; undefined: there are none. */
  keyworded(): Int32Array | undefined {
    if (this.keywordRules.size === 0) return undefined;
    const vector = new Int32Array(this.vectorWords);
    for (const rule of this.keywordRules) setBit(vector, rule);
    return vector;
  }

  /** By merged group: the rules that have conditions in it. */
  marks(): (Int32Array | undefined)[] {
    return Array.from({ length: GROUPS_MERGED }, (_, group) => {
      const marked = this.marked[group];
      if (marked === undefined) return undefined;
      const vector = new Int32Array(this.vectorWords);
      for (const rule of marked) setBit(vector, rule);
      return vector;
    });
  }

  /** By index: its words. After all has been added. */
  words(): Map<number, Int32Array> {
    const { classes } = this;
    this.addPlaces(this.targets);
    this.addPlaces(this.sources);
    const words = new Map<number, Int32Array>();
    const seed = hashText(this.context.keys, RULE_DOMAIN_SEED_KEY, '')[0] as number;
    const put = (index: number, count: number, make: () => Int32Array) => {
      if (count > 0) words.set(index, make());
    };
    // First what makes new classes: a table of domains that all have one says none.
    const intervals: [number, readonly BitRange<number>[]][] = [
      [INDEX_IPV4, this.targets.ipv4],
      [INDEX_SOURCE_IPV4, this.sources.ipv4],
      [INDEX_PORT, this.ports],
      [INDEX_SOURCE_PORT, this.sourcePorts],
      [INDEX_TIME, this.minutes],
      [INDEX_USER_ID, this.userIds],
    ];
    for (const [index, ranges] of intervals) put(index, ranges.length, () => wordIntervals(ranges, classes));
    for (const [index, { ipv6 }] of [
      [INDEX_IPV6, this.targets],
      [INDEX_SOURCE_IPV6, this.sources],
    ] as const) {
      put(index, ipv6.length, () => addressIntervals(ipv6, classes));
    }
    for (const [group, index, key] of NAME_INDEXES) {
      const names = this.names.get(group);
      const hashOf = (name: string) => hashText(this.context.keys, key, name);
      if (names !== undefined) words.set(index, hashTable(names, hashOf, classes));
    }
    for (const [group, index, count] of VALUE_INDEXES) {
      const values = this.values.get(group);
      if (values !== undefined) words.set(index, valueTable(values, count, classes));
    }
    put(INDEX_DOMAIN, this.domains.size, () => this.domains.words(seed));
    put(INDEX_KEYWORDS, this.predicates, () => buildKeywords(this.keywordPatterns, this.predicates));
    return words;
  }

  /** The machines of regexes, to be placed one by one. */
  get regexes(): readonly Int32Array[] {
    return this.machines;
  }
}

/** Those first that let the fewest rules through: what a connection has one of among very many. */
const SELECTIVE: readonly number[] = [
  GROUP_DESTINATION,
  GROUP_SOURCE,
  GROUP_USER,
  GROUP_SERVICE,
  GROUP_SOURCE_PORT,
  GROUP_PORT,
  GROUP_INBOUND,
  GROUP_DEVICE,
  GROUP_PROTOCOL,
  GROUP_IP_VERSION,
  GROUP_TIME,
  GROUP_NETWORK,
];

const NAME_INDEXES = [
  [GROUP_INBOUND, INDEX_INBOUND, RULE_INBOUND_KEY],
  [GROUP_SERVICE, INDEX_SERVICE, RULE_SERVICE_KEY],
  [GROUP_USER, INDEX_USER, RULE_USER_KEY],
  [GROUP_PROCESS_NAME, INDEX_PROCESS_NAME, RULE_PROCESS_NAME_KEY],
  [GROUP_PROCESS_PATH, INDEX_PROCESS_PATH, RULE_PROCESS_PATH_KEY],
] as const;

const VALUE_INDEXES = [
  [GROUP_NETWORK, INDEX_NETWORK, NETWORK_VALUES],
  [GROUP_PROTOCOL, INDEX_PROTOCOL, PROTOCOL_NAMES.length],
  [GROUP_IP_VERSION, INDEX_IP_VERSION, IP_VERSION_VALUES],
  [GROUP_DEVICE, INDEX_DEVICE, DEVICE_NAMES.length],
] as const;

function tableOf<Key>(tables: Map<number, Map<Key, Bits>>, group: number): Map<Key, Bits> {
  let table = tables.get(group);
  if (table === undefined) {
    table = new Map();
    tables.set(group, table);
  }
  return table;
}

function addRanges(into: BitRange<number>[], ranges: readonly Range[], bit: number): void {
  for (const { from, to } of ranges) into.push({ from, to, bits: [bit] });
}

function addBit<Key>(entries: Map<Key, Bits>, key: Key, bit: number): void {
  entries.set(key, withBit(entries.get(key), bit));
}

function setBit(vector: Int32Array, bit: number): void {
  vector[bit >>> 5] = (vector[bit >>> 5] as number) | (1 << (bit & 31));
}
