// One entry for each kind of condition that a rule may have: its name as written, its group, whether a rule has it, and
// what of it matches a connection. The interpreter asks them one after the other; explanations show their names.

import { formatIp } from '../layout/ip-address.ts';
import { maskWord } from '../layout/network-set.ts';
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
  NETWORK_TCP,
  PROTOCOL_NAMES,
} from '../layout/rules.ts';
import { MAPPED_WORD } from '../sys/socket-address.ts';
import { PRIVATE_NETWORKS } from './private-networks.ts';
import type { DomainSuffix, Items, Network, Range } from './rule.ts';

export type Words = Network['words'];

/** A connection as plain values. Names are lower case; '' and 0 stand for what it does not have. */
export interface InterpretedConnection {
  readonly inbound: string;
  readonly service: string;
  readonly user: string;
  /** NETWORK_*. */
  readonly network: number;
  /** PROTOCOL_*, DEVICE_*. */
  readonly protocol: number;
  readonly device: number;
  /** undefined: a Unix socket. */
  readonly source: Words | undefined;
  readonly sourcePort: number;
  /** Of the target: its name ('': an address), and addresses as far as they are known. */
  readonly name: string;
  readonly addresses: readonly Words[];
  readonly port: number;
  /** Since Monday 00:00, local time. */
  readonly minuteOfWeek: number;
  /** undefined: not looked up yet. '' and -1: looked up in vain. */
  readonly process: Process | undefined;
  /** Judgements that were given, by address. */
  readonly externals: ReadonlyMap<string, boolean>;
}

export interface Process {
  readonly name: string;
  readonly path: string;
  readonly userId: number;
}

/** What rules speak of and do not hold. */
export interface Beyond {
  /** Networks of a country (upper case) or of an autonomous system. */
  readonly networksOf: (place: string | number) => readonly Network[];
  /** Whether a name (lower case, not empty) holds what an expression describes. */
  readonly matchesRegex: (expression: string, name: string) => boolean;
}

export interface Item {
  /** The key as written. */
  readonly name: string;
  readonly group: number;
  readonly isIn: (items: Items) => boolean;
  /** What of it matches, as text; undefined: nothing does. */
  readonly find: (items: Items, connection: InterpretedConnection, beyond: Beyond) => string | undefined;
}

type Lists = {
  [Key in keyof Items]: Items[Key] extends readonly (infer _)[] ? Key : never;
}[keyof Items];

/** A condition that is a list, of which one has to match. */
function listed<Key extends Lists>(
  name: string,
  group: number,
  key: Key,
  matches: (one: Items[Key][number], connection: InterpretedConnection, beyond: Beyond) => boolean,
  text: (one: Items[Key][number]) => string = String,
): Item {
  return {
    name,
    group,
    isIn: (items) => items[key].length > 0,
    find(items, connection, beyond) {
      const list = items[key] as readonly Items[Key][number][];
      const found = list.findIndex((one) => matches(one, connection, beyond));
      return found < 0 ? undefined : text(list[found] as Items[Key][number]);
    },
  };
}

function isPrivate(addresses: readonly Words[]): string | undefined {
  const found = addresses.find((words) => PRIVATE_NETWORKS.some((network) => holds(network, words)));
  return found === undefined ? undefined : formatIp(Int32Array.from(found));
}

const sourceOf = ({ source }: InterpretedConnection) => (source === undefined ? [] : [source]);

