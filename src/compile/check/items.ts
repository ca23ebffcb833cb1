// The conditions of one rule, or of one part of a logical rule: every key in its own line (READERS), with the parser that
// knows its form.

import type { Path } from '../../config/mistakes.ts';
import { nearest } from '../../config/nearest.ts';
import { complain, type Reading, read } from '../../config/reading.ts';
import { refer } from '../../config/references.ts';
import type { RuleNames } from '../../config/rule-checker.ts';
import type { WrittenRule } from '../../config/schema.ts';
import type { Partly } from '../../config/shape.ts';
import { DEVICE_NAMES, PROTOCOL_NAMES } from '../../layout/rules.ts';
import { type Items, NO_ITEMS, type Range } from '../rule.ts';
import { parseExpression, parseKeyword, parseName, parseNetwork, parseSuffix } from './names.ts';
import { parsePortRange, parseTimes } from './ranges.ts';

export type Written = Partly<WrittenRule>;
type Strings = string | readonly (string | undefined)[] | undefined;
type Numbers = number | readonly (number | undefined)[] | undefined;
type Parse<Value extends string | number | object> = Parameters<typeof read<Value>>[3];

const URL_CHARACTERS_MAX = 2_048;
const NETWORKS = ['tcp', 'udp'] as const;

export function readItems(reading: Reading, written: Written, path: Path, names: RuleNames): Items {
  const items: Draft = { ...NO_ITEMS, invert: written.invert ?? false };
  // Not in the order of writing: what two rules say does not depend on it.
  for (const [key, readKey] of READERS) {
    const value = written[key];
    if (value !== undefined) readKey(reading, [...path, key], value, items, names);
  }
  return items;
}

type Draft = { -readonly [Key in keyof Items]: Items[Key] };
type Lists = { [Key in keyof Items]: Items[Key] extends readonly unknown[] ? Key : never }[keyof Items];
type ReadKey = (reading: Reading, path: Path, value: never, items: Draft, names: RuleNames) => void;

function add(items: Draft, key: Lists, values: readonly (string | number | object)[]): void {
  items[key] = [...items[key], ...values] as never;
}

function texts<Value extends string | number | object>(key: Lists, parse: Parse<Value>): ReadKey {
  return (reading, path, value: Strings, items) => add(items, key, readEach(reading, path, value, parse));
}

function numbers(key: 'port' | 'sourcePort' | 'userId'): ReadKey {
  return (_, __, value: Numbers, items) => add(items, key, rangesOf(value));
}

function tags(key: 'inbound' | 'ruleSet', kind: string, known: 'inbounds' | 'ruleSets'): ReadKey {
  return (reading, path, value: Strings, items, names) =>
    add(items, key, referAll(reading, path, value, kind, names[known]));
}

/** `false` looks like a condition and is none; a rule that lost its only one would hold for everything. */
function flag(key: 'ipIsPrivate' | 'sourceIpIsPrivate'): ReadKey {
  return (reading, path, value: boolean, items) => {
    if (value) items[key] = true;
    else {
      const message = 'false is no condition; leave the key out, or use `invert`';
      reading.mistakes.push({ path, found: 'false', expected: 'true', message });
    }
  };
}

function countries(key: 'geoip' | 'sourceGeoip', privateKey: 'ipIsPrivate' | 'sourceIpIsPrivate'): ReadKey {
  return (reading, path, value: Strings, items, names) => {
    const found = readEach(reading, path, value, parseCountry);
    const real = found.filter((country) => country !== PRIVATE);
    if (real.length < found.length) items[privateKey] = true;
    if (real.length > 0 && !names.hasGeoip) needFile(reading, path, 'country');
    add(items, key, real);
  };
}

const readAsn: ReadKey = (reading, path, value: Numbers, items, names) => {
  if (!names.hasAsn) needFile(reading, path, 'asn');
  add(
    items,
    'asn',
    rangesOf(value).map(({ from }) => from),
  );
};

/** Not a country, but known as one to those who come from sing-box. */
const PRIVATE = 'private';

function needFile(reading: Reading, path: Path, kind: 'country' | 'asn'): void {
  const message = `needs an mmdb file at \`geo.${kind}\``;
  reading.mistakes.push({ path, atKey: true, found: 'no file', expected: `\`geo.${kind}\``, message });
}

/** A scalar stands for a list of one, at its own place. */
export function readEach<Value extends string | number | object>(
  reading: Reading,
  path: Path,
  written: Strings,
  parse: Parse<Value>,
): Value[] {
  const each = listed(written).map((text, index) =>
    read(reading, typeof written === 'string' ? path : [...path, index], text, parse),
  );
  return each.filter((value) => value !== undefined);
}

function listed<Value extends string | number>(
  written: Value | readonly (Value | undefined)[] | undefined,
): readonly (Value | undefined)[] {
  return Array.isArray(written) ? written : [written as Value | undefined];
}

