// Rules as written → rules as the compiler and the interpreter take them, or all that is wrong with them at once. Those of
// the API stand before those of the file. Nothing is read and nothing is asked here: the same rules always get the same
// answer. Compiler thread; for the file also the control thread and `sluice check`, which know its lines.
//
//   plain values → shape (the schema of the file) → conditions and actions → ids → warnings

import { type Complaint, MISTAKES_MAX, type Path, pathText, quoted, restOf } from '../../config/mistakes.ts';
import { rulesNotEnforced } from '../../config/not-enforced.ts';
import type { Reading } from '../../config/reading.ts';
import { complainedRules, type JudgedRules, type RuleNames } from '../../config/rule-checker.ts';
import { checkRulesShape } from '../../config/shape.ts';
import type { RuleComplaint } from '../../layout/compiler-messages.ts';
import { EXTERNALS_MAX, RULE_NAME_FINAL, RULES_MAX } from '../../layout/rules.ts';
import type { Condition, Rule } from '../rule.ts';
import { readDoing } from './action.ts';
import { readCondition, type RuleReading } from './condition.ts';
import { idOf } from './identity.ts';
import type { Written } from './items.ts';
import { isLookedUp, type PlacedRule, placeOf } from './placed-rule.ts';
import { findShadowed } from './shadow.ts';
import { checkTexts } from './texts.ts';
import { warningsOf } from './warnings.ts';

export interface RulesInit {
  readonly apiRules: readonly unknown[];
  readonly fileRules: readonly unknown[];
  readonly names: RuleNames;
}

export interface CheckedRules {
  /** In the order of their evaluation; whole only where there are no mistakes. */
  readonly rules: Rule[];
  /** At most MISTAKES_MAX, and one that says how many more. */
  readonly mistakes: RuleComplaint[];
  readonly warnings: RuleComplaint[];
}

type Owner = Rule['owner'];

/** A rule of one owner, before it has an id. */
interface Draft {
  readonly owner: Owner;
  readonly index: number;
  readonly given: string | undefined;
  readonly id: string;
  readonly rule: Omit<Rule, 'id'>;
}

/** Logical rules may nest much less; what is deeper would exhaust the stack of those who look at it. */
const DEPTH_MAX = 64;

/** Checks everything. Paths begin with `rules` and the place among those of `owner`. */
export function checkRules(init: RulesInit): CheckedRules {
  const mistakes: RuleComplaint[] = [];
  const warnings: RuleComplaint[] = [];
  const drafts: Draft[] = [];
  let untold = 0;
  for (const owner of ['api', 'file'] as const) {
    const list = owner === 'api' ? init.apiRules : init.fileRules;
    const reading = newReading();
    const { written, bounded } = checkShape(reading, list);
    const complained = complainedRules(reading.mistakes);
    for (const draft of readDrafts(reading, written, bounded, complained, owner, init.names))
      drafts.push(draft);
    for (const warning of rulesNotEnforced(written)) warnings.push({ ...warning, owner });
    for (const warning of reading.warnings) warnings.push({ ...warning, owner });
    for (const mistake of reading.mistakes) mistakes.push({ ...mistake, owner });
    untold += reading.untold;
  }
  const rules = named(drafts, mistakes);
  checkBounds(rules, mistakes);
  for (const warning of judged(rules, mistakes, init.names)) warnings.push(warning);
  return {
    rules: rules.map(({ rule }) => rule),
    mistakes: bounded(mistakes, untold),
    warnings: warnings.slice(0, MISTAKES_MAX),
  };
}

function newReading(): RuleReading {
  return { mistakes: [], untold: 0, warnings: [], baseDirectory: '', isWhole: true };
}

function bounded(mistakes: readonly RuleComplaint[], untold: number): RuleComplaint[] {
  const told = mistakes.slice(0, MISTAKES_MAX);
  const more = untold + mistakes.length - told.length;
  return more === 0 ? told : [...told, { ...restOf(more), path: ['rules'] }];
}

/** As `checkRules`, for the check of a whole file, which has seen to the shape. Is a `RuleChecker`. */
export function checkFileRules(
  list: readonly (Written | undefined)[],
  names: RuleNames,
  complained: ReadonlySet<number>,
): JudgedRules {
  const reading = newReading();
  const drafts = readDrafts(reading, list, list, complained, 'file', names);
  const mistakes: RuleComplaint[] = [...reading.mistakes];
  const rules = named(drafts, mistakes);
  checkBounds(rules, mistakes);
  const about = complained.size > 0 ? [] : judged(rules, mistakes, names);
  const warnings: Complaint[] = [...rulesNotEnforced(list), ...reading.warnings, ...about];
  return { mistakes, untold: reading.untold, warnings };
}

interface Shaped {
  readonly written: readonly (Written | undefined)[];
  /** As it came, but for what nests without end. */
  readonly bounded: readonly unknown[];
}

/** The shape is checked on a copy, from which wrong parts are cut out. */
function checkShape(reading: Reading, list: readonly unknown[]): Shaped {
  const bounded = list.map((rule, index) => {
    if (!isDeeperThan(rule, DEPTH_MAX)) return rule;
    const expected = `at most ${DEPTH_MAX} levels`;
    reading.mistakes.push({ path: ['rules', index], found: 'more', expected, message: 'is nested too deep' });
    return { action: 'reject' };
  });
  const { written, complaints, untold } = checkRulesShape({ rules: structuredClone(bounded) });
  for (const complaint of complaints) reading.mistakes.push(complaint);
  reading.untold += untold;
  return { written: written.rules ?? [], bounded };
}

