// Rules of a rule set → a file of another format: sing-box's source format, which every version of it reads, or a plain
// list. What the format has no words for is a mistake: a set that quietly became another one would be worse than none.

import type { RuleComplaint } from '../../layout/compiler-messages.ts';
import { formatIp } from '../../layout/ip-address.ts';
import { NETWORK_TCP } from '../../layout/rules.ts';
import type { Condition, Items, Network, Range, RuleSetRules } from '../rule.ts';
import { allComplaints, type Complaints, complain, newComplaints } from './complaints.ts';

/** What can be written. */
export type WrittenFormat = 'source' | 'domains' | 'networks';

export interface ConvertedRuleSet {
  /** Empty if there are mistakes. */
  readonly text: string;
  readonly mistakes: RuleComplaint[];
}

/** The first one has words for all that connections have; those behind speak of telephones. */
const SOURCE_VERSION = 1;
const MAPPED_BITS = 96;

/** Items that headless rules have. */
const SOURCE_ITEMS: ReadonlySet<keyof Items> = new Set([
  'kind',
  'invert',
  'domain',
  'domainSuffix',
  'domainKeyword',
  'domainRegex',
  'ipCidr',
  'port',
  'sourceIpCidr',
  'sourcePort',
  'network',
  'processName',
  'processPath',
]);
const LIST_ITEMS: Readonly<Record<'domains' | 'networks', ReadonlySet<keyof Items>>> = {
  domains: new Set(['kind', 'invert', 'domain', 'domainSuffix']),
  networks: new Set(['kind', 'invert', 'ipCidr']),
};

/** @param fileName of what was read, for mistakes */
export function convertRuleSet(fileName: string, rules: RuleSetRules, to: WrittenFormat): ConvertedRuleSet {
  const mistakes = newComplaints(fileName);
  const text = to === 'source' ? sourceText(rules, mistakes) : listText(rules, to, mistakes);
  const all = allComplaints(mistakes, 'mistakes');
  return { text: all.length > 0 ? '' : text, mistakes: all };
}

function sourceText({ rules }: RuleSetRules, mistakes: Complaints): string {
  const written = rules.map((rule, index) => writtenRule(rule, ['rules', index], mistakes));
  return `${JSON.stringify({ version: SOURCE_VERSION, rules: written }, undefined, 2)}\n`;
}

function writtenRule(rule: Condition, path: RuleComplaint['path'], mistakes: Complaints): object {
  if (rule.kind === 'logical') {
    const rules = rule.rules.map((one, index) => writtenRule(one, [...path, 'rules', index], mistakes));
    return { type: 'logical', mode: rule.mode, rules, ...(rule.invert ? { invert: true } : {}) };
  }
  complainOthers(rule, SOURCE_ITEMS, path, 'source format', mistakes);
  const written: Record<string, unknown> = {
    network: rule.network.map((network) => (network === NETWORK_TCP ? 'tcp' : 'udp')),
    domain: rule.domain,
    domain_suffix: rule.domainSuffix.map(({ name, isBelow }) => (isBelow ? `.${name}` : name)),
    domain_keyword: rule.domainKeyword,
    domain_regex: rule.domainRegex,
    source_ip_cidr: rule.sourceIpCidr.map(networkText),
    ip_cidr: rule.ipCidr.map(networkText),
    source_port: singlePorts(rule.sourcePort),
    source_port_range: portRanges(rule.sourcePort),
    port: singlePorts(rule.port),
    port_range: portRanges(rule.port),
    process_name: rule.processName,
    process_path: rule.processPath,
  };
  for (const [key, value] of Object.entries(written)) {
    if (Array.isArray(value) && value.length === 0) delete written[key];
  }
  if (rule.invert) written['invert'] = true;
  return written;
}

function singlePorts(ranges: readonly Range[]): number[] {
  return ranges.filter(({ from, to }) => from === to).map(({ from }) => from);
}

function portRanges(ranges: readonly Range[]): string[] {
  return ranges.filter(({ from, to }) => from !== to).map(({ from, to }) => `${from}:${to}`);
}

function networkText({ words, bits }: Network): string {
  const text = formatIp(Int32Array.from(words));
  // Mapped addresses are printed as IPv4, and no network that is wider than all of IPv4 begins with one.
  return `${text}/${text.includes(':') ? bits : bits - MAPPED_BITS}`;
}

function listText({ rules }: RuleSetRules, to: 'domains' | 'networks', mistakes: Complaints): string {
  const lines: string[] = [];
  for (const [index, rule] of rules.entries()) {
    const path = ['rules', index];
    const name = to === 'domains' ? 'list of domains' : 'list of networks';
    if (rule.kind === 'logical' || rule.invert) {
      const found = rule.kind === 'logical' ? 'a logical rule' : 'an inverted rule';
      const message = `${found} cannot be said in a ${name}`;
      complain(mistakes, { path, found, expected: `what a ${name} can say`, message });
      continue;
    }
    complainOthers(rule, LIST_ITEMS[to], path, name, mistakes);
    if (to === 'networks') for (const network of rule.ipCidr) lines.push(networkText(network));
    else addDomainLines(rule, lines);
  }
  return lines.map((line) => `${line}\n`).join('');
}

function addDomainLines({ domain, domainSuffix }: Items, lines: string[]): void {
  for (const name of domain) lines.push(name);
  for (const { name, isBelow } of domainSuffix) lines.push(isBelow ? `.${name}` : `||${name}^`);
}

function complainOthers(
  rule: Items,
  known: ReadonlySet<keyof Items>,
  path: RuleComplaint['path'],
  format: string,
  mistakes: Complaints,
): void {
  for (const key of Object.keys(rule) as (keyof Items)[]) {
    const value = rule[key];
    const isAbsent = value === undefined || value === false || (Array.isArray(value) && value.length === 0);
    if (isAbsent || known.has(key)) continue;
    const item = key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    const message = `\`${item}\` cannot be said in the ${format}`;
    complain(mistakes, {
      path: [...path, item],
      found: item,
      expected: `what the ${format} can say`,
      message,
    });
  }
}
