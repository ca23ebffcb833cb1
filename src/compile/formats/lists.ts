// Plain lists, one entry a line. Blank lines, and what follows a `#` that begins a word, are nothing; CRLF and a byte order mark do no harm.
//
//   of domains                                       what it stands for
//   example.com, full:example.com                    this name alone, as sing-box reads such lists
//   .example.com, *.example.com                      what is below it
//   +.example.com, domain:example.com, ||example.com^    itself and what is below it
//   0.0.0.0 example.com www.example.com              these names alone (hosts files; also 127.0.0.1, :: and ::1)
//   ! remark, [Adblock Plus]                         nothing
//
//   of networks                                      a prefix, host bits masked, or an address

import { quoted } from '../../config/mistakes.ts';
import { parseIp } from '../../layout/ip-address.ts';
import { type Condition, type DomainSuffix, type Network, NO_ITEMS } from '../rule.ts';
import { type Complaints, complain } from './complaints.ts';
import { VALUES_READ_MAX } from './items.ts';
import { nameOf, networkOf } from './names.ts';

const LINE_CHARACTERS_MAX = 4_096;
const DOMAIN_FORMS = 'a domain such as example.com, .example.com or ||example.com^';
const NETWORK_FORMS = 'a network such as 10.0.0.0/8 or 2001:db8::/32, or an address';
/** What hosts files lead names to that are to lead nowhere. */
const NOWHERE = new Set(['0.0.0.0', '127.0.0.1', '::', '::1']);

/** Not inside a word: `example.com##.banner` is a filter for browsers, and no domain. */
const REMARK = /(?<!\S)#/;

/** @returns undefined: right; else what is expected there */
type ReadLine = (entry: string) => string | undefined;

export function readDomains(text: string, mistakes: Complaints): Condition[] {
  const domain: string[] = [];
  const domainSuffix: DomainSuffix[] = [];
  readLines(text, mistakes, (entry) => readDomainLine(entry, domain, domainSuffix));
  return domain.length + domainSuffix.length === 0 ? [] : [{ ...NO_ITEMS, domain, domainSuffix }];
}

export function readNetworks(text: string, mistakes: Complaints): Condition[] {
  const ipCidr: Network[] = [];
  readLines(text, mistakes, (entry) => {
    const network = networkOf(entry);
    if (network === undefined) return NETWORK_FORMS;
    ipCidr.push(network);
    return undefined;
  });
  return ipCidr.length === 0 ? [] : [{ ...NO_ITEMS, ipCidr }];
}

/** The first entry of a list: what it looks like tells what the list is. */
export function firstEntry(text: string): string | undefined {
  let first: string | undefined;
  eachEntry(text, (entry) => {
    if (entry !== '') first ??= entry;
    return first === undefined;
  });
  return first;
}

function readLines(text: string, mistakes: Complaints, readLine: ReadLine): void {
  let entries = 0;
  eachEntry(text, (entry, line, column) => {
    if (entry === '') return true;
    const place = { path: [], line, column };
    if (++entries > VALUES_READ_MAX) {
      const expected = `at most ${VALUES_READ_MAX} entries`;
      complain(mistakes, { ...place, found: 'more', expected });
      return false;
    }
    const expected = entry.length > LINE_CHARACTERS_MAX ? 'a shorter line' : readLine(entry);
    if (expected !== undefined) complain(mistakes, { ...place, found: quoted(entry), expected });
    return true;
  });
}

/** @param take without remark and white space around it; answers whether to go on */
function eachEntry(text: string, take: (entry: string, line: number, column: number) => boolean): void {
  let line = 1;
  for (let start = text.startsWith('\ufeff') ? 1 : 0; start <= text.length; line++) {
    const newline = text.indexOf('\n', start);
    const end = newline < 0 ? text.length : newline;
    const written = text.slice(start, end);
    const remark = written.search(REMARK);
    const kept = remark < 0 ? written : written.slice(0, remark);
    const entry = kept.trim();
    const column = entry === '' ? 1 : kept.indexOf(entry) + 1;
    if (!take(entry, line, column)) return;
    start = end + 1;
  }
}

function readDomainLine(entry: string, domain: string[], suffixes: DomainSuffix[]): string | undefined {
  if (entry.startsWith('!') || (entry.startsWith('[') && entry.endsWith(']'))) return undefined;
  const space = entry.search(/\s/);
  if (space >= 0) return readHosts(entry, space, domain);
  const prefix = PREFIXES.find(([mark]) => entry.startsWith(mark));
  const [mark, kind] = prefix ?? ['', 'exact'];
  const isAdblock = mark === '||';
  if (isAdblock && !entry.endsWith('^')) return DOMAIN_FORMS;
  const written = entry.slice(mark.length, isAdblock ? -1 : undefined);
  if (parseIp(written) !== undefined) return 'a domain; an address belongs in a list of networks';
  const name = nameOf(written);
  if (name === undefined) return DOMAIN_FORMS;
  if (kind === 'exact') domain.push(name);
  else suffixes.push({ name, isBelow: kind === 'below' });
  return undefined;
}

const PREFIXES: readonly (readonly [mark: string, kind: 'exact' | 'below' | 'suffix'])[] = [
  ['||', 'suffix'],
  ['*.', 'below'],
  ['+.', 'suffix'],
  ['.', 'below'],
  ['full:', 'exact'],
  ['domain:', 'suffix'],
];

/** Names without a dot are of the machine itself (localhost, broadcasthost). */
function readHosts(entry: string, space: number, domain: string[]): string | undefined {
  if (!NOWHERE.has(entry.slice(0, space))) return 'one domain, or 0.0.0.0 and domains';
  for (const written of entry.slice(space).trim().split(/\s+/)) {
    const name = nameOf(written);
    if (name === undefined) return 'domains behind the address';
    if (name.includes('.') && parseIp(name) === undefined) domain.push(name);
  }
  return undefined;
}
