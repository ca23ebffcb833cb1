// Brings rules into force: compiled first, and a failure changes nothing; then published at once; then the connections that
// the change concerns are judged again, beside whatever comes next. One is compiled at a time; whoever calls sees to it that
// what is published is made of what is in force then (edge.ts, rule-changes.ts).
//
//   wanted ─► compiled ─► (store) ─► published ─► rejudged
//                │ dry run: counted, dropped
//
// While there have never been rules nothing is compiled and no thread is started. Control thread.

import { isDeepStrictEqual } from 'node:util';
import type { BoundObject, Compiled } from '../layout/compiler-messages.ts';
import type { CompilerLink } from './compiler-link.ts';
import { requestMistakeOf } from './compiler-link.ts';
import type { Log } from './log.ts';
import { ruleDifference } from './rule-difference.ts';
import type { Progress } from './rule-installations.ts';
import type { RuleNames } from './rule-names.ts';
import { NOBODY_REJUDGED } from './rule-rejudging.ts';
import type { RuleRejudging } from './rule-rejudging.ts';
import { loadContents } from './rule-set-content.ts';
import type { RuleSetContents } from './rule-set-content.ts';
import type { RuleSnapshots, SnapshotRecord } from './rule-snapshots.ts';
import type { CompileFigures, RuleReconcile, RulesChanged } from './rules-control.ts';
import { createTurns } from './turns.ts';

/** All that a snapshot is made of. */
export interface RulesDefinition {
  /** As written. */
  readonly apiRules: readonly unknown[];
  readonly fileRules: readonly unknown[];
  readonly contents: RuleSetContents;
  readonly outbounds: readonly BoundObject[];
  readonly inbounds: readonly string[];
}

export type Snapshot = SnapshotRecord<RulesDefinition>;

/** Compiled and not in force. `snapshot` undefined: what is in force says the same already, or there is nothing to say. */
export interface PreparedRules {
  readonly definition: RulesDefinition;
  readonly snapshot: Snapshot | undefined;
  readonly beganMs: number;
  /** Of the compiler's threads, before this one was compiled. */
  readonly deaths: number;
}

export interface PublishOptions {
  readonly reconcile: RuleReconcile;
  readonly ratePerSecond: number | undefined;
  readonly revision: number;
}

export interface PrepareOptions {
  readonly rollbackOf?: number | undefined;
  /** Also where it is in force already: the compiler has forgotten what it says. */
  readonly isForced?: boolean;
}

export interface RuleInstaller {
  /** @throws SluiceError rules_invalid, rules_busy, rule_set_unavailable, compiler_failed: nothing has changed */
  prepare(definition: RulesDefinition, progress: Progress, options?: PrepareOptions): Promise<PreparedRules>;
  /** In force when it returns. The promise is of the connections; it never rejects. */
  publish(prepared: PreparedRules, progress: Progress, options: PublishOptions): Promise<RulesChanged>;
  /** What publishing it would do; it is dropped then. */
  count(prepared: PreparedRules, progress: Progress, options: PublishOptions): Promise<RulesChanged>;
  drop(prepared: PreparedRules): void;
  /** The compiler's thread that knew what the snapshot in force says has died. */
  readonly isForgotten: boolean;
  readonly figures: {
    readonly swaps: number;
    readonly compiles: number;
    readonly failed: number;
    readonly usLast: number;
    readonly usTotal: number;
  };
}

export interface RuleInstallerInit {
  readonly compiler: CompilerLink;
  readonly snapshots: RuleSnapshots<RulesDefinition>;
  readonly names: RuleNames;
  readonly rejudging: RuleRejudging<Snapshot>;
  readonly log: Log;
}

