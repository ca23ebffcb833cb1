// When a rule holds: as written → checked. Every key of `Items` in its own line, with the parser that knows its form; and
// logical rules, which hold rules inside each other and no conditions of their own.

import { nearest } from '../../config/nearest.ts';
import { type Path, quoted } from '../../config/mistakes.ts';
import { type Reading, read } from '../../config/reading.ts';
import { refer } from '../../config/references.ts';
import type { RuleNames } from '../../config/rule-checker.ts';
import type { WrittenRule } from '../../config/schema.ts';
import type { Partly } from '../../config/shape.ts';
import { DEVICE_NAMES, NESTING_MAX, PROTOCOL_NAMES } from '../../layout/rules.ts';
import type { Condition, External, Items, Range } from '../rule.ts';
import { parseExpression, parseKeyword, parseName, parseNetwork, parseSuffix } from './names.ts';
import { parsePortRange, parseTimes } from './ranges.ts';

export type Written = Partly<WrittenRule>;
type Strings = string | readonly (string | undefined)[] | undefined;
type Numbers = number | readonly (number | undefined)[] | undefined;
type Parse<Value extends string | number | object> = Parameters<typeof read<Value>>[3];

/** Keys that say what to do: of the whole rule, not of its conditions. */
const ACTION_KEYS: ReadonlySet<string> = new Set([
  'id',
  'action',
  'method',
  'outbound',
  'override_address',
  'override_port',
  'gate',
  'rate',
  'sniffer',
  'timeout',
  'on_timeout',
]);
const FRAME_KEYS: ReadonlySet<string> = new Set(['type', 'mode', 'rules', 'invert']);
const URL_CHARACTERS_MAX = 2_048;
const NETWORKS = ['tcp', 'udp'] as const;

/** @param depth of the rule itself 0, of its conditions 1 */
export function readCondition(
  reading: Reading,
  written: Written,
  path: Path,
  names: RuleNames,
  depth = 0,
): Condition {
  const itemKeys = Object.keys(written).filter((key) => !ACTION_KEYS.has(key) && !FRAME_KEYS.has(key));
  if (depth > 0) {
    for (const key of Object.keys(written)) {
      if (!ACTION_KEYS.has(key)) continue;
      misplaced(
        reading,
        [...path, key],
        `${quoted(key)} belongs to the whole rule, not to a condition of it`,
      );
    }
  }
  if (written.type === 'logical') return readLogical(reading, written, path, names, depth, itemKeys);
  for (const key of ['mode', 'rules']) {
    if (!(key in written) || ('type' in written && written.type === undefined)) continue;
    misplaced(reading, [...path, key], `${quoted(key)} belongs to \`type: logical\``);
  }
  if (itemKeys.length === 0 && !('rules' in written) && (depth > 0 || written.invert === true)) {
    const message = depth > 0 ? 'has no condition' : 'has `invert` and no condition; it would never match';
    reading.mistakes.push({ path, found: 'nothing', expected: 'a condition', message });
  }
  return readItems(reading, written, path, names);
}

function misplaced(reading: Reading, path: Path, message: string): void {
  const found = quoted(String(path.at(-1)));
  reading.mistakes.push({ path, atKey: true, found, expected: 'no such key here', message });
}

function readLogical(
  reading: Reading,
  written: Written,
  path: Path,
  names: RuleNames,
  depth: number,
  itemKeys: readonly string[],
): Condition {
  for (const key of itemKeys) {
    misplaced(reading, [...path, key], `${quoted(key)} stands beside \`rules\`; it belongs into one of them`);
  }
  for (const [key, expected] of [
    ['mode', '`and` or `or`'],
    ['rules', 'a list of rules'],
  ] as const) {
    if (key in written) continue;
    reading.mistakes.push({ path, found: 'nothing', expected, message: `lacks "${key}" (${expected})` });
  }
  const rules: Condition[] = [];
  if (depth >= NESTING_MAX) {
    const message = `is nested more than ${NESTING_MAX} deep`;
    reading.mistakes.push({
      path,
      found: 'more',
      expected: `at most ${NESTING_MAX} inside each other`,
      message,
    });
  } else {
    for (const [index, rule] of (written.rules ?? []).entries()) {
      if (rule === undefined) continue;
      rules.push(readCondition(reading, rule as Written, [...path, 'rules', index], names, depth + 1));
    }
  }
  return { kind: 'logical', mode: written.mode ?? 'and', invert: written.invert ?? false, rules };
}

