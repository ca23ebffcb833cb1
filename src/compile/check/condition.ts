// When a rule holds: as written → checked. What may stand where: logical rules hold rules inside each other and no
// conditions of their own, and what a rule does is said of the whole. The conditions themselves are read in items.ts.

import { type Path, quoted } from '../../config/mistakes.ts';
import type { Reading } from '../../config/reading.ts';
import type { RuleNames } from '../../config/rule-checker.ts';
import { NESTING_MAX } from '../../layout/rules.ts';
import type { Condition } from '../rule.ts';
import { readItems, type Written } from './items.ts';

/** Keys that say what to do: of the whole rule, not of its conditions. */
const ACTION_KEYS: ReadonlySet<string> = new Set([
  'id',
  'action',
  'method',
  'outbound',
  'override_address',
  'override_port',
  'gate',
  'rate',
  'sniffer',
  'timeout',
  'on_timeout',
]);
const FRAME_KEYS: ReadonlySet<string> = new Set(['type', 'mode', 'rules', 'invert']);

export interface RuleReading extends Reading {
  /** Nothing was cut out of the rule that is being read: what it lacks was never there. */
  isWhole: boolean;
}

/** @param depth of the rule itself 0, of its conditions 1 */
export function readCondition(
  reading: RuleReading,
  written: Written,
  path: Path,
  names: RuleNames,
  depth = 0,
): Condition {
  const itemKeys = Object.keys(written).filter((key) => !ACTION_KEYS.has(key) && !FRAME_KEYS.has(key));
  if (depth > 0) {
    for (const key of Object.keys(written)) {
      if (!ACTION_KEYS.has(key)) continue;
      misplaced(
        reading,
        [...path, key],
        `${quoted(key)} belongs to the whole rule, not to a condition of it`,
      );
    }
  }
  if (written.type === 'logical') return readLogical(reading, written, path, names, depth, itemKeys);
  for (const key of ['mode', 'rules']) {
    if (!(key in written) || ('type' in written && written.type === undefined)) continue;
    misplaced(reading, [...path, key], `${quoted(key)} belongs to \`type: logical\``);
  }
  const isEmpty = itemKeys.length === 0 && !('rules' in written) && reading.isWhole;
  if (isEmpty && (depth > 0 || written.invert === true)) {
    const message = depth > 0 ? 'has no condition' : 'has `invert` and no condition; it would never match';
    reading.mistakes.push({ path, found: 'nothing', expected: 'a condition', message });
  }
  return readItems(reading, written, path, names);
}

function misplaced(reading: Reading, path: Path, message: string): void {
  const found = quoted(String(path.at(-1)));
  reading.mistakes.push({ path, atKey: true, found, expected: 'no such key here', message });
}

function readLogical(
  reading: RuleReading,
  written: Written,
  path: Path,
  names: RuleNames,
  depth: number,
  itemKeys: readonly string[],
): Condition {
  for (const key of itemKeys) {
    misplaced(reading, [...path, key], `${quoted(key)} stands beside \`rules\`; it belongs into one of them`);
  }
  for (const [key, expected] of [
    ['mode', '`and` or `or`'],
    ['rules', 'a list of rules'],
  ] as const) {
    if (key in written || !reading.isWhole) continue;
    reading.mistakes.push({ path, found: 'nothing', expected, message: `lacks "${key}" (${expected})` });
  }
  const rules: Condition[] = [];
  if (depth >= NESTING_MAX) {
    const message = `is nested more than ${NESTING_MAX} deep`;
    reading.mistakes.push({
      path,
      found: 'more',
      expected: `at most ${NESTING_MAX} inside each other`,
      message,
    });
  } else {
    for (const [index, rule] of (written.rules ?? []).entries()) {
      if (rule === undefined) continue;
      rules.push(readCondition(reading, rule as Written, [...path, 'rules', index], names, depth + 1));
    }
  }
  return { kind: 'logical', mode: written.mode ?? 'and', invert: written.invert ?? false, rules };
}
