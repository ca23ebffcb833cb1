// Rules on the control thread, put together: the installer and what it works with, the API's share of the rules and its
// place in the store, rule sets, the clock. A reload calls `prepareFile` and `publishFile` between its own steps (edge.ts);
// everything else comes through RulesControl (rule-changes.ts). Control thread only.

import type { Configuration } from '../config/configuration.ts';
import type { BoundObject, Compiled } from '../layout/compiler-messages.ts';
import type { ObjectName } from '../layout/name-book.ts';
import type { Tables } from '../layout/tables.ts';
import { createCompilerLink } from './compiler-link.ts';
import type { CompilerLinkInit } from './compiler-link.ts';
import type { Names } from './directory.ts';
import type { Edge } from './edge.ts';
import { SluiceError } from './errors.ts';
import type { Evictions } from './evictions.ts';
import type { Log } from './log.ts';
import { createQuiescence } from './quiescence.ts';
import { startRuleClock } from './rule-clock.ts';
import { createRuleChanges } from './rule-changes.ts';
import { createRuleInstallations } from './rule-installations.ts';
import type { Progress } from './rule-installations.ts';
import { createRuleInstaller } from './rule-installer.ts';
import type { PreparedRules, RulesDefinition, Snapshot } from './rule-installer.ts';
import { createRuleNames } from './rule-names.ts';
import { createRuleRejudging } from './rule-rejudging.ts';
import type { RuleSetContents } from './rule-set-content.ts';
import { createRuleSets } from './rule-sets.ts';
import type { PreparedRuleSets } from './rule-sets.ts';
import { createRuleSnapshots } from './rule-snapshots.ts';
import { createRuleWaits } from './rule-waits.ts';
import type { RuleWaitsInit } from './rule-waits.ts';
import { rulesInForce, ruleStatistics } from './rule-views.ts';
import { patchedRules, replacedRules } from './rule-writing.ts';
import type { KnownRules } from './rule-writing.ts';
import type { RulesChanged, RulesControl } from './rules-control.ts';

/** The API's rules, as the store has them. */
export interface StoredRules {
  readonly revision: number;
  /** As written. */
  readonly rules: readonly unknown[];
}

export interface RulesInit {
  readonly tables: Tables;
  readonly log: Log;
  readonly storePath: string;
  readonly stored: StoredRules;
  readonly spawn: CompilerLinkInit['spawn'];
  readonly named: (names: readonly ObjectName[]) => void;
  /** In the store when it resolves. @throws SluiceError store_failed */
  readonly keep: (stored: StoredRules) => Promise<void>;
  readonly edge: () => Pick<Edge, 'exclusively' | 'configuration' | 'objects'>;
  readonly evictions: () => Pick<Evictions, 'rejudge'> | undefined;
  /** Before there are workers nobody has to be told. */
  readonly tell: RuleWaitsInit['tell'];
}

/** Of a reload: compiled, and nothing has changed. */
export interface PreparedFileRules {
  readonly rules: PreparedRules;
  readonly ruleSets: PreparedRuleSets;
  readonly progress: Progress;
}

export interface Rules extends RulesControl {
  /**
   * Compiles the rules of a file together with the API's. Within `exclusively`.
   * @param outbounds as they are going to be
   * @throws SluiceError rules_invalid, rule_set_unavailable, compiler_failed: nothing has changed
   */
  prepareFile(configuration: Configuration, outbounds: readonly BoundObject[]): Promise<PreparedFileRules>;
  /** In force when it returns; workers know the new outbounds. Never rejects: connections are judged again meanwhile. */
  publishFile(prepared: PreparedFileRules): Promise<RulesChanged>;
  abandonFile(prepared: PreparedFileRules): void;
  /** For the directory. */
  readonly names: Names;
  /** Judgements of a snapshot, by number. */
  externalsOf(snapshotRow: number): Compiled['externals'];
  close(): Promise<void>;
}

