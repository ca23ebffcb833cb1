// Rules as they are shown: what is in force, and counts. Reads only. Control thread.

import type { Configuration } from '../config/configuration.ts';
import { RULE_KEY_FINAL } from '../layout/rules.ts';
import type { Tables } from '../layout/tables.ts';
import type { CompilerLink } from './compiler-link.ts';
import type { RuleInstaller, RulesDefinition, Snapshot } from './rule-installer.ts';
import type { RuleNames } from './rule-names.ts';
import type { RuleRejudging } from './rule-rejudging.ts';
import type { RuleSets } from './rule-sets.ts';
import type { RuleSnapshots } from './rule-snapshots.ts';
import type { RulesInForce, RuleStatistics, SnapshotState } from './rules-control.ts';
import type { StoredRules } from './rules.ts';

export function rulesInForce(
  configuration: Configuration,
  api: StoredRules,
  snapshot: Snapshot | undefined,
  names: RuleNames,
  ruleSets: RuleSets,
): RulesInForce {
  const definition = snapshot?.definition;
  const written = [...(definition?.apiRules ?? []), ...(definition?.fileRules ?? [])];
  return {
    revision: api.revision,
    snapshot: snapshot?.id ?? null,
    rules: (snapshot?.rules ?? []).map(({ id, owner, key, action }, position) => ({
      id,
      owner,
      position,
      key,
      connections: names.connectionsOf(key),
      action,
      written: written[position] as Readonly<Record<string, unknown>>,
    })),
    ruleSets: ruleSets.status(snapshot?.compiled),
    final: configuration.final,
    finalConnections: names.connectionsOf(RULE_KEY_FINAL),
  };
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