function isDeeperThan(value: unknown, levels: number): boolean {
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > levels) return true;
    level = level.flatMap((one) => (typeof one === 'object' && one !== null ? Object.values(one) : []));
  }
  return false;
}

/** @param asWritten the same rules before anything was cut out: what ids are made of */
function readDrafts(
  reading: RuleReading,
  list: readonly (Written | undefined)[],
  asWritten: readonly unknown[],
  complained: ReadonlySet<number>,
  owner: Owner,
  names: RuleNames,
): Draft[] {
  const drafts: Draft[] = [];
  for (const [index, written] of list.entries()) {
    if (written === undefined) continue;
    const path: Path = ['rules', index];
    reading.isWhole = !complained.has(index);
    const before = reading.mistakes.length + reading.untold;
    const condition = readCondition(reading, written, path, names);
    const doing = readDoing(reading, written, path, names);
    if (doing === undefined) continue;
    // What was wrong may be the very thing that is looked up.
    const isRight = reading.isWhole && reading.mistakes.length + reading.untold === before;
    if (isRight) warnOfIdleTimeout(reading, written, path, condition, doing.action.kind);
    const id = written.id ?? idOf(asWritten[index] as object);
    const rule = { owner, path: pathText(path), condition, ...doing };
    drafts.push({ owner, index, given: written.id, id, rule });
  }
  return drafts;
}

function warnOfIdleTimeout(
  reading: Reading,
  written: Written,
  path: Path,
  condition: Condition,
  kind: string,
): void {
  if (kind === 'sniff' || kind === 'resolve' || isLookedUp(condition, true)) return;
  for (const key of ['timeout', 'on_timeout'] as const) {
    if (written[key] === undefined) continue;
    const message = `${quoted(key)} has no effect: nothing of this rule has to be looked up`;
    const expected = 'a rule with a look-up';
    reading.warnings.push({ path: [...path, key], atKey: true, found: quoted(key), expected, message });
  }
}

/** Ids that were given come first: a rule that is named after its words steps aside. */
function named(drafts: readonly Draft[], mistakes: RuleComplaint[]): PlacedRule[] {
  const first = new Map<string, Draft>();
  for (const draft of drafts) {
    if (draft.given === undefined) continue;
    if (draft.given === RULE_NAME_FINAL) {
      const message = `id ${quoted(draft.given)} stands for the connections that no rule decides`;
      const path = ['rules', draft.index, 'id'];
      mistakes.push({
        owner: draft.owner,
        path,
        found: quoted(draft.given),
        expected: 'another one',
        message,
      });
    }
    const before = first.get(draft.given);
    if (before === undefined) {
      first.set(draft.given, draft);
      continue;
    }
    const message = `id ${quoted(draft.given)} is already used at ${placeOf(before.rule, draft.owner)}`;
    mistakes.push({
      owner: draft.owner,
      path: ['rules', draft.index, 'id'],
      found: quoted(draft.given),
      expected: 'one that is not used yet',
      message,
    });
  }
  const taken = new Set(first.keys());
  const copies = new Map<string, number>();
  return drafts.map((draft) => {
    let { id } = draft;
    if (draft.given === undefined) {
      let copy = copies.get(id) ?? 1;
      while (taken.has(id)) id = `${draft.id}-${++copy}`;
      copies.set(draft.id, copy);
      taken.add(id);
    }
    return { rule: { id, ...draft.rule }, path: ['rules', draft.index] };
  });
}

function checkBounds(rules: readonly PlacedRule[], mistakes: RuleComplaint[]): void {
  const over = rules[RULES_MAX];
  if (over !== undefined) {
    const message = `there are ${rules.length} rules; expected at most ${RULES_MAX}, the others in rule sets`;
    const expected = `at most ${RULES_MAX}`;
    mistakes.push({ owner: over.rule.owner, path: over.path, found: `${rules.length}`, expected, message });
  }
  const externals = new Set<string>();
  for (const { rule, path } of rules) {
    const before = externals.size;
    collectExternals(rule.condition, externals);
    if (before > EXTERNALS_MAX || externals.size <= EXTERNALS_MAX) continue;
    const message = `rules ask more than ${EXTERNALS_MAX} addresses for judgements`;
    const expected = `at most ${EXTERNALS_MAX}`;
    mistakes.push({ owner: rule.owner, path, found: 'another', expected, message });
  }
  checkTexts(rules, mistakes);
}

function collectExternals(condition: Condition, into: Set<string>): void {
  if (condition.kind === 'logical') for (const rule of condition.rules) collectExternals(rule, into);
  else if (condition.external !== undefined) into.add(condition.external.url);
}

/** What rules come to together. A rule that lost a wrong part would seem to hold for what it was not to hold for. */
function judged(
  rules: readonly PlacedRule[],
  mistakes: readonly RuleComplaint[],
  names: RuleNames,
): RuleComplaint[] {
  if (mistakes.length > 0) return [];
  return [...warningsOf(rules, names), ...findShadowed(rules)];
}
