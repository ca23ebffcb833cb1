// Rules that can never match, because one before them decides whatever they would match. Only what can be seen from the
// words: each group of the earlier rule is empty or holds all of the later one's.
//
// Rules are compared in pairs, but the pairs are few: an earlier rule is filed under one thing of each that it must share
// with what it shadows (lookup-keys.ts), and is tried where a later one has that thing. A pair may be two long lists, so what
// is bounded is the work of all pairs together.

import { quoted } from '../../config/mistakes.ts';
import type { RuleComplaint } from '../../layout/compiler-messages.ts';
import { ON_TIMEOUT_SKIP } from '../../layout/rules.ts';
import { type Condition, type Items, NO_ITEMS, type Rule } from '../rule.ts';
import { covers, groupsOf, hasDestination } from './covers.ts';
import { isSpent, newComparing } from './listed.ts';
import { filedUnder, soughtUnder } from './lookup-keys.ts';
import { isLookedUp, type PlacedRule, placeOf } from './placed-rule.ts';

/** Of all comparisons together. Beyond it nobody is told any more: a warning is not worth seconds. */
const STEPS_MAX = 1_000_000;

/** A rule that ends the matching. */
interface Earlier {
  readonly order: number;
  readonly rule: Rule;
  /** Actions that find out more, before it. */
  readonly epoch: number;
}

export function findShadowed(rules: readonly PlacedRule[]): RuleComplaint[] {
  const warnings: RuleComplaint[] = [];
  const index = createIndex();
  let epoch = 0;
  for (const [order, { rule, path }] of rules.entries()) {
    const text = wordsOf(rule.condition);
    const before = index.find(rule, text, epoch);
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
    index.add({ order, rule, epoch }, text);
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
  const comparing = newComparing(STEPS_MAX);

  function add(earlier: Earlier, text: string): void {
    const { condition } = earlier.rule;
    // The second look-up may succeed, or end in another way.
    if (isLookedUp(condition, false)) return;
    if (byText.get(text)?.epoch !== earlier.epoch) byText.set(text, earlier);
    // It passes between the two.
    if (hasTime(condition)) return;
    const keys = filedUnder(condition, networkBits);
    if (keys === undefined) others.push(earlier);
    for (const key of keys ?? []) {
      const filed = byKey.get(key);
      if (filed === undefined) byKey.set(key, [earlier]);
      else filed.push(earlier);
    }
  }

  function find(later: Rule, text: string, epoch: number): Earlier | undefined {
    const { condition } = later;
    const same = byText.get(text);
    if (same?.epoch === epoch && !mayFallThrough(same.rule, later)) return same;
    const groups = groupsOf(condition, comparing);
    const isShadow = (earlier: Earlier): boolean => {
      // Groups that it has conditions in are groups of what it shadows, too.
      const { condition: wide } = earlier.rule;
      if (wide.kind === 'items' && !wide.invert && (groupsOf(wide, comparing) & ~groups) !== 0) return false;
      if (mayFallThrough(earlier.rule, later)) return false;
      // After a sniff or a resolution a target may have what it had not when the earlier rule looked at it.
      if (earlier.epoch !== epoch && looksAtTarget(wide)) return false;
      return covers(wide, condition, comparing);
    };
    const firstOf = (filed: readonly Earlier[]): Earlier | undefined => {
      for (const earlier of filed) {
        if (isSpent(comparing, 1)) return undefined;
        if (isShadow(earlier)) return earlier;
      }
      return undefined;
    };
    let first = firstOf(others);
    if (comparing.stepsLeft <= 0) return first;
    const keys = soughtUnder(condition, networkBits);
    if (isSpent(comparing, keys.size)) return first;
    for (const key of keys) {
      const found = firstOf(byKey.get(key) ?? []);
      if (found !== undefined && (first === undefined || found.order < first.order)) first = found;
    }
    return first;
  }

  return { add, find };
}

/** A rule set may speak of processes. Where those can't be looked up one rule is skipped, and the other ends the matching. */
function mayFallThrough(earlier: Rule, later: Rule): boolean {
  if (earlier.onTimeout !== ON_TIMEOUT_SKIP || later.onTimeout === ON_TIMEOUT_SKIP) return false;
  return isLookedUp(earlier.condition, true);
}

const KEYS = Object.keys(NO_ITEMS) as (keyof Items)[];

/** The same for conditions that are the same. Most rules have few of all the lists that there may be. */
function wordsOf(condition: Condition): string {
  if (condition.kind === 'logical') {
    return `${condition.mode} ${condition.invert} [${condition.rules.map(wordsOf).join()}]`;
  }
  let words = '';
  for (const key of KEYS) {
    const value = condition[key];
    if (Array.isArray(value) ? value.length > 0 : value) words += `${key} ${JSON.stringify(value)} `;
  }
  return words;
}

function hasTime(condition: Condition): boolean {
  return condition.kind === 'logical' ? condition.rules.some(hasTime) : condition.time.length > 0;
}

function looksAtTarget(condition: Condition): boolean {
  if (condition.kind === 'logical') return condition.rules.some(looksAtTarget);
  const { ruleSet, protocol, ipVersion } = condition;
  return ruleSet.length + protocol.length + ipVersion.length > 0 || hasDestination(condition);
}
