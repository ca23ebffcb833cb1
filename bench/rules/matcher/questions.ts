// Questions: connections of all kinds, hits and misses, prepared as a worker would have them. They are kept packed, and written
// into the one object that is asked with, as a worker writes each connection into its own.
//
//   three in four to a name: 1 in 6 of them in the large set, 1 in 4 below a name of a rule, the others nobody's
//   one in four to an address, a sixth of them IPv6: 1 in 5 in the large set, 1 in 5 in a network of a rule

import type { InterpretedConnection, Words } from '../../../src/compile/items.ts';
import { parseIp } from '../../../src/layout/ip-address.ts';
import {
  hashText,
  RULE_INBOUND_KEY,
  RULE_SERVICE_KEY,
  RULE_USER_KEY,
} from '../../../src/layout/name-hash.ts';
import { NETWORK_TCP } from '../../../src/layout/rules.ts';
import type { Query } from '../../../src/match/query.ts';
import { hostName } from '../names.ts';
import { addressIn, distinctNetworks, dotted } from '../networks.ts';
import { createRandom, type Random } from '../random.ts';
import { INBOUNDS, type ReferenceSet } from '../reference-set.ts';
import { KEYS } from './build.ts';

const PORTS = [443, 443, 443, 443, 443, 443, 80, 80, 8443, 22, 853, 5432];
/** A Wednesday, in the afternoon. */
const MINUTE_OF_WEEK = 3780;
const WORDS = 18;
// Words of a question: hashes, source, address (4 each of those), ports, where its name is.
const AT_INBOUND = 0;
const AT_SERVICE = 2;
const AT_USER = 4;
const AT_SOURCE = 6;
const AT_ADDRESS = 10;
const AT_PORT = 14;
const AT_SOURCE_PORT = 15;
const AT_NAME = 16;
const AT_NAME_BYTES = 17;

export class Questions {
  readonly count: number;
  private readonly words: Int32Array;
  private readonly names: Uint8Array;
  /** The same as plain values, for the interpreter. */
  readonly connections: readonly InterpretedConnection[];

  constructor(connections: readonly InterpretedConnection[]) {
    this.count = connections.length;
    this.connections = connections;
    this.words = new Int32Array(connections.length * WORDS);
    this.names = new Uint8Array(connections.reduce((sum, { name }) => sum + name.length, 0));
    const hashes = new Map<string, Int32Array>();
    let nameAt = 0;
    for (const [index, connection] of connections.entries()) {
      const at = index * WORDS;
      const hashed = (offset: number, key: number, text: string) => {
        let hash = hashes.get(`${key} ${text}`);
        if (hash === undefined) {
          hash = text === '' ? new Int32Array(2) : hashText(KEYS, key, text).subarray(0, 2);
          hashes.set(`${key} ${text}`, hash);
        }
        this.words.set(hash, at + offset);
      };
      hashed(AT_INBOUND, RULE_INBOUND_KEY, connection.inbound);
      hashed(AT_SERVICE, RULE_SERVICE_KEY, connection.service);
      hashed(AT_USER, RULE_USER_KEY, connection.user);
      if (connection.source !== undefined) this.words.set(connection.source, at + AT_SOURCE);
      if (connection.addresses[0] !== undefined) this.words.set(connection.addresses[0], at + AT_ADDRESS);
      this.words[at + AT_PORT] = connection.port;
      this.words[at + AT_SOURCE_PORT] = connection.sourcePort;
      this.words[at + AT_NAME] = nameAt;
      this.words[at + AT_NAME_BYTES] = connection.name.length;
      this.names.set(Buffer.from(connection.name, 'latin1'), nameAt);
      nameAt += connection.name.length;
    }
  }

  /** Makes `query` the question `index`. Allocates nothing. */
  fill(query: Query, index: number): void {
    const { words, names } = this;
    const at = index * WORDS;
    for (let i = 0; i < 2; i++) {
      query.inbound[i] = words[at + AT_INBOUND + i] as number;
      query.service[i] = words[at + AT_SERVICE + i] as number;
      query.user[i] = words[at + AT_USER + i] as number;
    }
    for (let i = 0; i < 4; i++) {
      query.source[i] = words[at + AT_SOURCE + i] as number;
      query.addresses[i] = words[at + AT_ADDRESS + i] as number;
    }
    query.port = words[at + AT_PORT] as number;
    query.sourcePort = words[at + AT_SOURCE_PORT] as number;
    const nameAt = words[at + AT_NAME] as number;
    const nameBytes = words[at + AT_NAME_BYTES] as number;
    for (let i = 0; i < nameBytes; i++) query.name[i] = names[nameAt + i] as number;
    query.nameBytes = nameBytes;
    query.addressesCount = nameBytes === 0 ? 1 : 0;
    query.levelsCount = -1;
  }
}

/** What all questions have in common. */
export function prepare(query: Query): void {
  query.clear();
  query.network = NETWORK_TCP;
  query.minuteOfWeek = MINUTE_OF_WEEK;
}

export function makeQuestions(reference: ReferenceSet, count: number, seed: number): Questions {
  const random = createRandom(seed + 104_729);
  const strangers = distinctNetworks(random, 1000);
  return new Questions(Array.from({ length: count }, () => makeOne(random, reference, strangers)));
}

function makeOne(
  random: Random,
  reference: ReferenceSet,
  strangers: readonly string[],
): InterpretedConnection {
  const name = random.isIn(750) ? targetName(random, reference) : '';
  const isOffice = random.isIn(300);
  return {
    inbound: random.pick(INBOUNDS),
    service: random.pick(reference.services),
    user: random.isIn(700) ? random.pick(reference.users) : '',
    network: NETWORK_TCP,
    protocol: 0,
    device: 0,
    source: wordsOf(isOffice ? `10.${random.below(256)}.1.1` : dotted(0x64000000 + random.below(2 ** 22))),
    sourcePort: 32_768 + random.below(28_000),
    name,
    addresses: name === '' ? [wordsOf(targetAddress(random, reference, strangers))] : [],
    port: random.pick(PORTS),
    minuteOfWeek: MINUTE_OF_WEEK,
    process: undefined,
    externals: new Map(),
  };
}

function targetName(random: Random, { names, inlineNames }: ReferenceSet): string {
  const below = random.isIn(500) ? `${random.pick(['www', 'cdn', 'a.b', 'img'])}.` : '';
  const kind = random.below(12);
  if (kind < 2) return below + random.pick(names);
  if (kind < 5) return below + random.pick(inlineNames);
  return hostName(random);
}

function targetAddress(
  random: Random,
  { networks, inlineNetworks }: ReferenceSet,
  strangers: readonly string[],
): string {
  const kind = random.below(5);
  return addressIn(random, random.pick(kind === 0 ? networks : kind === 1 ? inlineNetworks : strangers));
}

function wordsOf(address: string): Words {
  const words = parseIp(address);
  if (words === undefined) throw new RangeError(`no address: ${address}`);
  return [words[0], words[1], words[2], words[3]] as unknown as Words;
}