const readTimes: ReadKey = (reading, path, value: Strings, items) =>
  add(items, 'time', readEach(reading, path, value, parseTimes).flat());

function rangesOf(written: Numbers): Range[] {
  return listed(written).flatMap((value) => (value === undefined ? [] : [{ from: value, to: value }]));
}

function referAll(
  reading: Reading,
  path: Path,
  written: Strings,
  kind: string,
  known: ReadonlySet<string>,
): string[] {
  const given: string[] = [];
  for (const [index, name] of listed(written).entries()) {
    if (name === undefined) continue;
    refer(reading, typeof written === 'string' ? path : [...path, index], name, kind, known);
    given.push(name);
  }
  return given;
}

const readVersions: ReadKey = (reading, path, written: Numbers, items) => {
  const versions: (4 | 6)[] = [];
  for (const [index, version] of listed(written).entries()) {
    if (version === 4 || version === 6) versions.push(version);
    else if (version !== undefined) {
      const at = Array.isArray(written) ? [...path, index] : path;
      complain(reading, () => ({ path: at, found: String(version), expected: '4 or 6' }));
    }
  }
  add(items, 'ipVersion', versions);
};

/** @returns a parser of names that answers their number; names before `from` are not to be written */
function oneOf(names: readonly string[], from: number): Parse<number> {
  const allowed = names.slice(from);
  return (text) => {
    const index = allowed.indexOf(text);
    if (index >= 0) return from + index;
    const near = nearest(text, allowed);
    const expected = `one of ${allowed.join(', ')}`;
    return { expected, wrong: 'is not known', ...(near === undefined ? {} : { nearest: near }) };
  };
}

export const parseProtocol = oneOf(PROTOCOL_NAMES, 1);

const notEmpty: Parse<string> = (text) => (text === '' ? { expected: 'a name', wrong: 'is empty' } : text);

const parseCountry: Parse<string> = (text) => {
  if (text.toLowerCase() === PRIVATE) return PRIVATE;
  if (/^[A-Za-z]{2}$/.test(text)) return text.toUpperCase();
  return { expected: 'the two letters of a country such as DE, or private', wrong: 'is no country' };
};

const parseProgram: Parse<string> = (text) => {
  const expected = 'the file name of a program such as curl';
  if (text === '') return { expected, wrong: 'is empty' };
  return text.includes('/') ? { expected, wrong: 'is a path; its key is `process_path`' } : text;
};

const parseProgramPath: Parse<string> = (text) =>
  text.startsWith('/')
    ? text
    : { expected: 'an absolute path such as /usr/bin/curl', wrong: 'does not begin with /' };

/** Never repeated: an address may carry a password or a token. */
const readExternal: ReadKey = (reading, path, text: string, items) => {
  const isAddress = /^https?:\/\/[^/]/i.test(text) && URL.canParse(text) && text.length <= URL_CHARACTERS_MAX;
  const url = isAddress ? new URL(text) : undefined;
  if (url !== undefined && url.username === '' && url.password === '') {
    items.external = { url: url.href };
    return;
  }
  const expected = 'an http(s) address without user name and password';
  const found = url === undefined ? 'something else' : 'one with a user name or a password';
  reading.mistakes.push({ path, found, expected });
};

const READERS: readonly (readonly [
  keyof Written,
  (reading: Reading, path: Path, value: unknown, items: Draft, names: RuleNames) => void,
])[] = Object.entries({
  domain: texts('domain', parseName),
  domain_suffix: texts('domainSuffix', parseSuffix),
  domain_keyword: texts('domainKeyword', parseKeyword),
  domain_regex: texts('domainRegex', parseExpression),
  ip_cidr: texts('ipCidr', parseNetwork),
  ip_is_private: flag('ipIsPrivate'),
  geoip: countries('geoip', 'ipIsPrivate'),
  asn: readAsn,
  port: numbers('port'),
  port_range: texts('port', parsePortRange),
  source_ip_cidr: texts('sourceIpCidr', parseNetwork),
  source_ip_is_private: flag('sourceIpIsPrivate'),
  source_geoip: countries('sourceGeoip', 'sourceIpIsPrivate'),
  source_port: numbers('sourcePort'),
  source_port_range: texts('sourcePort', parsePortRange),
  inbound: tags('inbound', 'inbound', 'inbounds'),
  service: texts('service', notEmpty),
  user: texts('user', notEmpty),
  network: texts('network', oneOf(NETWORKS, 0)),
  protocol: texts('protocol', parseProtocol),
  ip_version: readVersions,
  time: readTimes,
  device: texts('device', oneOf(DEVICE_NAMES, 1)),
  process_name: texts('processName', parseProgram),
  process_path: texts('processPath', parseProgramPath),
  user_id: numbers('userId'),
  external: readExternal,
  rule_set: tags('ruleSet', 'rule_set', 'ruleSets'),
} satisfies Partial<Record<keyof Written, ReadKey>>) as never;
