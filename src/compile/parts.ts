// The plain conditions inside a condition, and what they name. Any thread.

import type { Condition, Items } from './rule.ts';

export function* conditionsOf(condition: Condition): Generator<Items> {
  if (condition.kind === 'items') yield condition;
  else for (const rule of condition.rules) yield* conditionsOf(rule);
}

/** Tags of rule sets that a condition names. */
export function setsOf(condition: Condition): Set<string> {
  return new Set([...conditionsOf(condition)].flatMap(({ ruleSet }) => ruleSet));
}
