// Rules that can never match, because one before them decides whatever they would match. Only what can be seen from the
// words: each group of the earlier rule is empty or holds all of the later one's.
//
// Rules are compared in pairs, but the pairs are few: an earlier rule is filed under one thing of each that it must share
// with what it shadows (lookup-keys.ts), and is tried where a later one has that thing. The number of pairs has a bound all
// the same.

import { quoted } from '../../config/mistakes.ts';
import type { RuleComplaint } from '../../layout/compiler-messages.ts';
import type { Condition, Rule } from '../rule.ts';
import { covers, groupsOf, hasDestination } from './covers.ts';
import { filedUnder, soughtUnder } from './lookup-keys.ts';
import { isLookedUp, type PlacedRule, placeOf } from './placed-rule.ts';

/** Beyond it nobody is told any more: a warning is not worth seconds. */
const PAIRS_MAX = 1_000_000;

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
  const index = createIndex();
  let epoch = 0;
  for (const [order, { rule, path }] of rules.entries()) {
    const text = JSON.stringify(rule.condition);
    const before = index.find(rule.condition, text, epoch);
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
    const groups = rule.condition.kind === 'items' ? groupsOf(rule.condition) : 0;
    index.add({ order, rule, groups, epoch }, text);
  }
  return warnings;
}

function createIndex() {
  /** By condition: another rule of the same words never matches, whatever they are. */
  const byText = new Map<string, Earlier>();
  const byKey = new Map<string, Earlier[]>();
  const others: Earlier[] = [];
  /** Lengths of networks that something is filed under. */
  const networkBits = new Set<number>();
  let pairs = 0;

  function add(earlier: Earlier, text: string): void {
    if (byText.get(text)?.epoch !== earlier.epoch) byText.set(text, earlier);
    const { condition } = earlier.rule;
    if (!isComparable(condition)) return;
    const keys = filedUnder(condition, networkBits);
    if (keys === undefined) others.push(earlier);
    for (const key of keys ?? []) {
      const filed = byKey.get(key);
      if (filed === undefined) byKey.set(key, [earlier]);
      else filed.push(earlier);
    }
  }

  function find(condition: Condition, text: string, epoch: number): Earlier | undefined {
    const same = byText.get(text);
    if (same?.epoch === epoch) return same;
    const groups = groupsOf(condition);
    const isShadow = (earlier: Earlier) =>
      ++pairs <= PAIRS_MAX && (earlier.groups & ~groups) === 0 && isCovered(earlier, condition, epoch);
    let first = others.find(isShadow);
    for (const key of soughtUnder(condition, networkBits)) {
      const found = byKey.get(key)?.find(isShadow);
      if (found !== undefined && (first === undefined || found.order < first.order)) first = found;
    }
    return first;
  }

  return { add, find };
}

function isCovered(earlier: Earlier, later: Condition, epoch: number): boolean {
  const { condition } = earlier.rule;
  // After a sniff or a resolution a target may have what it had not when the earlier rule looked at it.
  return (earlier.epoch === epoch || !looksAtTarget(condition)) && covers(condition, later);
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
