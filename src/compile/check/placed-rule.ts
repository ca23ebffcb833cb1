// A checked rule together with the place where it was written, and two questions that several warnings ask of one.

import type { Path } from '../../config/mistakes.ts';
import type { Condition, Rule } from '../rule.ts';

export interface PlacedRule {
  readonly rule: Rule;
  readonly path: Path;
}

/** `rules[3]`, and whose, where that is not clear. */
export function placeOf(rule: Pick<Rule, 'owner' | 'path'>, reader: Rule['owner']): string {
  return rule.owner === reader ? rule.path : `${rule.path} of the ${rule.owner === 'api' ? 'API' : 'file'}`;
}

/** @param orMayBe counts rule sets, which may speak of processes */
export function isLookedUp(condition: Condition, orMayBe: boolean): boolean {
  if (condition.kind === 'logical') return condition.rules.some((rule) => isLookedUp(rule, orMayBe));
  const { processName, processPath, userId, external, ruleSet } = condition;
  const lists = processName.length + processPath.length + userId.length + (orMayBe ? ruleSet.length : 0);
  return lists > 0 || external !== undefined;
}
