// What conditions come to: bits in the vectors of their groups, and what of them only a rest program can say. Compiler thread.

import {
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
  GROUPS_COUNT,
  GROUPS_INDEXED,
  GROUPS_MERGED,
} from '../../layout/rules.ts';
import type { Condition, Items } from '../rule.ts';
import { allOf, anyOf, not } from './program.ts';
import type { Node } from './program.ts';
import type { References } from './context.ts';
import { allWantText, expressionNodes } from './expressions.ts';
import type { Indexes } from './indexes.ts';

/** Items of a group that only a rest program can judge, or that need a name. */
function hasText(items: Items): boolean {
  return items.domainKeyword.length > 0 || items.domainRegex.length > 0;
}

/** Whether an item of the destination is looked up: a domain or an address. */
function hasIndexedDestination(items: Items): boolean {
  return (
    items.domain.length > 0 ||
    items.domainSuffix.length > 0 ||
    items.ipCidr.length > 0 ||
    items.ipIsPrivate ||
    items.geoip.length > 0 ||
    items.asn.length > 0
  );
}

/** Whether nothing can satisfy the destination of a name that holds no keyword. */
function wantsKeyword(items: Items): boolean {
  return hasText(items) && !hasIndexedDestination(items) && allWantText(items.domainRegex);
}

/**
 * Indexed groups without which the condition cannot hold, and by each the items of which one has to hold there. So a logical
 * rule is looked for where a plain one would be, and its program only asked of those that may match.
 */
function necessary(condition: Condition): Map<number, readonly Items[]> {
  const found = new Map<number, readonly Items[]>();
  if (condition.invert) return found;
  if (condition.kind === 'items') {
    for (let group = condition.ruleSet.length > 0 ? GROUPS_MERGED : 0; group < GROUPS_INDEXED; group++) {
      if (!hasGroup(condition, group) || (group === GROUP_DESTINATION && hasText(condition))) continue;
      found.set(group, [condition]);
    }
    return found;
  }
  const children = condition.rules.map(necessary);
  if (condition.mode === 'and') {
    for (const child of children)
      for (const [group, any] of child) if (!found.has(group)) found.set(group, any);
    return found;
  }
  for (const group of children[0]?.keys() ?? []) {
    const each = children.map((child) => child.get(group));
    if (each.every((any) => any !== undefined)) found.set(group, each.flat());
  }
  return found;
}

/** Whether the items say anything about the group. */
export function hasGroup(items: Items, group: number): boolean {
  switch (group) {
    case GROUP_DESTINATION:
      return hasIndexedDestination(items) || hasText(items);
    case GROUP_PORT:
      return items.port.length > 0;
    case GROUP_SOURCE:
      return items.sourceIpCidr.length > 0 || items.sourceIpIsPrivate || items.sourceGeoip.length > 0;
    case GROUP_SOURCE_PORT:
      return items.sourcePort.length > 0;
    case GROUP_INBOUND:
      return items.inbound.length > 0;
    case GROUP_SERVICE:
      return items.service.length > 0;
    case GROUP_USER:
      return items.user.length > 0;
    case GROUP_NETWORK:
      return items.network.length > 0;
    case GROUP_PROTOCOL:
      return items.protocol.length > 0;
    case GROUP_IP_VERSION:
      return items.ipVersion.length > 0;
    case GROUP_TIME:
      return items.time.length > 0;
    case GROUP_DEVICE:
      return items.device.length > 0;
    case GROUP_PROCESS_NAME:
      return items.processName.length > 0;
    case GROUP_PROCESS_PATH:
      return items.processPath.length > 0;
    case GROUP_USER_ID:
      return items.userId.length > 0;
    default:
      return false;
  }
}

export class Conditions {
  private readonly indexes: Indexes;
  private readonly references: References;
  /** Whether these are rules of a set, whose merged groups an outer rule may satisfy. */
  private readonly isSet: boolean;

