// Changes of the rules, one after the other: compiled aside, while services change and reloads happen, and published as one
// job of the edge, which is a short one.
//
//   wanted ─► compiled ──exclusively──► still made of what is in force? ─► (store) ─► published
//      ▲                                   │ no: a reload came between
//      └───────────────────────────────────┘ after ASIDE_MAX of these it is compiled exclusively
//
// Control thread.

import { SluiceError } from './errors.ts';
import type { Edge } from './edge.ts';
import type { Progress, RuleInstallations } from './rule-installations.ts';
import { sameRules, sameSurroundings } from './rule-installer.ts';
import type { PreparedRules, PrepareOptions, RuleInstaller, RulesDefinition } from './rule-installer.ts';
import type { Installation, InstallationProgress, RuleChangeOptions, RulesChanged } from './rules-control.ts';
import type { StoredRules } from './rules.ts';
import { createTurns } from './turns.ts';

/** Compiled in vain, before everybody else has to wait. */
const ASIDE_MAX = 2;

export interface RuleChange {
  readonly cause: InstallationProgress['cause'];
  readonly options: RuleChangeOptions;
  /** Is asked when it is this change's turn, and again before it is published; what it throws ends it. */
  readonly wanted: () => RulesDefinition;
  /** Hears that it is. */
  readonly inForce?: () => void;
  readonly preparing?: PrepareOptions;
}

export interface RuleChanges {
  begin(change: RuleChange): Installation;
  /** The API's share in force, and in the store. */
  readonly api: StoredRules;
}

export interface RuleChangesInit {
  readonly stored: StoredRules;
  /** In the store when it resolves. @throws SluiceError store_failed */
  readonly keep: (stored: StoredRules) => Promise<void>;
  readonly edge: () => Pick<Edge, 'exclusively'>;
  readonly installer: RuleInstaller;
  readonly installations: RuleInstallations;
}

/** In an object: a promise would be waited for, and by everybody whose turn comes later. */
interface Made {
  readonly over: Promise<RulesChanged>;
}

export function createRuleChanges({
  stored,
  keep,
  edge,
  installer,
  installations,
}: RuleChangesInit): RuleChanges {
  const inTurn = createTurns();
  let api = stored;

  function requireRevision(ifRevision: number | undefined): void {
    if (ifRevision === undefined || ifRevision === api.revision) return;
    const message = `the rules of the API are at revision ${api.revision}`;
    throw new SluiceError('rules_revision_conflict', message, { revision: api.revision });
  }

  async function make(change: RuleChange, progress: Progress): Promise<Made> {
    requireRevision(change.options.ifRevision);
    for (let attempt = 1; attempt <= ASIDE_MAX; attempt++) {
      const prepared = await prepare(change, progress);
      if (change.options.dryRun === true) return { over: count(prepared, change, progress) };
      const made = await edge().exclusively(async () =>
        isStillWanted(prepared, change) ? publish(prepared, change, progress) : undefined,
      );
      if (made !== undefined) return made;
    }
    return edge().exclusively(async () => publish(await prepare(change, progress), change, progress));
  }

  function prepare({ wanted, preparing }: RuleChange, progress: Progress): Promise<PreparedRules> {
    return installer.prepare(wanted(), progress, preparing);
  }

  /** Drops it where it is not. The API's share is changed here alone, by one change at a time. */
  function isStillWanted(prepared: PreparedRules, { wanted }: RuleChange): boolean {
    let isSame = false;
    try {
      isSame = sameSurroundings(prepared.definition, wanted());
      return isSame;
    } finally {
      if (!isSame) installer.drop(prepared);
    }
  }

  async function publish(prepared: PreparedRules, change: RuleChange, progress: Progress): Promise<Made> {
    await keepApi(prepared);
    const over = installer.publish(prepared, progress, publishing(change));
    change.inForce?.();
    return { over };
  }

  function publishing({ options: { reconcile = 'reject', ratePerSecond } }: RuleChange) {
    return { reconcile, ratePerSecond, revision: api.revision };
  }

  function count(prepared: PreparedRules, change: RuleChange, progress: Progress): Promise<RulesChanged> {
    return installer.count(prepared, progress, publishing(change));
  }

  /** In the store before it is in force. */
  async function keepApi(prepared: PreparedRules): Promise<void> {
    const { apiRules } = prepared.definition;
    if (sameRules(apiRules, api.rules)) return;
    const next = { revision: api.revision + 1, rules: apiRules };
    try {
      await keep(next);
    } catch (error) {
      installer.drop(prepared);
      throw error;
    }
    api = next;
  }

  return {
    begin(change) {
      const { cause, options } = change;
      const progress = installations.begin(options.dryRun === true ? 'dry_run' : cause);
      const finished = inTurn(() => make(change, progress))
        .then(({ over }) => over)
        .then(
          (result) => {
            Object.assign(progress, { state: 'done', result });
            return result;
          },
          (error: unknown) => {
            Object.assign(progress, { state: 'failed', error });
            throw error;
          },
        );
      // Whoever asks later finds the error in the progress.
      finished.catch(() => {});
      return { id: progress.id, finished };
    },
    get api() {
      return api;
    },
  };
}
