// The metrics of rules: what is in force, what changes of it took, how fresh rule sets are. Nothing here is counted by
// connection: who was refused for which reason is in sluice_ended_total. Tags are bounded by the configuration.

import type { LookUpStatistics } from '../control/look-ups.ts';
import type { RulesControl } from '../control/rules-control.ts';
import type { ApiContext } from './context.ts';
import { family, type Sample } from './metric-text.ts';

export function ruleFamilies({ rules, lookUps }: ApiContext): string[] {
  if (rules === undefined) return [];
  const statistics = rules.statistics();
  const only = (value: number): Sample[] => [[{}, value]];
  const states = Object.entries(statistics.snapshotsByState).map(
    ([state, count]): Sample => [{ state }, count],
  );
  return [
    family('sluice_rules', 'gauge', 'Rules in force.', only(statistics.rules)),
    family(
      'sluice_rule_snapshot',
      'gauge',
      'Id of the snapshot in force; -1: none.',
      only(statistics.snapshot ?? -1),
    ),
    family('sluice_rule_snapshots', 'gauge', 'Snapshots that are remembered, by state.', states),
    family(
      'sluice_rule_snapshot_pins',
      'gauge',
      'Connections that wait in a snapshot for a look-up.',
      only(statistics.pins),
    ),
    family('sluice_rule_swaps_total', 'counter', 'Snapshots published.', only(statistics.swaps)),
    family('sluice_rule_compiles_total', 'counter', 'Rules compiled, by outcome.', [
      [{ outcome: 'ok' }, statistics.compiles],
      [{ outcome: 'failed' }, statistics.compilesFailed],
    ]),
    family(
      'sluice_rule_compile_seconds_total',
      'counter',
      'Time of compiling.',
      only(statistics.compileUsTotal / 1e6),
    ),
    family(
      'sluice_rule_compile_last_seconds',
      'gauge',
      'Time that the last compile took.',
      only(statistics.compileUsLast / 1e6),
    ),
    family(
      'sluice_rule_arena_words',
      'gauge',
      'Words (4 bytes) that snapshots and rule sets hold.',
      only(statistics.arenaWordsUsed),
    ),
    family(
      'sluice_rule_compiler_deaths_total',
      'counter',
      'Compiler threads that died.',
      only(statistics.compilerDeaths),
    ),
    family(
      'sluice_rule_ended_connections_total',
      'counter',
      'Connections that changes of rules have ended.',
      only(statistics.rejudgedEnded),
    ),
    family(
      'sluice_rule_undecided_connections_total',
      'counter',
      'Connections that a change of rules concerned, kept because to judge them somebody would have to be asked.',
      only(statistics.undecided),
    ),
    ...ruleSetFamilies(rules),
    ...(lookUps === undefined ? [] : lookUpFamilies(lookUps.statistics())),
  ];
}

function ruleSetFamilies(rules: RulesControl): string[] {
  const sets = rules.ruleSets();
  const each = (value: (set: (typeof sets)[number]) => number): Sample[] =>
    sets.map((set) => [{ rule_set: set.tag }, value(set)]);
  const seconds = (ms: number | undefined) => (ms === undefined ? 0 : ms / 1_000);
  return [
    family(
      'sluice_rule_set_ok',
      'gauge',
      '0: an older version than the source holds, or should hold, is in force.',
      each(({ state }) => (state === 'stale' ? 0 : 1)),
    ),
    family(
      'sluice_rule_set_failures_total',
      'counter',
      'Attempts to read or fetch a rule set that failed.',
      each(({ failures }) => failures),
    ),
    family(
      'sluice_rule_set_last_ok_timestamp_seconds',
      'gauge',
      'When the rule set was last read, or found unchanged; 0: never.',
      each(({ lastOkAtMs }) => seconds(lastOkAtMs)),
    ),
    family(
      'sluice_rule_set_words',
      'gauge',
      'Words (4 bytes) of the compiled rule set.',
      each(({ words }) => words),
    ),
  ];
}

const PROCESS_OUTCOMES = ['found', 'elsewhere', 'not_found', 'refused'] as const;
const JUDGEMENTS = [
  'match',
  'no_match',
  'remembered',
  'joined',
  'late',
  'failed',
  'status',
  'garbage',
  'refused',
  'refused_source',
] as const;

function lookUpFamilies({ processes, externals }: LookUpStatistics): string[] {
  return [
    family(
      'sluice_rule_process_lookups_total',
      'counter',
      'Programs of clients that rules asked for, by outcome; elsewhere: the client is not on this machine.',
      PROCESS_OUTCOMES.map((outcome) => [{ outcome }, processes[outcome]]),
    ),
    family(
      'sluice_rule_judgements_total',
      'counter',
      'Judgements that rules asked of addresses, by result: match and no_match were answered, remembered and joined asked nobody, all others are none.',
      JUDGEMENTS.map((result) => [{ result }, externals[result]]),
    ),
  ];
}
