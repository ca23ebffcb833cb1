// Rules as whoever changes or asks about them sees them: what is in force, changes of the API's share, snapshots and their
// lives, rule sets and how fresh they are. rules.ts carries it out. Control thread.
//
// A change is an installation: queued behind other changes, compiled aside, published at once, then the connections that
// it concerns are judged again. It has a number, can be looked at while it goes on, and is over when `finished` resolves.

import type { RequestMistake } from '../config/mistakes.ts';
import type { ExplainedConnection, Explanation } from '../layout/compiler-messages.ts';

/**
 * Whom a change concerns of those that are connected: nobody, whoever would be rejected now, or whoever would be treated
 * otherwise in any way.
 */
export type RuleReconcile = 'none' | 'reject' | 'all';

export interface RuleChangeOptions {
  /** Default: reject. */
  readonly reconcile?: RuleReconcile;
  /** Connections a second that may be ended, over all workers. Default: as fast as workers do it in their spare time. */
  readonly ratePerSecond?: number;
  /** Compiles and counts, and changes nothing. */
  readonly dryRun?: boolean;
  /** The revision that must be in force, else `rules_revision_conflict`. */
  readonly ifRevision?: number;
}

/** Changes by id, carried out in their order. */
export interface RulePatch {
  readonly id: string;
  /** As written; null: it goes. Its own `id`, if any, must be the same. Replaces in place, or is added. */
  readonly rule: Readonly<Record<string, unknown>> | null;
  /** Id of the rule of the API that it is to stand before; null: at the end. Default: where it is, a new one at the end. */
  readonly before?: string | null;
}

export interface RuleInForce {
  readonly id: string;
  readonly owner: 'file' | 'api';
  /** In the order of evaluation, from 0. */
  readonly position: number;
  /** List key; receipts and slots name it. */
  readonly key: number;
  /** Live connections that it decided. */
  readonly connections: number;
  readonly action: string;
  /** As written. */
  readonly written: Readonly<Record<string, unknown>>;
}

/** Which rules are shown; default: all. */
export interface RuleQuery {
  readonly id?: string | undefined;
  readonly owner?: 'file' | 'api' | undefined;
  /** Position to begin at. */
  readonly from?: number;
  readonly limit?: number;
}

export interface RulesInForce {
  /** Grows by one with each change of the API's rules; outlasts restarts. */
  readonly revision: number;
  /** null: there have been no rules since the start. */
  readonly snapshot: number | null;
  readonly rules: readonly RuleInForce[];
  /** Position of the first that the limit left out; null: there is none. */
  readonly next: number | null;
  readonly ruleSets: readonly RuleSetStatus[];
  readonly final: string;
  /** Live connections that no rule decided. */
  readonly finalConnections: number;
}

/** What a rejudgement came to. */
export interface Rejudged {
  /** Whom the change concerned: in a dry run those that would be ended. */
  readonly matched: number;
  readonly ended: number;
  /** They can't be judged again without asking somebody, and stay. */
  readonly undecided: number;
  readonly durationUs: number;
  readonly workerUs: number;
  /** From the publication until the last violator was gone; 0: there was none. */
  readonly lastGoneUs: number;
  readonly byService: Readonly<Record<string, number>>;
  readonly byInbound: Readonly<Record<string, number>>;
  /** Of a dry run: ids of the first connections that would be ended. */
  readonly sample: readonly string[];
  /** Another change came before it was over, and took over what was left. */
  readonly isSuperseded: boolean;
}

export interface CompileFigures {
  readonly durationUs: number;
  readonly cpuUs: number;
  /** Of the arena: 4 bytes each. */
  readonly words: number;
  readonly sets: readonly {
    readonly tag: string;
    readonly words: number;
    readonly domains: number;
    readonly networks: number;
    readonly rules: number;
  }[];
}

export interface RulesChanged {
  readonly installation: number;
  /** In force from now on; of a dry run: compiled, and dropped again. null: there are no rules, and have been none. */
  readonly snapshot: number | null;
  readonly revision: number;
  readonly isDryRun: boolean;
  readonly rules: number;
  /** Ids. `changed` also where an outbound or a rule set that the rule names did; `moved`: it stands elsewhere. */
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
  readonly moved: readonly string[];
  /** Snapshot whose rules these are. */
  readonly rollbackOf: number | null;
  readonly compile: CompileFigures | null;
  /** From the call until the publication. */
  readonly effectiveUs: number;
  readonly rejudged: Rejudged;
  readonly warnings: readonly RequestMistake[];
}

