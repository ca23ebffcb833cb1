// Binary rule sets (.srs) of sing-box, versions 1 to 4: `SRS`, a version, and in zlib: rules, each a row of items by number. What
// is read here is put in the form of a source file, so that both are judged by the same reader (headless.ts).
// @source sing-box, common/srs/binary.go

import { inflateSync } from 'node:zlib';
import { NESTING_MAX } from '../../layout/rules.ts';
import type { Network } from '../rule.ts';
import { ipv4Networks, ipv6Networks } from './address-ranges.ts';
import { ByteReader, Garbled } from './byte-reader.ts';
import { ADGUARD, RULES_READ_MAX, VALUES_READ_MAX } from './items.ts';
import { readSuccinctSet } from './succinct-set.ts';

const MAGIC = 'SRS';
const VERSION_MAX = 4;
const HEADER_BYTES = 4;
const INFLATED_BYTES_MAX = 256 * 1024 * 1024;

const ITEM_FINAL = 0xff;
/** What stands in front of a name written forwards: below it only (its dot follows); itself and below. */
const MARK_BELOW = '\r';
const MARK_ROOT = '\n';
/** Behind a pattern that does not say where names end. */
const MARK_OPEN = '\b';

type Written = Record<string, unknown>;

interface BinaryReading {
  readonly reader: ByteReader;
  rules: number;
  values: number;
}

/** @returns rules in the form of a source file, or the place and kind of the mistake */
export function readBinary(bytes: Uint8Array): { readonly rules: Written[] } | { readonly mistake: string } {
  const magic = Buffer.from(bytes.subarray(0, MAGIC.length)).toString('latin1');
  if (magic !== MAGIC) return { mistake: `does not begin with ${MAGIC}: this is no binary rule set` };
  const version = bytes[MAGIC.length];
  if (version === undefined) return { mistake: 'ends before its version' };
  if (version < 1 || version > VERSION_MAX) {
    return { mistake: `is of version ${version}; versions 1 to ${VERSION_MAX} are known` };
  }
  let inflated: Buffer;
  try {
    inflated = inflateSync(bytes.subarray(HEADER_BYTES), { maxOutputLength: INFLATED_BYTES_MAX });
  } catch (error) {
    return { mistake: inflateMistake(error) };
  }
  try {
    return { rules: readRules({ reader: new ByteReader(inflated), rules: 0, values: 0 }) };
  } catch (error) {
    if (!(error instanceof Garbled)) throw error;
    return { mistake: `is garbled at byte ${error.at} of what was compressed: ${error.message}` };
  }
}

function inflateMistake(error: unknown): string {
  const code = (error as { code?: string }).code;
  if (code === 'ERR_BUFFER_TOO_LARGE') return `is larger than ${INFLATED_BYTES_MAX} bytes when inflated`;
  return code === 'Z_BUF_ERROR' ? 'is cut short' : 'is garbled: what follows its version is not zlib';
}

function readRules(reading: BinaryReading): Written[] {
  const { reader } = reading;
  const rules = readRuleList(reading, 0);
  if (reader.left > 0) throw new Garbled(reader.at, `${reader.left} bytes behind the last rule`);
  return rules;
}

function readRuleList(reading: BinaryReading, depth: number): Written[] {
  const { reader } = reading;
  const count = reader.count(reader.uvarint(), 3);
  reading.rules += count;
  if (reading.rules > RULES_READ_MAX) throw new Garbled(reader.at, `more than ${RULES_READ_MAX} rules`);
  const rules: Written[] = [];
  for (let index = 0; index < count; index++) rules.push(readRule(reading, depth));
  return rules;
}

function readRule(reading: BinaryReading, depth: number): Written {
  const { reader } = reading;
  const at = reader.at;
  const type = reader.byte();
  if (type === 0) return readPlain(reading);
  if (type !== 1) throw new Garbled(at, `a rule of kind ${type}; 0 and 1 are known`);
  if (depth >= NESTING_MAX) throw new Garbled(at, `logical rules nested deeper than ${NESTING_MAX}`);
  const mode = reader.byte();
  if (mode > 1) throw new Garbled(at + 1, `mode ${mode} of a logical rule; 0 and 1 are known`);
  const rules = readRuleList(reading, depth + 1);
  return { type: 'logical', mode: mode === 0 ? 'and' : 'or', rules, invert: readFlag(reader) };
}

function readFlag(reader: ByteReader): boolean {
  const at = reader.at;
  const byte = reader.byte();
  if (byte > 1) throw new Garbled(at, `${byte} where only 0 and 1 may stand`);
  return byte === 1;
}

function readPlain(reading: BinaryReading): Written {
  const { reader } = reading;
  const rule: Written = {};
  for (;;) {
    const at = reader.at;
    const number = reader.byte();
    if (number === ITEM_FINAL) {
      rule['invert'] = readFlag(reader);
      return rule;
    }
    const item = ITEMS[number];
    if (item === undefined) throw new Garbled(at, `an item of kind ${number}, which no version up to 4 has`);
    const [key, read] = item;
    if (rule[key] !== undefined) throw new Garbled(at, `${key} of a rule for the second time`);
    const value = read(reading);
    if (Array.isArray(value)) spend(reading, value.length);
    if (key === 'domain') addNames(rule, value as string[]);
    else rule[key] = value;
  }
}

