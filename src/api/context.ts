// What the resources of the API may look at and do. The composition root fills it in; a resource takes what it needs.
// Control thread.

import type { Directory } from '../control/directory.ts';
import type { Edge } from '../control/edge.ts';
import type { Evictions } from '../control/evictions.ts';
import type { HotSet } from '../control/hot-set.ts';
import type { KeeperLink } from '../control/keeper-link.ts';
import type { Phase } from '../control/lifecycle.ts';
import type { Names } from '../control/names.ts';
import type { Reloader } from '../control/reload.ts';
import type { LookUps } from '../control/look-ups.ts';
import type { RulesControl } from '../control/rules-control.ts';
import type { ServiceChanges } from '../control/service-changes.ts';
import type { Supervisor } from '../control/supervisor.ts';
import type { UsageBook } from '../control/usage-book.ts';
import type { Verifier } from '../control/verifier.ts';
import type { Tables } from '../layout/tables.ts';

export interface ApiContext {
  /** Of the program: `0.1.0`. */
  readonly version: string;
  /** Milliseconds since 1970. */
  readonly startedAtMs: number;
  readonly tables: Tables;
  readonly edge: Edge;
  /** Names of what connections refer to. */
  readonly directory: Directory;
  readonly evictions: Evictions;
  readonly keeper: Pick<KeeperLink, 'statistics'>;
  readonly serviceChanges?: ServiceChanges;
  readonly rules?: RulesControl;
  readonly lookUps?: LookUps;
  /** What every service has used. */
  readonly book: UsageBook;
  /** Rows of counters that have changed of late. */
  readonly hotSet: Pick<HotSet, 'size'>;
  readonly supervisor: Supervisor;
  readonly names: Names;
  readonly verifier: Verifier;
  readonly reloader: Reloader;
  readonly phase: () => Phase;
  /** Writes to the log that nobody took. */
  readonly logDropped: () => number;
  /** Whether the routes that break things on purpose exist. */
  readonly testFaults: boolean;
}