export function createRules(init: RulesInit): Rules {
  const { tables, log } = init;
  const names = createRuleNames(tables, init.named);
  const compiler = createCompilerLink({
    spawn: init.spawn,
    known: () => ({
      kept: snapshots
        .living()
        .map(({ id, compiled }) => ({ snapshotId: id, blocks: compiled?.blocks ?? [] })),
      keys: names.keys(),
    }),
    released: (id) => snapshots.released(id),
    log,
  });
  const snapshots = createRuleSnapshots<RulesDefinition>({
    tables,
    quiescence: createQuiescence(tables),
    drained(snapshot) {
      names.leave(snapshot.rules);
      compiler.release(snapshot.id);
    },
    runsShort: () => waits.end(),
  });
  const waits = createRuleWaits(init);
  const rejudging = createRuleRejudging<Snapshot>(init.evictions, (snapshot) => snapshots.unwalk(snapshot));
  const installer = createRuleInstaller({ compiler, snapshots, names, rejudging, log });
  const installations = createRuleInstallations();
  const ruleSets = createRuleSets({
    storePath: init.storePath,
    log,
    install: async (contents, inForce) => {
      const wanted = () => ({ ...definitionNow(), contents: contents() });
      await changes.begin({ cause: 'rule_set', options: {}, wanted, inForce }).finished;
    },
  });
  const stopClock = startRuleClock(tables);
  const changes = createRuleChanges({ ...init, installer, installations });

  function definitionNow(): RulesDefinition {
    const { objects, configuration } = init.edge();
    // After a rollback they are not those of the file.
    const fileRules = snapshots.inForce?.definition?.fileRules ?? configuration.rules;
    const outbounds = configuration.outbounds.map(({ tag }) => ({ tag, ...indexOf(objects.outbounds, tag) }));
    const inbounds = configuration.inbounds.map(({ tag }) => tag);
    return { apiRules: changes.api.rules, fileRules, contents: ruleSets.contents, outbounds, inbounds };
  }

  function known(): KnownRules {
    return { apiRules: changes.api.rules, rules: snapshots.inForce?.rules ?? [] };
  }

  function rollbackDefinition(id: number): RulesDefinition {
    const record = snapshots.find(id);
    if (record?.definition === undefined) {
      const message =
        record === undefined
          ? `there is no snapshot ${id}`
          : `the rules of snapshot ${id} are not known any more`;
      throw new SluiceError('snapshot_unknown', message, { snapshot: id });
    }
    const { apiRules, fileRules } = record.definition;
    return { ...definitionNow(), apiRules, fileRules };
  }

  return {
    current: (query = {}) =>
      rulesInForce(init.edge().configuration, changes.api, snapshots.inForce, names, ruleSets, query),
    get revision() {
      return changes.api.revision;
    },
    replace(rules, options) {
      const wanted = () => ({ ...definitionNow(), apiRules: replacedRules(rules, known()) });
      return changes.begin({ cause: 'api', options, wanted });
    },
    patch(patches, options) {
      const wanted = () => ({ ...definitionNow(), apiRules: patchedRules(patches, known()) });
      return changes.begin({ cause: 'api', options, wanted });
    },
    rollback(id, options) {
      const wanted = () => rollbackDefinition(id);
      return changes.begin({ cause: 'rollback', options, wanted, preparing: { rollbackOf: id } });
    },
    snapshots: () => snapshots.status(),
    async explain(connection) {
      if (snapshots.inForce === undefined) {
        throw new SluiceError('snapshot_unknown', 'no rules are in force', { snapshot: null });
      }
      // The thread that knew its rules has died: its successor learns them by compiling them.
      if (installer.isForgotten) {
        const options = { reconcile: 'none' } as const;
        const preparing = { isForced: true };
        await changes.begin({ cause: 'rule_set', options, wanted: definitionNow, preparing }).finished;
      }
      return compiler.explain(snapshots.inForce.id, connection);
    },
    ruleSets: () => ruleSets.status(snapshots.inForce?.compiled),
    refresh(tag) {
      const refreshed = ruleSets.refresh(tag);
      if (refreshed === undefined) return undefined;
      return refreshed.then(() => {
        const status = ruleSets.status(snapshots.inForce?.compiled).find((one) => one.tag === tag);
        if (status !== undefined) return status;
        throw new SluiceError('internal', `rule set ${tag} has gone meanwhile`, {});
      });
    },
    progress: () => installations.list(),
    installation: (id) => installations.find(id),
    statistics: () => ruleStatistics(tables, snapshots, installer, compiler, rejudging),

    async prepareFile(configuration, outbounds) {
      const progress = installations.begin('reload');
      try {
        const compile = (contents: RuleSetContents) => {
          const inbounds = configuration.inbounds.map(({ tag }) => tag);
          const fileRules = configuration.rules;
          const definition = { apiRules: changes.api.rules, fileRules, contents, outbounds, inbounds };
          return installer.prepare(definition, progress);
        };
        const { ruleSets: sets, geo } = configuration;
        const { prepared, compiled } = await ruleSets.prepare(sets, geo, compile);
        return { rules: compiled, ruleSets: prepared, progress };
      } catch (error) {
        Object.assign(progress, { state: 'failed', error });
        throw error;
      }
    },
    publishFile({ rules, ruleSets: prepared, progress }) {
      const options = {
        reconcile: 'reject',
        ratePerSecond: undefined,
        revision: changes.api.revision,
      } as const;
      const over = installer.publish(rules, progress, options);
      void ruleSets
        .adopt(prepared)
        .catch((error: unknown) =>
          log.error({ event: 'rule_sets_failed', err: error }, 'rule sets are not watched'),
        );
      return over.then((result) => {
        Object.assign(progress, { state: 'done', result });
        return result;
      });
    },
    abandonFile({ rules, ruleSets: prepared, progress }) {
      installer.drop(rules);
      void ruleSets.abandon(prepared);
      Object.assign(progress, { state: 'failed' });
    },
    names: names.names,
    externalsOf: (row) => snapshots.atRow(row)?.compiled?.externals ?? [],
    async close() {
      stopClock();
      ruleSets.close();
      snapshots.close();
      waits.close();
      await compiler.close();
    },
  };
}

function indexOf(names: Names, tag: string): { readonly index: number; readonly generation: number } {
  const found = names.find(tag);
  if (found === undefined) throw new RangeError(`nothing has the tag ${tag}`);
  return { index: found.index, generation: found.generation };
}
