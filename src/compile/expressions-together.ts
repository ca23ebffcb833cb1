// Expressions of all rules and of all rule sets that they name: each list keeps within what a decision may cost
// (text-bounds.ts), but a decision runs through all of them. Compiler thread.

import type { RuleComplaint } from '../layout/compiler-messages.ts';
import { isRegexMistake } from './build/regex-reading.ts';
import { measureRegex, REGEX_WORK_MAX, type RegexMeasure, regexWork } from './build/regex-work.ts';
import { conditionsOf, setsOf } from './parts.ts';
import type { Condition, Rule, RuleSetRules } from './rule.ts';
import { workExcess } from './text-bounds.ts';

/** Of sets that live: what was found of one version does not change. */
const known = new WeakMap<RuleSetRules, readonly RegexMeasure[]>();

/** @param sets by tag, in the order of the configuration. @returns the first set that is too much beside those before it */
export function expressionsBeyond(
  rules: readonly Rule[],
  sets: ReadonlyMap<string, RuleSetRules>,
): RuleComplaint | undefined {
  const all = [...measuresOf(rules.map(({ condition }) => condition))];
  const named = new Set(rules.flatMap(({ condition }) => [...setsOf(condition)]));
  for (const [place, [tag, content]] of [...sets].entries()) {
    if (!named.has(tag)) continue;
    let measures = known.get(content);
    if (measures === undefined) {
      measures = measuresOf(content.rules);
      known.set(content, measures);
    }
    if (measures.length === 0) continue;
    for (const measure of measures) all.push(measure);
    if (regexWork(all) <= REGEX_WORK_MAX) continue;
    return { path: ['rule_sets', place], ...workExcess(all, 'of the rules and of the rule sets') };
  }
  return undefined;
}

/** Of the different expressions. Those that rules hold have been checked. */
function measuresOf(conditions: readonly Condition[]): RegexMeasure[] {
  const expressions = new Set<string>();
  for (const condition of conditions) {
    for (const { domainRegex } of conditionsOf(condition))
      for (const one of domainRegex) expressions.add(one);
  }
  return [...expressions].map(measureRegex).filter((measure) => !isRegexMistake(measure)) as RegexMeasure[];
}