function readItems(reading: Reading, written: Written, path: Path, names: RuleNames): Items {
  const texts = <Value extends string | number | object>(key: keyof Written & string, parse: Parse<Value>) =>
    readEach(reading, [...path, key], written[key] as Strings, parse);
  const numbers = (key: keyof Written & string) => rangesOf(written[key] as Numbers);
  const countries = (key: 'geoip' | 'source_geoip') => texts(key, parseCountry);
  const geoip = countries('geoip');
  const sourceGeoip = countries('source_geoip');
  const asn = numbers('asn').map(({ from }) => from);
  const isNational = (country: string) => country !== PRIVATE;
  needFile(reading, [...path, 'geoip'], geoip.some(isNational) && !names.hasGeoip, 'country');
  needFile(reading, [...path, 'source_geoip'], sourceGeoip.some(isNational) && !names.hasGeoip, 'country');
  needFile(reading, [...path, 'asn'], asn.length > 0 && !names.hasAsn, 'asn');
  return {
    kind: 'items',
    invert: written.invert ?? false,
    domain: texts('domain', parseName),
    domainSuffix: texts('domain_suffix', parseSuffix),
    domainKeyword: texts('domain_keyword', parseKeyword),
    domainRegex: texts('domain_regex', parseExpression),
    ipCidr: texts('ip_cidr', parseNetwork),
    ipIsPrivate: isSet(reading, path, written, 'ip_is_private') || geoip.includes(PRIVATE),
    geoip: geoip.filter(isNational),
    asn,
    port: [...numbers('port'), ...texts('port_range', parsePortRange)],
    sourceIpCidr: texts('source_ip_cidr', parseNetwork),
    sourceIpIsPrivate: isSet(reading, path, written, 'source_ip_is_private') || sourceGeoip.includes(PRIVATE),
    sourceGeoip: sourceGeoip.filter(isNational),
    sourcePort: [...numbers('source_port'), ...texts('source_port_range', parsePortRange)],
    inbound: referAll(reading, [...path, 'inbound'], written.inbound, 'inbound', names.inbounds),
    service: texts('service', notEmpty),
    user: texts('user', notEmpty),
    network: texts('network', oneOf(NETWORKS, 0)),
    protocol: texts('protocol', parseProtocol),
    ipVersion: readVersions(reading, [...path, 'ip_version'], written.ip_version),
    time: texts('time', parseTimes).flat(),
    device: texts('device', oneOf(DEVICE_NAMES, 1)),
    processName: texts('process_name', parseProgram),
    processPath: texts('process_path', parseProgramPath),
    userId: numbers('user_id'),
    external: readExternal(reading, [...path, 'external'], written.external),
    ruleSet: referAll(reading, [...path, 'rule_set'], written.rule_set, 'rule_set', names.ruleSets),
  };
}

/** Not a country, but known as one to those who come from sing-box. */
const PRIVATE = 'private';

function needFile(reading: Reading, path: Path, isMissing: boolean, kind: 'country' | 'asn'): void {
  if (!isMissing) return;
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

/** `false` looks like a condition and is none; a rule that lost its only one would hold for everything. */
function isSet(
  reading: Reading,
  path: Path,
  written: Written,
  key: 'ip_is_private' | 'source_ip_is_private',
): boolean {
  if (written[key] !== false) return written[key] === true;
  const message = 'false is no condition; leave the key out, or use `invert`';
  reading.mistakes.push({ path: [...path, key], found: 'false', expected: 'true', message });
  return false;
}

function readVersions(reading: Reading, path: Path, written: Numbers): (4 | 6)[] {
  const versions: (4 | 6)[] = [];
  for (const [index, version] of listed(written).entries()) {
    if (version === 4 || version === 6) versions.push(version);
    else if (version !== undefined) {
      const at = Array.isArray(written) ? [...path, index] : path;
      reading.mistakes.push({ path: at, found: String(version), expected: '4 or 6' });
    }
  }
  return versions;
}

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
function readExternal(reading: Reading, path: Path, text: string | undefined): External | undefined {
  if (text === undefined) return undefined;
  const isAddress = /^https?:\/\/[^/]/i.test(text) && URL.canParse(text) && text.length <= URL_CHARACTERS_MAX;
  const url = isAddress ? new URL(text) : undefined;
  if (url !== undefined && url.username === '' && url.password === '') return { url: url.href };
  const expected = 'an http(s) address without user name and password';
  const found = url === undefined ? 'something else' : 'one with a user name or a password';
  reading.mistakes.push({ path, found, expected });
  return undefined;
}