/** In each group in the order in which they are asked. */
export const ITEMS: readonly Item[] = [
  listed('inbound', GROUP_INBOUND, 'inbound', (one, { inbound }) => one === inbound),
  listed('service', GROUP_SERVICE, 'service', (one, { service }) => one === service),
  listed('user', GROUP_USER, 'user', (one, { user }) => one === user),
  listed(
    'network',
    GROUP_NETWORK,
    'network',
    (one, { network }) => one === network,
    (one) => (one === NETWORK_TCP ? 'tcp' : 'udp'),
  ),
  listed(
    'protocol',
    GROUP_PROTOCOL,
    'protocol',
    (one, { protocol }) => one === protocol,
    (one) => PROTOCOL_NAMES[one] ?? '',
  ),
  listed('ip_version', GROUP_IP_VERSION, 'ipVersion', (one, { addresses }) =>
    addresses.some((words) => isIpv4(words) === (one === 4)),
  ),
  listed('time', GROUP_TIME, 'time', (one, { minuteOfWeek }) => isWithin(one, minuteOfWeek), timeText),
  listed(
    'device',
    GROUP_DEVICE,
    'device',
    (one, { device }) => one === device,
    (one) => DEVICE_NAMES[one] ?? '',
  ),
  listed('port', GROUP_PORT, 'port', (one, { port }) => isWithin(one, port), rangeText),
  listed(
    'source_port',
    GROUP_SOURCE_PORT,
    'sourcePort',
    (one, { sourcePort }) => isWithin(one, sourcePort),
    rangeText,
  ),
  listed(
    'source_ip_cidr',
    GROUP_SOURCE,
    'sourceIpCidr',
    (one, connection) => sourceOf(connection).some((words) => holds(one, words)),
    networkText,
  ),
  {
    name: 'source_ip_is_private',
    group: GROUP_SOURCE,
    isIn: (items) => items.sourceIpIsPrivate,
    find: (_, connection) => isPrivate(sourceOf(connection)),
  },
  listed('source_geoip', GROUP_SOURCE, 'sourceGeoip', (one, connection, beyond) =>
    beyond.networksOf(one).some((network) => sourceOf(connection).some((words) => holds(network, words))),
  ),
  listed('domain', GROUP_DESTINATION, 'domain', (one, { name }) => one === name),
  listed(
    'domain_suffix',
    GROUP_DESTINATION,
    'domainSuffix',
    (one, { name }) => endsWith(name, one),
    suffixText,
  ),
  listed('domain_keyword', GROUP_DESTINATION, 'domainKeyword', (one, { name }) => name.includes(one)),
  listed(
    'ip_cidr',
    GROUP_DESTINATION,
    'ipCidr',
    (one, { addresses }) => addresses.some((words) => holds(one, words)),
    networkText,
  ),
  {
    name: 'ip_is_private',
    group: GROUP_DESTINATION,
    isIn: (items) => items.ipIsPrivate,
    find: (_, { addresses }) => isPrivate(addresses),
  },
  listed('geoip', GROUP_DESTINATION, 'geoip', (one, { addresses }, beyond) =>
    beyond.networksOf(one).some((network) => addresses.some((words) => holds(network, words))),
  ),
  listed('asn', GROUP_DESTINATION, 'asn', (one, { addresses }, beyond) =>
    beyond.networksOf(one).some((network) => addresses.some((words) => holds(network, words))),
  ),
  listed(
    'domain_regex',
    GROUP_DESTINATION,
    'domainRegex',
    (one, { name }, beyond) => name !== '' && beyond.matchesRegex(one, name),
  ),
  listed('process_name', GROUP_PROCESS_NAME, 'processName', (one, { process }) => one === process?.name),
  listed('process_path', GROUP_PROCESS_PATH, 'processPath', (one, { process }) => one === process?.path),
  listed(
    'user_id',
    GROUP_USER_ID,
    'userId',
    (one, { process }) => process !== undefined && isWithin(one, process.userId),
    rangeText,
  ),
];

function isWithin({ from, to }: Range, value: number): boolean {
  return from <= value && value <= to;
}

function endsWith(name: string, suffix: DomainSuffix): boolean {
  return name.endsWith(`.${suffix.name}`) || (!suffix.isBelow && name === suffix.name);
}

function isIpv4(words: Words): boolean {
  return words[0] === 0 && words[1] === 0 && words[2] === MAPPED_WORD;
}

/** A network that was written as IPv6 never holds IPv4 addresses, as everywhere in Sluice. */
function holds(network: Network, words: Words): boolean {
  if (network.bits < 96 && isIpv4(words)) return false;
  return words.every(
    (word, index) => ((word ^ (network.words[index] as number)) & maskWord(network.bits - index * 32)) === 0,
  );
}

function networkText({ words, bits }: Network): string {
  const text = formatIp(Int32Array.from(words));
  return `${text}/${text.includes(':') ? bits : bits - 96}`;
}

function suffixText({ name, isBelow }: DomainSuffix): string {
  return isBelow ? `.${name}` : name;
}

function rangeText({ from, to }: Range): string {
  return from === to ? String(from) : `${from}:${to}`;
}

const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];

function timeText({ from, to }: Range): string {
  return `${timeOf(from)}-${timeOf(to + 1)}`;
}

function timeOf(minuteOfWeek: number): string {
  const two = (value: number) => String(value).padStart(2, '0');
  const day = DAYS[Math.floor(minuteOfWeek / 1440) % 7];
  return `${day} ${two(Math.floor(minuteOfWeek / 60) % 24)}:${two(minuteOfWeek % 60)}`;
}