export function createRuleInstaller(init: RuleInstallerInit): RuleInstaller {
  const { compiler, snapshots, names, rejudging } = init;
  const inTurn = createTurns();
  /** When that in force was compiled. */
  let deaths = 0;
  const figures = { swaps: 0, compiles: 0, failed: 0, usLast: 0, usTotal: 0 };

  function isInForce(definition: RulesDefinition): boolean {
    const { inForce } = snapshots;
    if (inForce === undefined) return definition.apiRules.length + definition.fileRules.length === 0;
    return sameDefinition(inForce.definition as RulesDefinition, definition);
  }

  async function compile(
    snapshot: Snapshot,
    definition: RulesDefinition,
    progress: Progress,
  ): Promise<Compiled> {
    const { apiRules, fileRules, contents, outbounds, inbounds } = definition;
    const named = ({ tag, version }: { tag: string; version: string }) => ({ tag, version });
    return compiler.compile({
      snapshotId: snapshot.id,
      apiRules,
      fileRules,
      ruleSets: contents.sets.map(named),
      geo: contents.geo.map(named),
      outbounds,
      inbounds,
      freedRules: names.takeFreed(),
      changing: progress.cause === 'reload' ? 'file' : 'api',
      load: (versions) => loadContents(contents, versions),
      progress({ what, done, all }) {
        progress.compiling = { what, done, all };
      },
    });
  }

  /** What is told of a change; the rest is known when it is over. */
  function describe(
    { definition, snapshot, beganMs }: PreparedRules,
    progress: Progress,
    revision: number,
    before: Snapshot | undefined,
  ): {
    readonly changed: Omit<RulesChanged, 'rejudged' | 'effectiveUs'>;
    readonly keys: readonly number[];
    readonly beganMs: number;
  } {
    const after = snapshot ?? before;
    const { keys, ...difference } = ruleDifference(before?.rules ?? [], after?.rules ?? []);
    const changed = {
      installation: progress.id,
      snapshot: after?.id ?? null,
      revision,
      isDryRun: progress.cause === 'dry_run',
      rules: definition.apiRules.length + definition.fileRules.length,
      ...difference,
      rollbackOf: snapshot?.rollbackOf ?? null,
      compile: snapshot?.compiled === undefined ? null : figuresOf(snapshot.compiled),
      warnings: (snapshot?.compiled?.warnings ?? []).map(requestMistakeOf),
    };
    // Changes may have left connections with rules that had gone before, also with such that come back.
    const leftBehind = names.lingering(before?.rules ?? []);
    return { changed, keys: snapshot === undefined ? [] : [...keys, ...leftBehind], beganMs };
  }

  /** Keys of rules are given and freed from one to the next, so one comes after the other. */
  async function prepare(
    definition: RulesDefinition,
    progress: Progress,
    { rollbackOf, isForced = false }: PrepareOptions = {},
  ): Promise<PreparedRules> {
    const beganMs = performance.now();
    progress.state = 'compiling';
    if (!isForced && isInForce(definition)) {
      return { definition, snapshot: undefined, beganMs, deaths: compiler.deaths };
    }
    const snapshot = snapshots.begin(progress.cause, rollbackOf ?? null);
    progress.snapshot = snapshot.id;
    try {
      const compiled = await compile(snapshot, definition, progress);
      snapshots.compiled(snapshot, compiled);
      names.enter(compiled.rules);
      figures.compiles++;
      figures.usLast = compiled.durationUs;
      figures.usTotal += compiled.durationUs;
    } catch (error) {
      snapshots.failed(snapshot);
      figures.failed++;
      throw error;
    }
    return { definition, snapshot, beganMs, deaths: compiler.deaths };
  }

  return {
    prepare: (definition, progress, options) => inTurn(() => prepare(definition, progress, options)),

    publish(prepared, progress, { reconcile, ratePerSecond, revision }) {
      progress.state = 'publishing';
      const before = snapshots.inForce;
      const { changed, keys, beganMs } = describe(prepared, progress, revision, before);
      const { snapshot, definition } = prepared;
      if (snapshot !== undefined) {
        snapshots.publish(snapshot, definition);
        ({ deaths } = prepared);
        figures.swaps++;
      }
      const effectiveUs = microsecondsSince(beganMs);
      progress.state = 'rejudging';
      const inForce = snapshots.inForce;
      const rejudged =
        inForce === undefined || snapshot === undefined
          ? Promise.resolve(NOBODY_REJUDGED)
          : rejudging.begin(inForce, keys, reconcile, ratePerSecond);
      return rejudged.then((result) => {
        const done: RulesChanged = { ...changed, effectiveUs, rejudged: result };
        report(init.log, progress, done);
        return done;
      });
    },

    async count(prepared, progress, { reconcile, revision }) {
      const before = snapshots.inForce;
      const { changed, keys, beganMs } = describe(prepared, progress, revision, before);
      const { snapshot } = prepared;
      const effectiveUs = microsecondsSince(beganMs);
      if (snapshot === undefined) return { ...changed, effectiveUs, rejudged: NOBODY_REJUDGED };
      progress.state = 'rejudging';
      try {
        const rejudged = await rejudging.count(snapshot, keys, reconcile);
        return { ...changed, effectiveUs, rejudged };
      } finally {
        snapshots.drop(snapshot);
      }
    },

    drop({ snapshot }) {
      if (snapshot !== undefined) snapshots.drop(snapshot);
    },
    get isForgotten() {
      return compiler.deaths !== deaths;
    },
    figures,
  };
}

