// Rules as the API shows them: what was written, and beside it what only a running daemon knows. Control thread.

import type {
  InstallationProgress,
  Rejudged,
  RuleInForce,
  RulesChanged,
  RuleSetStatus,
  RulesInForce,
  SnapshotStatus,
} from '../control/rules-control.ts';
import { type Problem, problemOf } from './problem.ts';
import type {
  InstallationAnswer,
  RulesAnswer,
  RulesChangedAnswer,
  RuleSetAnswer,
  SnapshotAnswer,
} from './rule-schemas.ts';

export function describeRules(current: RulesInForce): RulesAnswer {
  return {
    revision: current.revision,
    snapshot: current.snapshot,
    rules: current.rules.map(describeRule),
    next: current.next === null ? null : String(current.next),
    final: current.final,
    final_connections: current.finalConnections,
    rule_sets: current.ruleSets.map(describeRuleSet),
  };
}

function describeRule(rule: RuleInForce): RulesAnswer['rules'][number] {
  const { id, owner, position, key, action, connections, written } = rule;
  return { id, owner, position, key, action, connections, rule: { ...written } };
}

export function describeRuleSet(set: RuleSetStatus): RuleSetAnswer {
  return {
    tag: set.tag,
    from: set.from,
    kind: set.kind,
    format: set.format,
    state: set.state,
    error: set.lastError ?? null,
    failures: set.failures,
    last_ok_at: moment(set.lastOkAtMs),
    last_try_at: moment(set.lastTryAtMs),
    next_try_at: moment(set.nextTryAtMs),
    etag: set.etag ?? null,
    version: set.version,
    bytes: set.bytes,
    domains: set.domains,
    networks: set.networks,
    rules: set.rules,
    words: set.words,
  };
}

export function describeChanged(changed: RulesChanged): RulesChangedAnswer {
  const { compile } = changed;
  return {
    installation: changed.installation,
    snapshot: changed.snapshot,
    revision: changed.revision,
    dry_run: changed.isDryRun,
    rollback_of: changed.rollbackOf,
    rules: changed.rules,
    added: [...changed.added],
    changed: [...changed.changed],
    removed: [...changed.removed],
    moved: [...changed.moved],
    compile:
      compile === null
        ? null
        : {
            duration_us: Math.round(compile.durationUs),
            cpu_us: Math.round(compile.cpuUs),
            words: compile.words,
            sets: compile.sets.map((set) => ({ ...set })),
          },
    effective_us: Math.round(changed.effectiveUs),
    reconciled: describeRejudged(changed.rejudged),
    warnings: [...changed.warnings] as RulesChangedAnswer['warnings'],
  };
}

function describeRejudged(rejudged: Rejudged): RulesChangedAnswer['reconciled'] {
  return {
    matched: rejudged.matched,
    ended: rejudged.ended,
    undecided: rejudged.undecided,
    duration_us: Math.round(rejudged.durationUs),
    worker_us: Math.round(rejudged.workerUs),
    last_gone_us: Math.round(rejudged.lastGoneUs),
    by_service: { ...rejudged.byService },
    by_inbound: { ...rejudged.byInbound },
    sample: [...rejudged.sample],
    superseded: rejudged.isSuperseded,
  };
}

export function describeInstallation(installation: InstallationProgress): InstallationAnswer {
  const { id, cause, state, startedAtMs, compiling, snapshot, result, error } = installation;
  const failure: Problem | null = error === undefined ? null : problemOf(error);
  return {
    id,
    cause,
    state,
    started_at: new Date(startedAtMs).toISOString(),
    compiling: compiling === undefined ? null : { ...compiling },
    snapshot: snapshot ?? null,
    result: result === undefined ? null : describeChanged(result),
    problem: failure as InstallationAnswer['problem'],
  };
}

export function describeSnapshot(snapshot: SnapshotStatus): SnapshotAnswer {
  return {
    id: snapshot.id,
    state: snapshot.state,
    cause: snapshot.cause,
    rollback_of: snapshot.rollbackOf,
    can_roll_back: snapshot.canRollBack,
    rules: snapshot.rules,
    words: snapshot.words,
    sets: [...snapshot.sets],
    pins: snapshot.pins,
    compile_us: snapshot.compileUs === undefined ? null : Math.round(snapshot.compileUs),
    compiled_at: moment(snapshot.compiledAtMs),
    published_at: moment(snapshot.publishedAtMs),
    retired_at: moment(snapshot.retiredAtMs),
    drained_at: moment(snapshot.drainedAtMs),
    released_at: moment(snapshot.releasedAtMs),
  };
}

function moment(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString();
}
