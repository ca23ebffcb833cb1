// Whether one condition holds for everything that another one holds for, as far as their words tell. `false` may mean that
// nobody knows, or that the comparison has become too dear: what a rule lists is looked up, not searched (listed.ts), and
// every look counts.

import { GROUPS_MERGED } from '../../layout/rules.ts';
import { PRIVATE_NETWORKS } from '../private-networks.ts';
import type { Condition, DomainSuffix, Items, Network } from '../rule.ts';
import { type Comparing, isAmong, isInside, isSpent, networkHolds, suffixHolds } from './listed.ts';

/** @param wide must not need anything that may not be known: see shadow.ts */
export function covers(wide: Condition, narrow: Condition, comparing: Comparing): boolean {
  if (isSpent(comparing, 1)) return false;
  if (groupsOf(wide, comparing) === 0) return true;
  if (narrow.kind === 'logical' && !narrow.invert) {
    const each = (rule: Condition) => covers(wide, rule, comparing);
    if (narrow.mode === 'or' ? narrow.rules.every(each) : narrow.rules.some(each)) return true;
  }
  if (wide.kind === 'logical') {
    if (wide.invert) return false;
    const each = (rule: Condition) => covers(rule, narrow, comparing);
    return wide.mode === 'or' ? wide.rules.some(each) : wide.rules.every(each);
  }
  return narrow.kind === 'items' && !wide.invert && !narrow.invert && itemsCover(wide, narrow, comparing);
}

interface Group {
  readonly has: (items: Items) => boolean;
  /** Whether all that `narrow` names here is in what `wide` names. Both have something. */
  readonly covers: (wide: Items, narrow: Items, comparing: Comparing) => boolean;
}

type Plain = {
  [Key in keyof Items]: Items[Key] extends readonly (string | number)[] ? Key : never;
}[keyof Items];

function plain(key: Plain): Group {
  return {
    has: (items) => items[key].length > 0,
    covers: (wide, narrow, comparing) => isSubset(narrow[key], wide[key], comparing),
  };
}

function ranges(key: 'port' | 'sourcePort' | 'userId' | 'time'): Group {
  return {
    has: (items) => items[key].length > 0,
    covers: (wide, narrow, comparing) => narrow[key].every((range) => isInside(range, wide[key], comparing)),
  };
}

/** The first GROUPS_MERGED may be satisfied by rule sets. */
const GROUPS: readonly Group[] = [
  { has: hasDestination, covers: destinationCovers },
  ranges('port'),
  { has: hasSource, covers: sourceCovers },
  ranges('sourcePort'),
  plain('ruleSet'),
  plain('inbound'),
  plain('service'),
  plain('user'),
  plain('network'),
  plain('protocol'),
  plain('ipVersion'),
  ranges('time'),
  plain('device'),
  plain('processName'),
  plain('processPath'),
  ranges('userId'),
  {
    has: ({ external }) => external !== undefined,
    covers: (wide, narrow) => wide.external?.url === narrow.external?.url,
  },
];

const MERGED = (1 << GROUPS_MERGED) - 1;

/** A bit for each group with conditions, so that none is a rule that holds for everything; all bits where that says nothing. */
export function groupsOf(condition: Condition, { groups }: Comparing): number {
  if (condition.kind === 'logical' || condition.invert) return -1;
  const before = groups.get(condition);
  if (before !== undefined) return before;
  let bits = 0;
  for (const [number, { has }] of GROUPS.entries()) if (has(condition)) bits |= 1 << number;
  groups.set(condition, bits);
  return bits;
}

/** Neither is inverted. */
function itemsCover(wide: Items, narrow: Items, comparing: Comparing): boolean {
  const wideGroups = groupsOf(wide, comparing);
  const narrowGroups = groupsOf(narrow, comparing);
  if ((wideGroups & ~narrowGroups) !== 0) return false;
  // A rule of a set may stand in for the narrow rule's conditions. The same sets stand in for the wide one's as well.
  if (narrow.ruleSet.length > 0 && wide.ruleSet.length === 0 && (wideGroups & MERGED) !== 0) return false;
  if (wide.ruleSet.length > 0 && ((wideGroups ^ narrowGroups) & MERGED) !== 0) return false;
  for (let number = 0; number < GROUPS.length; number++) {
    if ((wideGroups & (1 << number)) === 0) continue;
    if (!(GROUPS[number] as Group).covers(wide, narrow, comparing)) return false;
  }
  return true;
}

export function hasDestination(items: Items): boolean {
  const { domain, domainSuffix, domainKeyword, domainRegex, ipCidr, geoip, asn } = items;
  const names = domain.length + domainSuffix.length + domainKeyword.length + domainRegex.length;
  return names + ipCidr.length + geoip.length + asn.length > 0 || items.ipIsPrivate;
}

function destinationCovers(wide: Items, narrow: Items, comparing: Comparing): boolean {
  const holdsKeyword = (name: string) =>
    wide.domainKeyword.some((keyword) => !isSpent(comparing, 1) && name.includes(keyword));
  const holdsName = (name: string) =>
    isAmong(name, wide.domain, comparing) ||
    suffixHolds({ name, isBelow: false }, wide.domainSuffix, comparing) ||
    holdsKeyword(name);
  const holdsSuffix = (suffix: DomainSuffix) =>
    suffixHolds(suffix, wide.domainSuffix, comparing) || holdsKeyword(suffix.name);
  return (
    narrow.domain.every(holdsName) &&
    narrow.domainSuffix.every(holdsSuffix) &&
    narrow.domainKeyword.every(holdsKeyword) &&
    isSubset(narrow.domainRegex, wide.domainRegex, comparing) &&
    networksCover(wide.ipCidr, wide.ipIsPrivate, narrow.ipCidr, narrow.ipIsPrivate, comparing) &&
    isSubset(narrow.geoip, wide.geoip, comparing) &&
    isSubset(narrow.asn, wide.asn, comparing)
  );
}

function hasSource({ sourceIpCidr, sourceIpIsPrivate, sourceGeoip }: Items): boolean {
  return sourceIpCidr.length + sourceGeoip.length > 0 || sourceIpIsPrivate;
}

function sourceCovers(wide: Items, narrow: Items, comparing: Comparing): boolean {
  return (
    networksCover(
      wide.sourceIpCidr,
      wide.sourceIpIsPrivate,
      narrow.sourceIpCidr,
      narrow.sourceIpIsPrivate,
      comparing,
    ) && isSubset(narrow.sourceGeoip, wide.sourceGeoip, comparing)
  );
}

function networksCover(
  wide: readonly Network[],
  wideIsPrivate: boolean,
  narrow: readonly Network[],
  narrowIsPrivate: boolean,
  comparing: Comparing,
): boolean {
  const isIn = (all: readonly Network[]) => (one: Network) => networkHolds(one, all, comparing);
  if (narrowIsPrivate && !wideIsPrivate && !PRIVATE_NETWORKS.every(isIn(wide))) return false;
  return narrow.every((one) => isIn(wide)(one) || (wideIsPrivate && isIn(PRIVATE_NETWORKS)(one)));
}

function isSubset(
  some: readonly (string | number)[],
  all: readonly (string | number)[],
  comparing: Comparing,
): boolean {
  return some.every((one) => isAmong(one, all, comparing));
}
