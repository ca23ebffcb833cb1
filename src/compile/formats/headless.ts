// Headless rules: what sing-box calls the rules of a rule set, since they say no action. As written (parsed JSON, or what
// binary.ts made of bytes in the same form) → as checked.
//
// Of some items Sluice can't say whether they hold: what they ask about exists on telephones only. Such an item is neither
// true nor false, so a rule that depends on it is left out, turned round or not, and counted in a warning; an alternative
// that depends on it is left out alone, unless what holds it is turned round.

import { nearest } from '../../config/nearest.ts';
import { type Path, quoted, shown } from '../../config/mistakes.ts';
import { NESTING_MAX, RULES_MAX } from '../../layout/rules.ts';
import { isDestinationOnly } from '../build/block.ts';
import { type Condition, type Items, NO_ITEMS } from '../rule.ts';
import { TextBounds } from '../text-bounds.ts';
import { type Complaints, complain } from './complaints.ts';
import { ADGUARD, type ItemReading, ITEMS, RULES_READ_MAX, UNJUDGED } from './items.ts';

export interface HeadlessReading extends ItemReading {
  readonly mistakes: Complaints;
  /** Of a binary file: there are items that no other has. */
  readonly isBinary: boolean;
  rules: number;
  /** Those of the set that say more than destinations: the others are put together. */
  apart: number;
  /** Rules that were left out, and where the first stands. */
  leftOut: number;
  leftOutPath: Path | undefined;
  /** Items that they were left out for → rules. */
  readonly unjudged: Map<string, number>;
}

type Written = Readonly<Record<string, unknown>>;

const LOGICAL_KEYS = new Set(['type', 'mode', 'rules', 'invert']);
const PLAIN_KEYS = [...ITEMS.keys(), ...UNJUDGED, 'invert', 'type'];

export function newReading(mistakes: Complaints, isBinary: boolean): HeadlessReading {
  return {
    mistakes,
    isBinary,
    bounds: new TextBounds(),
    rules: 0,
    apart: 0,
    values: 0,
    leftOut: 0,
    leftOutPath: undefined,
    unjudged: new Map(),
  };
}

/** @param written the value of `rules` */
export function readRules(reading: HeadlessReading, written: unknown, path: Path): Condition[] {
  const conditions: Condition[] = [];
  if (!Array.isArray(written)) {
    complain(reading.mistakes, { path, found: shown(written, path), expected: 'a list of headless rules' });
    return conditions;
  }
  for (const [index, one] of written.entries()) {
    if (reading.rules >= RULES_READ_MAX) {
      const expected = `at most ${RULES_READ_MAX} rules in a file`;
      complain(reading.mistakes, { path: [...path, index], found: `${written.length} rules`, expected });
      break;
    }
    const condition = readRule(reading, one, [...path, index], 0, false);
    if (condition === undefined) continue;
    conditions.push(condition);
    if (condition.kind === 'items' && isDestinationOnly(condition)) continue;
    if (++reading.apart === RULES_MAX + 1) {
      const expected = `at most ${RULES_MAX} rules that say more than destinations`;
      complain(reading.mistakes, { path: [...path, index], found: 'one more', expected });
    }
  }
  const beyond = reading.bounds.beyondWork();
  if (beyond !== undefined) complain(reading.mistakes, { path: beyond.place, ...beyond.excess });
  return conditions;
}

/**
 * @param isInverted whether something around it is turned round
 * @returns undefined for a rule with mistakes, and for one that is left out
 */
function readRule(
  reading: HeadlessReading,
  written: unknown,
  path: Path,
  depth: number,
  isInverted: boolean,
): Condition | undefined {
  reading.rules++;
  if (typeof written !== 'object' || written === null || Array.isArray(written)) {
    complain(reading.mistakes, { path, found: shown(written, path), expected: 'a headless rule, a mapping' });
    return undefined;
  }
  const rule = written as Written;
  if (rule['type'] === 'logical') return readLogical(reading, rule, path, depth, isInverted);
  const isPlain = rule['type'] === undefined || rule['type'] === '' || rule['type'] === 'default';
  if (isPlain) return readPlain(reading, rule, path, depth);
  const found = shown(rule['type'], path);
  complain(reading.mistakes, { path: [...path, 'type'], found, expected: '"logical" or "default"' });
  return undefined;
}

