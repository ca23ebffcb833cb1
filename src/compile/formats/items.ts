// The items of a headless rule: one reader each, by name. A reader takes all values at once and is silent about those that are
// right. What can't be judged at all is in UNJUDGED.

import { type Path, quoted, shown } from '../../config/mistakes.ts';
import { NETWORK_TCP, NETWORK_UDP } from '../../layout/rules.ts';
import type { Items, Network, Range } from '../rule.ts';
import type { TextBounds } from '../text-bounds.ts';
import { addAdGuardPattern } from './adguard.ts';
import { type Complaints, complain } from './complaints.ts';
import { nameOf, networkOf, suffixOf } from './names.ts';

/** Rules of a file, those inside others included. */
export const RULES_READ_MAX = 262_144;
/** Values of all items of a file: 4 million names are 400 MB. */
export const VALUES_READ_MAX = 4_000_000;
const PORT_MAX = 65_535;
/** Of a keyword: what is longer than any name is in none. */
const NAME_CHARACTERS_MAX = 253;
const TEXT_CHARACTERS_MAX = 4_096;
const NETWORK_FORMS = 'a network such as 10.0.0.0/8 or 2001:db8::/32, or an address';
const RANGE_FORMS = 'ports from:to such as 1000:2000, :3000 or 4000:, from not above to';

export interface ItemReading {
  readonly mistakes: Complaints;
  readonly bounds: TextBounds<Path>;
  values: number;
}

type Writable = { -readonly [Key in keyof Items]: Items[Key] };

/** @returns false: right, but not to be judged here */
type ReadItem = (
  reading: ItemReading,
  items: Writable,
  values: readonly unknown[],
  /** Of the list, or of the rule if there is one value. */
  path: Path,
  key: string,
) => boolean;

/** Known by sing-box up to version 4, and about nothing that a connection through Sluice has. */
export const UNJUDGED: ReadonlySet<string> = new Set([
  'query_type',
  'process_path_regex',
  'package_name',
  'network_type',
  'network_is_expensive',
  'network_is_constrained',
  'wifi_ssid',
  'wifi_bssid',
  'network_interface_address',
  'default_interface_address',
]);

/** In binary files only. */
export const ADGUARD = 'adguard_domain';

export const ITEMS: ReadonlyMap<string, ReadItem> = new Map<string, ReadItem>([
  ['network', readNetworks],
  ['domain', listOf('domain', domainOf, 'a domain name such as www.example.com')],
  [
    'domain_suffix',
    listOf('domainSuffix', domainSuffixOf, 'a domain name such as example.com or .example.com'),
  ],
  ['domain_keyword', readKeywords],
  ['domain_regex', readRegexes],
  ['source_ip_cidr', listOf('sourceIpCidr', cidrOf, NETWORK_FORMS)],
  ['ip_cidr', listOf('ipCidr', cidrOf, NETWORK_FORMS)],
  ['source_port', listOf('sourcePort', portOf, `a port, 0 to ${PORT_MAX}`)],
  ['source_port_range', listOf('sourcePort', portRangeOf, RANGE_FORMS)],
  ['port', listOf('port', portOf, `a port, 0 to ${PORT_MAX}`)],
  ['port_range', listOf('port', portRangeOf, RANGE_FORMS)],
  ['process_name', listOf('processName', textOf, 'the name of a program')],
  ['process_path', listOf('processPath', textOf, 'the path of a program')],
  [ADGUARD, readAdGuard],
]);

/** Items of lists into which several readers may write. */
type ListKey = { [Key in keyof Items]: Items[Key] extends readonly unknown[] ? Key : never }[keyof Items];

function listOf<Key extends ListKey>(
  listKey: Key,
  read: (value: unknown) => Items[Key][number] | undefined,
  expected: string,
): ReadItem {
  return (reading, items, values, path, key) => {
    if (!hasRoom(reading, values.length, path)) return true;
    const list = [...items[listKey]] as Items[Key][number][];
    for (let index = 0; index < values.length; index++) {
      const value = values[index];
      const one = read(value);
      if (one !== undefined) list.push(one);
      else complainValue(reading, value, path, key, index, expected);
    }
    (items as Record<ListKey, unknown>)[listKey] = list;
    return true;
  };
}

function hasRoom(reading: ItemReading, more: number, path: Path): boolean {
  reading.values += more;
  if (reading.values <= VALUES_READ_MAX) return true;
  complain(reading.mistakes, {
    path,
    found: 'more',
    expected: `at most ${VALUES_READ_MAX} values in a file`,
  });
  return false;
}

function complainValue(
  reading: ItemReading,
  value: unknown,
  path: Path,
  key: string,
  index: number,
  expected: string,
): void {
  complain(reading.mistakes, { path: valuePath(path, key, index), found: shown(value, []), expected });
}

/** A value that is no list is not numbered. */
function valuePath(path: Path, key: string, index: number): Path {
  return path.at(-1) === key ? [...path, index] : [...path, key];
}

function listPath(path: Path, key: string): Path {
  return path.at(-1) === key ? path : [...path, key];
}

