// Rules as they are shown: what is in force, and counts. Reads only. Control thread.

import type { Configuration } from '../config/configuration.ts';
import type { CompiledRule } from '../layout/compiler-messages.ts';
import { RULE_KEY_FINAL } from '../layout/rules.ts';
import type { Tables } from '../layout/tables.ts';
import type { CompilerLink } from './compiler-link.ts';
import type { RuleInstaller, RulesDefinition, Snapshot } from './rule-installer.ts';
import type { RuleNames } from './rule-names.ts';
import type { RuleRejudging } from './rule-rejudging.ts';
import type { RuleSets } from './rule-sets.ts';
import type { RuleSnapshots } from './rule-snapshots.ts';
import type { RuleInForce, RuleQuery, RulesInForce, RuleStatistics, SnapshotState } from './rules-control.ts';
import type { StoredRules } from './rules.ts';

export function rulesInForce(
  configuration: Configuration,
  api: StoredRules,
  snapshot: Snapshot | undefined,
  names: RuleNames,
  ruleSets: RuleSets,
  query: RuleQuery,
): RulesInForce {
  return {
    revision: api.revision,
    snapshot: snapshot?.id ?? null,
    ...rulesOf(snapshot, names, query),
    ruleSets: ruleSets.status(snapshot?.compiled),
    final: configuration.final,
    finalConnections: names.connectionsOf(RULE_KEY_FINAL),
  };
}

/** There may be tens of thousands: what is asked for costs, and no more. */
function rulesOf(
  snapshot: Snapshot | undefined,
  names: RuleNames,
  { id, owner, from = 0, limit = Number.POSITIVE_INFINITY }: RuleQuery,
): Pick<RulesInForce, 'rules' | 'next'> {
  const compiled = snapshot?.rules ?? [];
  const { apiRules = [], fileRules = [] } = snapshot?.definition ?? {};
  const rules: RuleInForce[] = [];
  for (let position = from; position < compiled.length; position++) {
    const rule = compiled[position] as CompiledRule;
    if ((id !== undefined && rule.id !== id) || (owner !== undefined && rule.owner !== owner)) continue;
    if (rules.length >= limit) return { rules, next: position };
    rules.push({
      id: rule.id,
      owner: rule.owner,
      position,
      key: rule.key,
      connections: names.connectionsOf(rule.key),
      action: rule.action,
      written: (apiRules[position] ?? fileRules[position - apiRules.length]) as RuleInForce['written'],
    });
  }
  return { rules, next: null };
}

export function ruleStatistics(
  { rules }: Tables,
  snapshots: RuleSnapshots<RulesDefinition>,
  { figures }: RuleInstaller,
  compiler: CompilerLink,
  rejudging: RuleRejudging<Snapshot>,
): RuleStatistics {
  const byState: Record<SnapshotState, number> = {
    compiling: 0,
    compiled: 0,
    in_force: 0,
    retired: 0,
    drained: 0,
    released: 0,
    failed: 0,
  };
  for (const { state } of snapshots.status()) byState[state]++;
  return {
    snapshot: snapshots.inForce?.id ?? null,
    rules: snapshots.inForce?.rules.length ?? 0,
    swaps: figures.swaps,
    compiles: figures.compiles,
    compilesFailed: figures.failed,
    compileUsLast: figures.usLast,
    compileUsTotal: figures.usTotal,
    snapshotsByState: byState,
    pins: snapshots.pins(),
    arenaWordsUsed: compiler.wordsUsed,
    arenaWords: rules.length,
    compilerDeaths: compiler.deaths,
    rejudgedEnded: rejudging.ended,
    undecided: rejudging.undecided,
  };
}
