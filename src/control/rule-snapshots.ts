// The life of each rule snapshot, from its compilation until its words are free again.
//
//   compiling ─► compiled ─► in_force ─► retired ─► drained ─► released
//       │            └── dry run ──────────┘
//       └─► failed
//
// Retired: another one is in force. Drained: every worker has passed a quiescent state since, no suspended connection pins
// it, and nobody walks connections by it. Then its row is free and the compiler takes its words back. Control thread.

import type { Compiled, CompiledRule } from '../layout/compiler-messages.ts';
import { NO_SNAPSHOT, SNAPSHOTS_MAX } from '../layout/rules.ts';
import type { Tables } from '../layout/tables.ts';
import { SluiceError } from './errors.ts';
import type { Quiescence } from './quiescence.ts';
import type { InstallationProgress, SnapshotState, SnapshotStatus } from './rules-control.ts';

const RECORDS_KEPT = 64;
/** Definitions that one can go back to. */
const DEFINITIONS_KEPT = 8;
/** Pinned ones are looked at so often: whoever waits in one has a deadline. */
const LOOK_EVERY_MS = 100;
/** With so many in use, whoever waits in retired ones shall leave them. */
const ROWS_SHORT = (SNAPSHOTS_MAX * 3) / 4;

export interface SnapshotRecord<Definition> {
  readonly id: number;
  readonly cause: InstallationProgress['cause'];
  readonly rollbackOf: number | null;
  /** In the table of snapshots; -1: given back. */
  row: number;
  state: SnapshotState;
  /** What it was made of; undefined: too long ago, or not in force yet. */
  definition: Definition | undefined;
  compiled: Compiled | undefined;
  /** Empty again once it is released: only how many they were is still told. */
  rules: readonly CompiledRule[];
  rulesCount: number;
  /** Walks that judge by it. */
  walks: number;
  isQuiet: boolean;
  compiledAtMs: number | undefined;
  publishedAtMs: number | undefined;
  retiredAtMs: number | undefined;
  drainedAtMs: number | undefined;
  releasedAtMs: number | undefined;
}

export interface RuleSnapshots<Definition> {
  /** @throws SluiceError rules_busy where too many snapshots live */
  begin(cause: InstallationProgress['cause'], rollbackOf: number | null): SnapshotRecord<Definition>;
  compiled(record: SnapshotRecord<Definition>, compiled: Compiled): void;
  failed(record: SnapshotRecord<Definition>): void;
  /** Workers judge by it from now on; the one before is retired. */
  publish(record: SnapshotRecord<Definition>, definition: Definition): void;
  /** Compiled, and not to be published. */
  drop(record: SnapshotRecord<Definition>): void;
  /** A walk by it has ended. */
  unwalk(record: SnapshotRecord<Definition>): void;
  readonly inForce: SnapshotRecord<Definition> | undefined;
  find(id: number): SnapshotRecord<Definition> | undefined;
  /** By row, as workers name them. */
  atRow(row: number): SnapshotRecord<Definition> | undefined;
  /** The compiler has taken its words back. */
  released(id: number): void;
  /** Those whose words are in the arena. */
  living(): SnapshotRecord<Definition>[];
  pins(): number;
  status(): SnapshotStatus[];
  close(): void;
}

export interface RuleSnapshotsInit<Definition> {
  readonly tables: Tables;
  readonly quiescence: Quiescence;
  /** Nobody reads it any more. */
  readonly drained: (record: SnapshotRecord<Definition>) => void;
  /** Rows run short: whoever waits in a retired one is to leave it. */
  readonly runsShort: () => void;
}

