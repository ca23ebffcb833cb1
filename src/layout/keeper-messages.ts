// What goes between the control thread and the keeper: structured-cloned, in order. Requests carry a number and are
// answered once they are in the store; the rest is taken without an answer and is in the store soon.

import type { MessagePort } from 'node:worker_threads';
import type { ObjectName } from './name-book.ts';
import type { SharedTables } from './tables.ts';

/** What was used since the last delta of this service and user. */
export interface UsageDelta {
  readonly service: string;
  /** '' for connections that no credential admitted. */
  readonly username: string;
  readonly upBytes: number;
  readonly downBytes: number;
  readonly connections: number;
  /** Names of reasons, and how often. */
  readonly refused: readonly (readonly [reason: string, count: number])[];
  /** Milliseconds since 1970. */
  readonly atMs: number;
}

/** All that was ever used, as the store has it. */
export interface UsageTotal extends Omit<UsageDelta, 'atMs'> {
  readonly firstAtMs: number;
  readonly lastAtMs: number;
}

/** A service that the API owns. */
export interface StoredService {
  readonly name: string;
  readonly revision: number;
  /** JSON. */
  readonly definition: string;
}

/** All rules that the API owns. */
export interface StoredRuleList {
  /** Grows with each change; 0: there has been none. */
  readonly revision: number;
  /** As written: a list, JSON. */
  readonly rules: string;
}

/** An eviction that is over. The last row of an id holds. */
export interface EvictionRow {
  readonly id: number;
  /** Milliseconds since 1970. */
  readonly atMs: number;
  /** What was asked for: JSON. */
  readonly request: string;
  readonly matched: number;
  readonly closed: number;
  readonly durationUs: number;
  readonly workerUs: number;
  readonly state: string;
  readonly total: number;
  readonly note: string | null;
  /** Milliseconds since 1970; null: none has gone. */
  readonly lastGoneAtMs: number | null;
}

/** The access log as configured. */
export interface AccessLog {
  /** Absolute; null: standard error. */
  readonly path: string | null;
  /** (0, 1]: the part of a worker's connections that is written. */
  readonly sample: number;
  /** Names of reasons; empty: all. */
  readonly reasons: readonly string[];
  /** Names of services; empty: all connections, also those of no service. */
  readonly services: readonly string[];
}

export interface KeeperStatistics {
  readonly receiptsWritten: number;
  readonly receiptsFiltered: number;
  /** Lines of the access log that were lost. */
  readonly accessLogErrors: number;
  readonly storeState: 'ok' | 'failed';
  readonly storeError: string | null;
  /** Milliseconds since 1970; 0: never. */
  readonly lastCommitAtMs: number;
  /** How long it took. */
  readonly lastCommitMs: number;
  readonly commits: number;
  /** Evictions that the store had no room for while it failed. */
  readonly evictionsDropped: number;
}

/** What the store held at start. */
export interface Loaded {
  readonly services: readonly StoredService[];
  readonly rules: StoredRuleList;
  readonly usage: readonly UsageTotal[];
  /** The newest, in the order of their numbers. */
  readonly evictions: readonly EvictionRow[];
  /** Of all services that there ever were; 0: none. */
  readonly revisionHighest: number;
  /** Highest number of an eviction; 0: none. */
  readonly lastEvictionId: number;
}

export type KeeperMessage =
  | { readonly kind: 'usage'; readonly deltas: readonly UsageDelta[] }
  | { readonly kind: 'evictions'; readonly rows: readonly EvictionRow[] }
  /** One transaction: `remove` first. */
  | {
      readonly kind: 'change_services';
      readonly request: number;
      readonly put: readonly StoredService[];
      readonly remove: readonly string[];
    }
  | { readonly kind: 'change_rules'; readonly request: number; readonly rules: StoredRuleList }
  /** Highest that any service was given. */
  | { readonly kind: 'revision'; readonly highest: number }
  /** Services that are gone, and so is what they have used. */
  | { readonly kind: 'forget_usage'; readonly services: readonly string[] }
  /** Everything sent before is in the store. */
  | { readonly kind: 'flush'; readonly request: number }
  | { readonly kind: 'names'; readonly names: readonly ObjectName[] }
  /** Opens the file anew, also where nothing changed: log rotation. */
  | { readonly kind: 'configure'; readonly accessLog: AccessLog | null }
  | { readonly kind: 'close' };

export type KeeperReport =
  | { readonly kind: 'loaded'; readonly loaded: Loaded }
  /** The store cannot be used; the thread has ended. `message` names the file. */
  | { readonly kind: 'unusable'; readonly message: string }
  | { readonly kind: 'committed'; readonly request: number }
  | { readonly kind: 'not_committed'; readonly request: number; readonly message: string }
  /** Once for each time that it begins or ends. */
  | { readonly kind: 'store_failed'; readonly message: string }
  | { readonly kind: 'store_recovered' }
  | { readonly kind: 'access_log_failed'; readonly message: string }
  | { readonly kind: 'access_log_recovered' }
  | { readonly kind: 'statistics'; readonly statistics: KeeperStatistics }
  | { readonly kind: 'closed' };

/** What the keeper's thread finds in `workerData`. */
export interface KeeperStart {
  readonly tables: SharedTables;
  readonly storePath: string;
  readonly accessLog: AccessLog | null;
  readonly port: MessagePort;
}