  constructor(indexes: Indexes, references: References, isSet: boolean) {
    this.indexes = indexes;
    this.references = references;
    this.isSet = isSet;
  }

  /** Puts a rule into the vectors. @returns what is left to ask of a candidate */
  add(rule: number, condition: Condition): Node {
    if (condition.kind === 'logical' || condition.invert) {
      for (const [group, any] of necessary(condition)) {
        this.indexes.require(group, rule);
        for (const items of any) this.indexes.add(group, items, rule);
      }
      return this.node(condition);
    }
    const shared = this.shared(condition);
    const left: Node[] = [];
    for (let group = 0; group < GROUPS_COUNT; group++) {
      if (!hasGroup(condition, group)) continue;
      if (this.isSet && group < GROUPS_MERGED) this.indexes.mark(group, rule);
      if (((shared >>> group) & 1) === 1) continue;
      if (group < GROUPS_INDEXED && !(group === GROUP_DESTINATION && hasText(condition))) {
        this.indexes.require(group, rule);
        this.indexes.add(group, condition, rule);
      } else {
        if (group === GROUP_DESTINATION && wantsKeyword(condition)) this.indexes.requireKeyword(rule);
        const child = this.group(condition, group);
        left.push(this.isSet && group < GROUPS_MERGED ? { op: 'group', group, child } : child);
      }
    }
    if (condition.ruleSet.length > 0) left.push(this.merged(condition, shared));
    if (condition.external !== undefined) left.push(this.judgement(condition.external.url));
    return allOf(left);
  }

  private node(condition: Condition): Node {
    let inner: Node;
    if (condition.kind === 'logical') {
      const children = condition.rules.map((child) => this.node(child));
      inner = condition.mode === 'and' ? allOf(children) : anyOf(children);
    } else {
      inner = this.items(condition);
    }
    return condition.invert ? not(inner) : inner;
  }

  private items(items: Items): Node {
    const shared = this.shared(items);
    const all: Node[] = [];
    for (let group = 0; group < GROUPS_COUNT; group++) {
      if (hasGroup(items, group) && ((shared >>> group) & 1) === 0) all.push(this.group(items, group));
    }
    if (items.ruleSet.length > 0) all.push(this.merged(items, shared));
    if (items.external !== undefined) all.push(this.judgement(items.external.url));
    return allOf(all);
  }

  private judgement(url: string): Node {
    return { op: 'external', number: this.references.externalOf(url) };
  }

  /**
   * Groups in which the sets that the items name have conditions too, as bits: only there can a set satisfy what the items
   * want, or the items what the set does. The others are the items' own.
   */
  private shared(items: Items): number {
    let groups = 0;
    for (const tag of items.ruleSet) groups |= this.references.groupsOf(tag);
    return groups;
  }

  private merged(items: Items, shared: number): Node {
    const sets = items.ruleSet.map((tag) => this.references.setOf(tag));
    const groups: (Node | undefined)[] = [];
    for (let group = 0; group < GROUPS_MERGED; group++) {
      const isShared = ((shared >>> group) & 1) === 1 && hasGroup(items, group);
      groups.push(isShared ? this.group(items, group) : undefined);
    }
    return { op: 'merged', sets, groups };
  }

  /** A group under a bit of its own. */
  private group(items: Items, group: number): Node {
    const any: Node[] = [];
    if (group !== GROUP_DESTINATION || hasIndexedDestination(items)) {
      const bit = this.indexes.newBit();
      this.indexes.add(group, items, bit);
      any.push({ op: 'bit', group, bit });
    }
    if (group === GROUP_DESTINATION) {
      if (items.domainKeyword.length > 0) {
        any.push({ op: 'keyword', number: this.indexes.keywords(items.domainKeyword) });
      }
      any.push(...expressionNodes(this.indexes, items.domainRegex));
    }
    return anyOf(any);
  }
}