export function createRuleSnapshots<Definition>(
  init: RuleSnapshotsInit<Definition>,
): RuleSnapshots<Definition> {
  const { tables, quiescence } = init;
  const { snapshots, machine } = tables;
  const records = new Map<number, SnapshotRecord<Definition>>();
  const byRow = new Map<number, SnapshotRecord<Definition>>();
  const retired = new Set<SnapshotRecord<Definition>>();
  let looking: NodeJS.Timeout | undefined;
  let lastId = 0;
  let inForce: SnapshotRecord<Definition> | undefined;

  function freeRow(): number {
    for (let row = 0; row < SNAPSHOTS_MAX; row++) if (!byRow.has(row)) return row;
    const message = `${SNAPSHOTS_MAX} rule snapshots are still read`;
    throw new SluiceError('rules_busy', message, { snapshots: SNAPSHOTS_MAX });
  }

  function giveRowBack(record: SnapshotRecord<Definition>): void {
    snapshots.setId(record.row, NO_SNAPSHOT);
    byRow.delete(record.row);
    record.row = -1;
  }

  /** Those that were never in force go first, and none that one can go back to. */
  function prune(): void {
    if (records.size <= RECORDS_KEPT) return;
    const over = [...records.values()].filter(
      ({ state, definition }) => (state === 'released' || state === 'failed') && definition === undefined,
    );
    const inVain = over.filter(({ publishedAtMs }) => publishedAtMs === undefined);
    const published = over.filter(({ publishedAtMs }) => publishedAtMs !== undefined);
    for (const { id } of [...inVain, ...published].slice(0, records.size - RECORDS_KEPT)) records.delete(id);
  }

  function forgetDefinitions(): void {
    const defined = [...records.values()].filter(({ definition }) => definition !== undefined);
    for (const record of defined.slice(0, -DEFINITIONS_KEPT)) {
      if (record !== inForce) record.definition = undefined;
    }
  }

  function retire(record: SnapshotRecord<Definition>): void {
    record.state = 'retired';
    record.retiredAtMs = Date.now();
    retired.add(record);
    void quiescence.whenQuiescent().then(() => {
      record.isQuiet = true;
      look();
    });
  }

  function look(): void {
    for (const record of retired) {
      if (!record.isQuiet || record.walks > 0 || snapshots.pins(record.row) > 0) continue;
      retired.delete(record);
      record.state = 'drained';
      record.drainedAtMs = Date.now();
      giveRowBack(record);
      init.drained(record);
    }
    const isWaiting = [...retired].some(({ isQuiet }) => isQuiet);
    if (isWaiting) looking ??= setInterval(look, LOOK_EVERY_MS).unref();
    else stopLooking();
  }

  function stopLooking(): void {
    clearInterval(looking);
    looking = undefined;
  }

  return {
    begin(cause, rollbackOf) {
      if (byRow.size >= ROWS_SHORT) init.runsShort();
      const row = freeRow();
      const record: SnapshotRecord<Definition> = {
        id: ++lastId,
        cause,
        rollbackOf,
        row,
        state: 'compiling',
        definition: undefined,
        compiled: undefined,
        rules: [],
        rulesCount: 0,
        walks: 0,
        isQuiet: false,
        compiledAtMs: undefined,
        publishedAtMs: undefined,
        retiredAtMs: undefined,
        drainedAtMs: undefined,
        releasedAtMs: undefined,
      };
      records.set(record.id, record);
      byRow.set(row, record);
      prune();
      return record;
    },
    compiled(record, compiled) {
      snapshots.setPins(record.row, 0);
      snapshots.setAt(record.row, compiled.at);
      snapshots.setId(record.row, record.id);
      record.state = 'compiled';
      record.compiledAtMs = Date.now();
      record.compiled = compiled;
      record.rules = compiled.rules;
      record.rulesCount = compiled.rules.length;
    },
    failed(record) {
      giveRowBack(record);
      record.state = 'failed';
    },
    publish(record, definition) {
      const before = inForce;
      record.definition = definition;
      record.state = 'in_force';
      record.publishedAtMs = Date.now();
      inForce = record;
      // The row was written before; workers read it behind this.
      machine.setSnapshot(0, record.row + 1);
      if (before !== undefined) retire(before);
      forgetDefinitions();
    },
    drop: retire,
    unwalk(record) {
      record.walks--;
      look();
    },
    get inForce() {
      return inForce;
    },
    find: (id) => records.get(id),
    atRow: (row) => byRow.get(row),
    released(id) {
      const record = records.get(id);
      if (record === undefined) return;
      record.state = 'released';
      record.releasedAtMs = Date.now();
      record.rules = [];
      if (record.compiled !== undefined) record.compiled = { ...record.compiled, rules: [], warnings: [] };
      prune();
    },
    living: () =>
      [...records.values()].filter(({ compiled, state }) => compiled !== undefined && state !== 'released'),
    pins() {
      let pins = 0;
      for (const row of byRow.keys()) pins += snapshots.pins(row);
      return pins;
    },
    status: () =>
      [...records.values()].reverse().map((record) => ({
        id: record.id,
        state: record.state,
        cause: record.cause,
        rollbackOf: record.rollbackOf,
        canRollBack: record.definition !== undefined,
        rules: record.rulesCount,
        words: record.compiled?.words ?? 0,
        sets: record.compiled?.sets.map(({ tag }) => tag) ?? [],
        pins: record.row < 0 ? 0 : snapshots.pins(record.row),
        compiledAtMs: record.compiledAtMs,
        publishedAtMs: record.publishedAtMs,
        retiredAtMs: record.retiredAtMs,
        drainedAtMs: record.drainedAtMs,
        releasedAtMs: record.releasedAtMs,
        compileUs: record.compiled?.durationUs,
      })),
    close: stopLooking,
  };
}