function sameDefinition(one: RulesDefinition, other: RulesDefinition): boolean {
  return sameRules(one.apiRules, other.apiRules) && sameSurroundings(one, other);
}

/** All that is not the API's. */
export function sameSurroundings(one: RulesDefinition, other: RulesDefinition): boolean {
  const versions = ({ contents: { sets, geo } }: RulesDefinition) =>
    [...sets, ...geo].map(({ tag, version }) => [tag, version]);
  return (
    sameRules(one.fileRules, other.fileRules) &&
    isDeepStrictEqual(one.outbounds, other.outbounds) &&
    isDeepStrictEqual(one.inbounds, other.inbounds) &&
    isDeepStrictEqual(versions(one), versions(other))
  );
}

/** As written. A patch leaves most of tens of thousands the very objects that they were. */
export function sameRules(one: readonly unknown[], other: readonly unknown[]): boolean {
  if (one === other) return true;
  if (one.length !== other.length) return false;
  return one.every((rule, place) => rule === other[place] || isDeepStrictEqual(rule, other[place]));
}

function figuresOf({ durationUs, cpuUs, words, sets }: Compiled): CompileFigures {
  return {
    durationUs,
    cpuUs,
    words,
    sets: sets.map(({ version: _version, ...figures }) => figures),
  };
}

/** Ids of a change that one line of the log has room for. */
const LOGGED_MAX = 20;

function report(log: Log, { cause }: Progress, changed: RulesChanged): void {
  const { snapshot, rules, rejudged, compile, effectiveUs, rollbackOf } = changed;
  if (compile === null) return;
  const short = (ids: readonly string[]) => (ids.length <= LOGGED_MAX ? ids : ids.length);
  const facts = {
    event: 'rules_changed',
    cause,
    snapshot,
    rules,
    added: short(changed.added),
    changed: short(changed.changed),
    removed: short(changed.removed),
    moved: short(changed.moved),
    rollback_of: rollbackOf,
    compile_us: compile.durationUs,
    effective_us: effectiveUs,
    matched: rejudged.matched,
    ended: rejudged.ended,
    undecided: rejudged.undecided,
    last_gone_us: rejudged.lastGoneUs,
  };
  log.info(facts, `snapshot ${snapshot} of the rules is in force`);
  // Those of rules are told by the check of the file, or to whoever has written them over the API.
  const ofSets = changed.warnings.filter(({ path }) => !path.startsWith('rules'));
  for (const { path, message } of ofSets.slice(0, LOGGED_MAX)) {
    log.warn({ event: 'rule_set_warning', path }, message);
  }
}

function microsecondsSince(beganMs: number): number {
  return Math.round((performance.now() - beganMs) * 1000);
}