function readLogical(
  reading: HeadlessReading,
  rule: Written,
  path: Path,
  depth: number,
  isInverted: boolean,
): Condition | undefined {
  const { mode, rules } = rule;
  for (const key of Object.keys(rule)) {
    if (!LOGICAL_KEYS.has(key)) complainKey(reading, key, path, LOGICAL_KEYS);
  }
  const invert = readInvert(reading, rule, path);
  if (mode !== 'and' && mode !== 'or') {
    const found = shown(mode, path);
    complain(reading.mistakes, { path: [...path, 'mode'], found, expected: '"and" or "or"' });
    return undefined;
  }
  if (depth >= NESTING_MAX) {
    const expected = `logical rules nested at most ${NESTING_MAX} deep`;
    complain(reading.mistakes, { path, found: 'a deeper one', expected });
    return undefined;
  }
  if (!Array.isArray(rules) || rules.length === 0) {
    const found = Array.isArray(rules) ? 'an empty list' : shown(rules, path);
    complain(reading.mistakes, { path: [...path, 'rules'], found, expected: 'a list of rules' });
    return undefined;
  }
  if (reading.rules + rules.length > RULES_READ_MAX) {
    const expected = `at most ${RULES_READ_MAX} rules in a file`;
    complain(reading.mistakes, { path: [...path, 'rules'], found: `${rules.length} more`, expected });
    return undefined;
  }
  const isTurned = isInverted || invert;
  const children: Condition[] = [];
  for (const [index, one] of rules.entries()) {
    const child = readRule(reading, one, [...path, 'rules', index], depth + 1, isTurned);
    if (child !== undefined) children.push(child);
  }
  const mayLack = mode === 'or' && !isTurned && children.length > 0;
  if (children.length < rules.length && !mayLack) return undefined;
  return { kind: 'logical', mode, invert, rules: children };
}

function readPlain(
  reading: HeadlessReading,
  rule: Written,
  path: Path,
  depth: number,
): Condition | undefined {
  const items: { -readonly [Key in keyof Items]: Items[Key] } = { ...NO_ITEMS };
  items.invert = readInvert(reading, rule, path);
  const mistakesBefore = reading.mistakes.told.length + reading.mistakes.untold;
  let hasItems = false;
  let unjudged: string | undefined;
  for (const key of Object.keys(rule)) {
    const value = rule[key];
    const read = ITEMS.get(key);
    if (key === 'invert' || key === 'type') continue;
    // As sing-box has it: what is empty or false is no condition.
    if ((Array.isArray(value) && value.length === 0) || (value === false && UNJUDGED.has(key))) continue;
    if (read !== undefined && (key !== ADGUARD || reading.isBinary)) {
      const values: readonly unknown[] = Array.isArray(value) ? value : [value];
      const isJudged = read(reading, items, values, Array.isArray(value) ? [...path, key] : path, key);
      if (!isJudged) unjudged = key;
      hasItems = true;
    } else if (UNJUDGED.has(key)) {
      unjudged = key;
      hasItems = true;
    } else {
      complainKey(reading, key, path, PLAIN_KEYS);
    }
  }
  if (items.domainKeyword.length > 0 && (depth > 0 || !isDestinationOnly(items))) {
    const excess = reading.bounds.addPredicate();
    if (excess !== undefined) complain(reading.mistakes, { path, ...excess });
  }
  if (reading.mistakes.told.length + reading.mistakes.untold > mistakesBefore) return undefined;
  if (!hasItems) {
    complain(reading.mistakes, { path, found: 'no conditions', expected: 'at least one item' });
    return undefined;
  }
  if (unjudged === undefined) return items;
  reading.leftOut++;
  reading.leftOutPath ??= path;
  reading.unjudged.set(unjudged, (reading.unjudged.get(unjudged) ?? 0) + 1);
  return undefined;
}

function readInvert(reading: HeadlessReading, rule: Written, path: Path): boolean {
  const invert = rule['invert'];
  if (invert === undefined || typeof invert === 'boolean') return invert ?? false;
  const found = shown(invert, path);
  complain(reading.mistakes, { path: [...path, 'invert'], found, expected: 'true or false' });
  return false;
}

function complainKey(reading: HeadlessReading, key: string, path: Path, known: Iterable<string>): void {
  complain(reading.mistakes, {
    path: [...path, key],
    atKey: true,
    found: `the key ${quoted(key)}`,
    expected: 'an item of headless rules',
    nearest: nearest(
      key,
      [...known].filter((one) => one !== ADGUARD),
    ),
    message: `unknown key ${quoted(key)}`,
  });
}

/** One warning for all rules that were left out, where the first of them stands. */
export function warnOfLeftOut(reading: HeadlessReading, warnings: Complaints): void {
  if (reading.leftOut === 0) return;
  const counts = [...reading.unjudged].map(([item, count]) => `\`${item}\` ${count}`);
  const which = reading.leftOut === 1 ? 'a rule is' : `${reading.leftOut} rules are`;
  const message = `${which} left out for items that Sluice cannot judge: ${counts.join(', ')}`;
  const path = reading.leftOutPath ?? ['rules'];
  complain(warnings, { path, found: 'items of other devices', expected: 'items of connections', message });
}
