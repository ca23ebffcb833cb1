// Whether one condition holds for everything that another one holds for, as far as their words tell. `false` may mean that
// nobody knows.

import { GROUPS_MERGED } from '../../layout/rules.ts';
import { endsWith, holds } from '../items.ts';
import { PRIVATE_NETWORKS } from '../private-networks.ts';
import type { Condition, DomainSuffix, Items, Network, Range } from '../rule.ts';

/** @param wide must not need anything that may not be known: see shadow.ts */
export function covers(wide: Condition, narrow: Condition): boolean {
  if (isEverything(wide)) return true;
  if (narrow.kind === 'logical' && !narrow.invert) {
    const each = (rule: Condition) => covers(wide, rule);
    if (narrow.mode === 'or' ? narrow.rules.every(each) : narrow.rules.some(each)) return true;
  }
  if (wide.kind === 'logical') {
    if (wide.invert) return false;
    const each = (rule: Condition) => covers(rule, narrow);
    return wide.mode === 'or' ? wide.rules.some(each) : wide.rules.every(each);
  }
  return narrow.kind === 'items' && !wide.invert && !narrow.invert && itemsCover(wide, narrow);
}

function isEverything(condition: Condition): boolean {
  return condition.kind === 'items' && !condition.invert && GROUPS.every(({ has }) => !has(condition));
}

interface Group {
  readonly has: (items: Items) => boolean;
  /** Whether all that `narrow` names here is in what `wide` names. Both have something. */
  readonly covers: (wide: Items, narrow: Items) => boolean;
}

type Plain = {
  [Key in keyof Items]: Items[Key] extends readonly (string | number)[] ? Key : never;
}[keyof Items];

function plain(key: Plain): Group {
  return {
    has: (items) => items[key].length > 0,
    covers: (wide, narrow) => isSubset<string | number>(narrow[key], wide[key]),
  };
}

function ranges(key: 'port' | 'sourcePort' | 'userId' | 'time'): Group {
  return {
    has: (items) => items[key].length > 0,
    covers: (wide, narrow) => narrow[key].every((range) => wide[key].some((other) => isInside(range, other))),
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

/** A bit for each group with conditions; all bits where that says nothing. */
export function groupsOf(condition: Condition): number {
  if (condition.kind === 'logical' || condition.invert) return -1;
  let groups = 0;
  for (const [number, { has }] of GROUPS.entries()) if (has(condition)) groups |= 1 << number;
  return groups;
}

function itemsCover(wide: Items, narrow: Items): boolean {
  return GROUPS.every((group, number) => {
    const isIn = { wide: group.has(wide), narrow: group.has(narrow) };
    if (number < GROUPS_MERGED && narrow.ruleSet.length > 0) {
      // A rule of a set may stand in for the narrow rule's conditions. The same sets stand in for the wide one's as well.
      if (wide.ruleSet.length === 0 && isIn.wide) return false;
    }
    if (number < GROUPS_MERGED && wide.ruleSet.length > 0 && isIn.wide !== isIn.narrow) return false;
    if (!isIn.wide) return true;
    return isIn.narrow && group.covers(wide, narrow);
  });
}

export function hasDestination(items: Items): boolean {
  const { domain, domainSuffix, domainKeyword, domainRegex, ipCidr, geoip, asn } = items;
  const names = domain.length + domainSuffix.length + domainKeyword.length + domainRegex.length;
  return names + ipCidr.length + geoip.length + asn.length > 0 || items.ipIsPrivate;
}

function destinationCovers(wide: Items, narrow: Items): boolean {
  const holdsKeyword = (name: string) => wide.domainKeyword.some((keyword) => name.includes(keyword));
  return (
    narrow.domain.every(
      (name) =>
        wide.domain.includes(name) ||
        holdsKeyword(name) ||
        wide.domainSuffix.some((one) => endsWith(name, one)),
    ) &&
    narrow.domainSuffix.every(
      (suffix) => holdsKeyword(suffix.name) || wide.domainSuffix.some((one) => isBelowAll(suffix, one)),
    ) &&
    narrow.domainKeyword.every(holdsKeyword) &&
    isSubset(narrow.domainRegex, wide.domainRegex) &&
    networksCover(wide.ipCidr, wide.ipIsPrivate, narrow.ipCidr, narrow.ipIsPrivate) &&
    isSubset(narrow.geoip, wide.geoip) &&
    isSubset(narrow.asn, wide.asn)
  );
}

/** Whether each name that `narrow` stands for is one that `wide` stands for. */
function isBelowAll(narrow: DomainSuffix, wide: DomainSuffix): boolean {
  if (narrow.name === wide.name) return narrow.isBelow || !wide.isBelow;
  return narrow.name.endsWith(`.${wide.name}`);
}

function hasSource({ sourceIpCidr, sourceIpIsPrivate, sourceGeoip }: Items): boolean {
  return sourceIpCidr.length + sourceGeoip.length > 0 || sourceIpIsPrivate;
}

function sourceCovers(wide: Items, narrow: Items): boolean {
  return (
    networksCover(wide.sourceIpCidr, wide.sourceIpIsPrivate, narrow.sourceIpCidr, narrow.sourceIpIsPrivate) &&
    isSubset(narrow.sourceGeoip, wide.sourceGeoip)
  );
}

function networksCover(
  wide: readonly Network[],
  wideIsPrivate: boolean,
  narrow: readonly Network[],
  narrowIsPrivate: boolean,
): boolean {
  const among = (all: readonly Network[]) => (one: Network) =>
    all.some((other) => other.bits <= one.bits && holds(other, one.words));
  if (narrowIsPrivate && !wideIsPrivate && !PRIVATE_NETWORKS.every(among(wide))) return false;
  return narrow.every((one) => among(wide)(one) || (wideIsPrivate && among(PRIVATE_NETWORKS)(one)));
}

function isSubset<Value extends string | number>(some: readonly Value[], all: readonly Value[]): boolean {
  return some.every((one) => all.includes(one));
}

function isInside(inner: Range, outer: Range): boolean {
  return outer.from <= inner.from && inner.to <= outer.to;
}