export interface Installation {
  readonly id: number;
  /** All throw SluiceError: rules_invalid, rules_busy, compiler_failed, rules_revision_conflict; nothing has changed then. */
  readonly finished: Promise<RulesChanged>;
}

export type InstallationState = 'queued' | 'compiling' | 'publishing' | 'rejudging' | 'done' | 'failed';

export interface InstallationProgress {
  readonly id: number;
  readonly cause: 'api' | 'reload' | 'rule_set' | 'rollback' | 'dry_run';
  readonly state: InstallationState;
  readonly startedAtMs: number;
  /** While it compiles: what it is at, and bytes of rule sets. */
  readonly compiling: { readonly what: string; readonly done: number; readonly all: number } | undefined;
  readonly snapshot: number | undefined;
  /** Of one that is done. */
  readonly result: RulesChanged | undefined;
  /** Of one that failed. */
  readonly error: Error | undefined;
}

export type SnapshotState =
  | 'compiling'
  | 'compiled'
  | 'in_force'
  | 'retired'
  | 'drained'
  | 'released'
  | 'failed';

export interface SnapshotStatus {
  readonly id: number;
  readonly state: SnapshotState;
  readonly cause: InstallationProgress['cause'];
  readonly rollbackOf: number | null;
  /** Its rules are still known: it can be rolled back to. */
  readonly canRollBack: boolean;
  readonly rules: number;
  readonly words: number;
  readonly sets: readonly string[];
  /** Connections that wait in it. */
  readonly pins: number;
  /** Milliseconds since 1970. */
  readonly compiledAtMs: number | undefined;
  readonly publishedAtMs: number | undefined;
  readonly retiredAtMs: number | undefined;
  readonly drainedAtMs: number | undefined;
  readonly releasedAtMs: number | undefined;
  readonly compileUs: number | undefined;
}

export interface RuleSetStatus {
  readonly tag: string;
  /** File or address. */
  readonly from: string;
  readonly kind: 'file' | 'remote';
  readonly format: string;
  /** `stale`: what is in force is older than what was read or fetched last, or should have been. */
  readonly state: 'ok' | 'stale' | 'loading';
  /** Of the content in force. */
  readonly version: string;
  readonly etag: string | undefined;
  /** When it was last read or fetched, or found unchanged; milliseconds since 1970. */
  readonly lastOkAtMs: number | undefined;
  readonly lastTryAtMs: number | undefined;
  readonly failures: number;
  readonly lastError: string | undefined;
  readonly nextTryAtMs: number | undefined;
  readonly bytes: number;
  readonly domains: number;
  readonly networks: number;
  readonly rules: number;
  /** Words of the arena. */
  readonly words: number;
}

export interface RuleStatistics {
  /** null: none in force. */
  readonly snapshot: number | null;
  readonly rules: number;
  /** Publications since the start. */
  readonly swaps: number;
  readonly compiles: number;
  readonly compilesFailed: number;
  readonly compileUsLast: number;
  readonly compileUsTotal: number;
  readonly snapshotsByState: Readonly<Record<SnapshotState, number>>;
  readonly pins: number;
  readonly arenaWordsUsed: number;
  readonly arenaWords: number;
  readonly compilerDeaths: number;
  /** Connections that rejudgements have ended. */
  readonly rejudgedEnded: number;
  readonly undecided: number;
}

export interface RulesControl {
  current(query?: RuleQuery): RulesInForce;
  /** Of the API's share, as in `current`. */
  readonly revision: number;
  /** The API's rules become exactly these. @throws (in `finished`) rule_owned_by_file where one has the id of a file's */
  replace(rules: readonly unknown[], options: RuleChangeOptions): Installation;
  patch(changes: readonly RulePatch[], options: RuleChangeOptions): Installation;
  /** All rules as they were in that snapshot, with the rule sets of now; the file's until the next reload. */
  rollback(snapshot: number, options: RuleChangeOptions): Installation;
  /** The last 64, the newest first. */
  snapshots(): readonly SnapshotStatus[];
  /** @throws SluiceError request_invalid, rules_none (there is no snapshot), compiler_failed */
  explain(connection: ExplainedConnection): Promise<Explanation>;
  ruleSets(): readonly RuleSetStatus[];
  /** Reads or fetches it now; undefined: there is no such rule set. Rejects where it can't be read or is wrong. */
  refresh(tag: string): Promise<RuleSetStatus> | undefined;
  /** The last 64 installations, the newest first. */
  progress(): readonly InstallationProgress[];
  installation(id: number): InstallationProgress | undefined;
  statistics(): RuleStatistics;
}