/** Values that a file may have, of whatever kind. */
function spend(reading: BinaryReading, values: number): void {
  reading.values += values;
  if (reading.values > VALUES_READ_MAX)
    throw new Garbled(reading.reader.at, `more than ${VALUES_READ_MAX} values`);
}

/** By number. Of items that can't be judged the values are read to come past them. */
const ITEMS: readonly (readonly [key: string, read: (reading: BinaryReading) => unknown])[] = [
  ['query_type', numbers],
  ['network', texts],
  ['domain', names],
  ['domain_keyword', texts],
  ['domain_regex', texts],
  ['source_ip_cidr', networks],
  ['ip_cidr', networks],
  ['source_port', numbers],
  ['source_port_range', texts],
  ['port', numbers],
  ['port_range', texts],
  ['process_name', texts],
  ['process_path', texts],
  ['package_name', texts],
  ['wifi_ssid', texts],
  ['wifi_bssid', texts],
  [ADGUARD, (reading) => names(reading).map(adGuardPattern)],
  ['process_path_regex', texts],
  ['network_type', ({ reader }) => isAny(reader.skip(reader.uvarint()), reader.at)],
  ['network_is_expensive', () => true],
  ['network_is_constrained', () => true],
  ['network_interface_address', interfaces],
  ['default_interface_address', prefixes],
];

/** What can't be judged needs to be known no better. */
function isAny(start: number, end: number): true | [] {
  return end > start ? true : [];
}

function texts({ reader }: BinaryReading): string[] {
  return Array.from({ length: values(reader, 1) }, () => reader.text());
}

function numbers({ reader }: BinaryReading): number[] {
  return Array.from({ length: values(reader, 2) }, () => reader.uint16());
}

/** @returns how many follow */
function values(reader: ByteReader, bytesMin: number): number {
  const count = reader.count(reader.uvarint(), bytesMin);
  if (count <= VALUES_READ_MAX) return count;
  throw new Garbled(reader.at, `more than ${VALUES_READ_MAX} values`);
}

function names(reading: BinaryReading): string[] {
  return readSuccinctSet(reading.reader, VALUES_READ_MAX - reading.values);
}

/** Version 1 wrote a suffix as two keys, the name and what is below it. */
function addNames(rule: Written, keys: readonly string[]): void {
  const exact = new Set<string>();
  const below = new Set<string>();
  const suffixes: string[] = [];
  for (const key of keys) {
    if (key.startsWith(MARK_ROOT)) suffixes.push(key.slice(1));
    else if (!key.startsWith(MARK_BELOW)) exact.add(key);
    else if (key.startsWith('.', 1)) below.add(key.slice(2));
    else suffixes.push(key.slice(1));
  }
  for (const name of below) suffixes.push(exact.delete(name) ? name : `.${name}`);
  rule['domain'] = [...exact];
  rule['domain_suffix'] = suffixes;
}

/** As it was written before its marks were put. */
function adGuardPattern(key: string): string {
  const isOpen = key.endsWith(MARK_OPEN);
  const isMarked = key.startsWith(MARK_ROOT) || key.startsWith(MARK_BELOW);
  const start = key.startsWith(MARK_ROOT) ? '||' : isMarked ? '' : '|';
  return start + key.slice(isMarked ? 1 : 0, isOpen ? -1 : undefined) + (isOpen ? '' : '^');
}

/** Ranges of addresses, both ends included. */
function networks({ reader }: BinaryReading): Network[] {
  const at = reader.at;
  const version = reader.byte();
  if (version !== 1) throw new Garbled(at, `a set of addresses in version ${version}; 1 is known`);
  const count = reader.count(reader.uint64(), 10);
  const found: Network[] = [];
  for (let index = 0; index < count; index++) {
    const rangeAt = reader.at;
    const from = addressAt(reader);
    const to = addressAt(reader);
    if (from.length !== to.length || from.compare(to) > 0)
      throw new Garbled(rangeAt, 'addresses that are no range');
    if (from.length === 4) ipv4Networks(from.readUInt32BE(), to.readUInt32BE(), found);
    else ipv6Networks(wide(from), wide(to), found);
    if (found.length > VALUES_READ_MAX) throw new Garbled(rangeAt, `more than ${VALUES_READ_MAX} networks`);
  }
  return found;
}

function addressAt(reader: ByteReader): Buffer {
  const at = reader.at;
  const length = reader.uvarint();
  if (length !== 4 && length !== 16) throw new Garbled(at, `an address of ${length} bytes`);
  const start = reader.skip(length);
  return reader.bytes.subarray(start, start + length);
}

function wide(bytes: Buffer): bigint {
  return (bytes.readBigUInt64BE(0) << 64n) | bytes.readBigUInt64BE(8);
}

function prefixes({ reader }: BinaryReading): true | [] {
  const start = reader.at;
  const count = values(reader, 6);
  for (let index = 0; index < count; index++) {
    addressAt(reader);
    reader.skip(1);
  }
  return isAny(start + 1, reader.at);
}

function interfaces(reading: BinaryReading): true | [] {
  const { reader } = reading;
  const start = reader.at;
  const count = values(reader, 2);
  for (let index = 0; index < count; index++) {
    reader.skip(1);
    prefixes(reading);
  }
  return isAny(start + 1, reader.at);
}
