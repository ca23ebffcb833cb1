// Where rules are filed that may shadow others, and where those look for them. If a rule is filed under keys, whatever it
// shadows looks under one of them: it has to name something in the same group, and its first thing there is one of the
// rule's, or below one.

import { maskWord } from '../../layout/network-set.ts';
import { PRIVATE_NETWORKS } from '../private-networks.ts';
import type { Condition, Items, Network } from '../rule.ts';

/**
 * @param networkBits takes the lengths of networks that are filed
 * @returns undefined: the rule has no group that it could be found by
 */
export function filedUnder(condition: Condition, networkBits: Set<number>): readonly string[] | undefined {
  if (condition.kind === 'logical' || condition.invert) return undefined;
  if (condition.ruleSet.length > 0) return condition.ruleSet.map((tag) => `set ${tag}`);
  const { domain, domainSuffix, ipCidr, sourceIpCidr, service, user, port } = condition;
  const rest = restOfDestination(condition);
  const names = domain.length + domainSuffix.length;
  if (rest === 0 && names > 0 && ipCidr.length === 0) {
    return [...domain, ...domainSuffix.map(({ name }) => name)].map((name) => `name ${name}`);
  }
  if (rest === 0 && names === 0 && ipCidr.length > 0) return networksUnder('to', ipCidr, networkBits);
  if (service.length > 0) return service.map((name) => `service ${name}`);
  if (user.length > 0) return user.map((name) => `user ${name}`);
  if (sourceIpCidr.length > 0 && condition.sourceGeoip.length === 0 && !condition.sourceIpIsPrivate) {
    return networksUnder('from', sourceIpCidr, networkBits);
  }
  if (port.length > 0 && port.every(({ from, to }) => from === to))
    return port.map(({ from }) => `port ${from}`);
  return undefined;
}

/** Every key under which a rule may be filed that shadows this one. */
export function soughtUnder(condition: Condition, networkBits: ReadonlySet<number>): Set<string> {
  const keys = new Set<string>();
  collect(condition, networkBits, keys);
  return keys;
}

function collect(condition: Condition, networkBits: ReadonlySet<number>, keys: Set<string>): void {
  if (condition.kind === 'logical') {
    for (const rule of condition.rules) collect(rule, networkBits, keys);
    return;
  }
  const name = condition.domain[0] ?? condition.domainSuffix[0]?.name ?? '';
  for (let at = 0; name !== '' && at >= 0; at = name.indexOf('.', at) + 1 || -1)
    keys.add(`name ${name.slice(at)}`);
  const { ipIsPrivate, sourceIpIsPrivate, service, user, port, ruleSet } = condition;
  const to = condition.ipCidr[0] ?? (ipIsPrivate ? PRIVATE_NETWORKS[0] : undefined);
  const from = condition.sourceIpCidr[0] ?? (sourceIpIsPrivate ? PRIVATE_NETWORKS[0] : undefined);
  for (const bits of networkBits) {
    if (to !== undefined && bits <= to.bits) keys.add(networkKey('to', to, bits));
    if (from !== undefined && bits <= from.bits) keys.add(networkKey('from', from, bits));
  }
  if (ruleSet[0] !== undefined) keys.add(`set ${ruleSet[0]}`);
  if (service[0] !== undefined) keys.add(`service ${service[0]}`);
  if (user[0] !== undefined) keys.add(`user ${user[0]}`);
  if (port[0] !== undefined) keys.add(`port ${port[0].from}`);
}

/** Conditions of the destination that are neither names nor networks. */
function restOfDestination({ domainKeyword, domainRegex, geoip, asn, ipIsPrivate }: Items): number {
  return domainKeyword.length + domainRegex.length + geoip.length + asn.length + (ipIsPrivate ? 1 : 0);
}

function networksUnder(side: string, networks: readonly Network[], networkBits: Set<number>): string[] {
  for (const { bits } of networks) networkBits.add(bits);
  return networks.map((network) => networkKey(side, network, network.bits));
}

function networkKey(side: string, { words }: Network, bits: number): string {
  return `${side} ${bits} ${words.map((word, place) => word & maskWord(bits - place * 32)).join('.')}`;
}
