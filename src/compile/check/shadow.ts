// Rules that can never match, because one before them decides whatever they would match. Only what can be seen from the
// words: each group of the earlier rule is empty or holds all of the later one's.
//
// Rules are compared in pairs, but the pairs are few: an earlier rule is looked for under one thing that it must share with
// what it shadows, and is tried where a later one has that thing. The number of pairs has a bound all the same.

import { quoted } from '../../config/mistakes.ts';
import type { RuleComplaint } from '../../layout/compiler-messages.ts';
import type { Condition, Rule } from '../rule.ts';
import { covers, groupsOf, hasDestination } from './covers.ts';
import { isLookedUp, type PlacedRule, placeOf } from './placed-rule.ts';

/** Beyond it nobody is told any more: a warning is not worth seconds. */
const PAIRS_MAX = 2_000_000;

/** A rule that ends the matching. */
interface Earlier {
  readonly order: number;
  readonly rule: Rule;
  /** Groups that it has conditions in: what it shadows has them too. */
  readonly groups: number;
  /** Actions that find out more, before it. */
  readonly epoch: number;
}

export function findShadowed(rules: readonly PlacedRule[]): RuleComplaint[] {
  const warnings: RuleComplaint[] = [];
  /** By condition: another rule of the same words never matches, whatever they are. */
  const texts = new Map<string, Earlier>();
  const bySuffix = new Map<string, Earlier[]>();
  const others: Earlier[] = [];
  let epoch = 0;
  let pairs = 0;
  for (const [order, { rule, path }] of rules.entries()) {
    const text = JSON.stringify(rule.condition);
    const groups = groupsOf(rule.condition);
    const isShadowed = (earlier: Earlier) =>
      ++pairs <= PAIRS_MAX && (earlier.groups & ~groups) === 0 && isCovered(earlier, rule.condition, epoch);
    const same = texts.get(text);
    let before = same?.epoch === epoch ? same : undefined;
    before ??= others.find(isShadowed);
    before ??= candidates(rule.condition, bySuffix).find(isShadowed);
    if (before !== undefined) {
      const place = placeOf(before.rule, rule.owner);
      const message = `can never match: rule ${quoted(before.rule.id)} (${place}) decides before it`;
      const expected = `a place before rule ${quoted(before.rule.id)}`;
      warnings.push({ owner: rule.owner, path, found: 'a rule that never matches', expected, message });
      continue;
    }
    const { kind } = rule.action;
    if (kind === 'sniff' || kind === 'resolve') epoch++;
    if (kind !== 'route' && kind !== 'reject') continue;
    const earlier: Earlier = { order, rule, groups: rule.condition.kind === 'items' ? groups : 0, epoch };
    if (same?.epoch !== epoch) texts.set(text, earlier);
    if (!isComparable(rule.condition)) continue;
    const keys = keysOf(rule.condition);
    if (keys === undefined) others.push(earlier);
    for (const key of keys ?? []) bySuffix.set(key, [...(bySuffix.get(key) ?? []), earlier]);
  }
  return warnings;
}

function isCovered(earlier: Earlier, later: Condition, epoch: number): boolean {
  // After a sniff or a resolution a target may have what it had not when the earlier rule looked at it.
  return (
    (earlier.epoch === epoch || !looksAtTarget(earlier.rule.condition)) &&
    covers(earlier.rule.condition, later)
  );
}

/** Not what is looked up, and may fail; not the time, which passes. */
function isComparable(condition: Condition): boolean {
  return !isLookedUp(condition, false) && !hasTime(condition);
}

function hasTime(condition: Condition): boolean {
  return condition.kind === 'logical' ? condition.rules.some(hasTime) : condition.time.length > 0;
}

function looksAtTarget(condition: Condition): boolean {
  if (condition.kind === 'logical') return condition.rules.some(looksAtTarget);
  const { ruleSet, protocol, ipVersion } = condition;
  return ruleSet.length + protocol.length + ipVersion.length > 0 || hasDestination(condition);
}

/** The names under which a rule is looked for, of one that has nothing else for a destination; undefined: always tried. */
function keysOf(condition: Condition): readonly string[] | undefined {
  if (condition.kind === 'logical' || condition.invert || condition.ruleSet.length > 0) return undefined;
  const { domain, domainSuffix, domainKeyword, domainRegex, ipCidr, geoip, asn } = condition;
  const rest = domainKeyword.length + domainRegex.length + ipCidr.length + geoip.length + asn.length;
  if (rest > 0 || condition.ipIsPrivate || domain.length + domainSuffix.length === 0) return undefined;
  return [...domain, ...domainSuffix.map(({ name }) => name)];
}

/** Earlier rules that hold a name, or an end of one, of the later rule's first name. */
function candidates(condition: Condition, bySuffix: ReadonlyMap<string, Earlier[]>): Earlier[] {
  const name = firstName(condition);
  if (name === undefined) return [];
  const found: Earlier[] = [];
  for (let at = 0; at >= 0; at = name.indexOf('.', at) + 1 || -1) {
    found.push(...(bySuffix.get(name.slice(at)) ?? []));
  }
  return found.toSorted((a, b) => a.order - b.order);
}

function firstName(condition: Condition): string | undefined {
  if (condition.kind === 'items') return condition.domain[0] ?? condition.domainSuffix[0]?.name;
  for (const rule of condition.rules) {
    const name = firstName(rule);
    if (name !== undefined) return name;
  }
  return undefined;
}