function domainOf(value: unknown): string | undefined {
  return typeof value === 'string' ? nameOf(value) : undefined;
}

function domainSuffixOf(value: unknown): Items['domainSuffix'][number] | undefined {
  return typeof value === 'string' ? suffixOf(value) : undefined;
}

function keywordOf(value: unknown): string | undefined {
  if (typeof value !== 'string' || value.length > NAME_CHARACTERS_MAX) return undefined;
  return /^[!-~]+$/.test(value) ? value.toLowerCase() : undefined;
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' && value.length <= TEXT_CHARACTERS_MAX ? value : undefined;
}

/** Of a binary file they are networks already. */
function cidrOf(value: unknown): Network | undefined {
  if (typeof value === 'string') return networkOf(value);
  return typeof value === 'object' && value !== null && 'words' in value ? (value as Network) : undefined;
}

function portOf(value: unknown): Range | undefined {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > PORT_MAX)
    return undefined;
  return { from: value, to: value };
}

function portRangeOf(value: unknown): Range | undefined {
  const parts = typeof value === 'string' ? /^(\d{0,5}):(\d{0,5})$/.exec(value) : null;
  if (parts === null || value === ':') return undefined;
  const from = Number(parts[1] ?? '');
  const to = parts[2] === '' ? PORT_MAX : Number(parts[2]);
  return from <= to && to <= PORT_MAX ? { from, to } : undefined;
}

/** Tried out here, since only here it is known where they stand. */
function readRegexes(
  reading: ItemReading,
  items: Writable,
  values: readonly unknown[],
  path: Path,
  key: string,
): boolean {
  if (!hasRoom(reading, values.length, path)) return true;
  const list: string[] = [];
  for (const [index, value] of values.entries()) {
    const text = textOf(value);
    if (text === undefined) complainValue(reading, value, path, key, index, 'a regular expression');
    else if (isExpression(reading, text, text, valuePath(path, key, index))) list.push(text);
  }
  items.domainRegex = [...items.domainRegex, ...list];
  return true;
}

/** @param written what stands there for the expression */
function isExpression(reading: ItemReading, text: string, written: string, path: Path): boolean {
  const wrong = reading.bounds.addExpression(text, path);
  if (wrong === undefined) return true;
  if ('message' in wrong) {
    complain(reading.mistakes, { path, ...wrong });
    return false;
  }
  // Of a pattern that was put into other words nobody knows their characters.
  const where = text === written ? `${wrong.wrong} at character ${wrong.at + 1}` : wrong.wrong;
  const message = `${quoted(written)} is no expression that is judged here: ${where}`;
  complain(reading.mistakes, { path, found: wrong.wrong, expected: wrong.expected, message });
  return false;
}

const readKeywordList = listOf(
  'domainKeyword',
  keywordOf,
  'a part of a domain name, of at most 253 characters',
);

function readKeywords(
  reading: ItemReading,
  items: Writable,
  values: readonly unknown[],
  path: Path,
  key: string,
): boolean {
  const before = items.domainKeyword.length;
  readKeywordList(reading, items, values, path, key);
  const excess = reading.bounds.addKeywords(items.domainKeyword.slice(before));
  if (excess !== undefined) complain(reading.mistakes, { path: listPath(path, key), ...excess });
  return true;
}

/** `icmp` is a network of sing-box, but of no connection here: alone it can't be judged, beside another it adds nothing. */
function readNetworks(
  reading: ItemReading,
  items: Writable,
  values: readonly unknown[],
  path: Path,
  key: string,
): boolean {
  const networks = new Set<number>();
  for (const [index, value] of values.entries()) {
    if (value === 'tcp') networks.add(NETWORK_TCP);
    else if (value === 'udp') networks.add(NETWORK_UDP);
    else if (value !== 'icmp') complainValue(reading, value, path, key, index, '"tcp" or "udp"');
  }
  items.network = [...networks];
  return networks.size > 0;
}

function readAdGuard(
  reading: ItemReading,
  items: Writable,
  values: readonly unknown[],
  path: Path,
  key: string,
): boolean {
  if (!hasRoom(reading, values.length, path)) return true;
  const lists = {
    domain: [...items.domain],
    domainSuffix: [...items.domainSuffix],
    domainKeyword: [...items.domainKeyword],
    domainRegex: [...items.domainRegex],
  };
  for (const [index, value] of values.entries()) {
    const expressions = lists.domainRegex.length;
    if (typeof value !== 'string' || !addAdGuardPattern(lists, value)) {
      complainValue(reading, value, path, key, index, 'a pattern such as ||example.com^');
      continue;
    }
    const expression = lists.domainRegex[expressions];
    if (expression !== undefined) isExpression(reading, expression, value, valuePath(path, key, index));
  }
  const excess = reading.bounds.addKeywords(lists.domainKeyword.slice(items.domainKeyword.length));
  if (excess !== undefined) complain(reading.mistakes, { path: listPath(path, key), ...excess });
  Object.assign(items, lists);
  return true;
}
