// The store: one SQLite file with what has to outlast the process. Usage and refusals of each service and user, the
// services that the API owns, and the evictions that were made. Keeper thread; everything here is synchronous and throws.
//
// One process writes it, and holds it alone (`locking_mode=EXCLUSIVE`): a second daemon on the same file is refused at
// start, instead of both counting into it. WAL with `synchronous=NORMAL`: what was committed survives the death of the
// process; after a loss of power the file opens, and may lack the last commits. Mode 0600: definitions hold passwords.
// The file says whose it is (`application_id`) and in which form (`user_version`): others' files are left as they are.

import { chmodSync, closeSync, constants, fstatSync, openSync } from 'node:fs';
import type {
  EvictionRow,
  Loaded,
  StoredRuleList,
  StoredService,
  UsageDelta,
} from '../layout/keeper-messages.ts';
import { loadStore } from './loading.ts';
import { openSqlite } from './sqlite.ts';
import type { SqliteDatabase } from './sqlite.ts';

/** "Sluc". */
const APPLICATION_ID = 0x536c7563;
const MODE = 0o600;
/** How long the daemon before may take to let go of the file. */
const LOCK_TIMEOUT_MS = 2_000;
const WAL_BYTES_MAX = 64 * 1024 * 1024;
/** The newest ones are kept. */
const EVICTIONS_MAX = 100_000;
const PRUNE_EVERY = 1_000;

/** Each brings a file one version further; a new one goes through all. */
const STEPS = [
  `
CREATE TABLE usage (
  service TEXT NOT NULL, username TEXT NOT NULL, up_bytes INTEGER NOT NULL, down_bytes INTEGER NOT NULL,
  connections INTEGER NOT NULL, first_at INTEGER NOT NULL, last_at INTEGER NOT NULL,
  PRIMARY KEY (service, username)
) STRICT, WITHOUT ROWID;
CREATE TABLE refusals (
  service TEXT NOT NULL, username TEXT NOT NULL, reason TEXT NOT NULL, count INTEGER NOT NULL,
  PRIMARY KEY (service, username, reason)
) STRICT, WITHOUT ROWID;
CREATE TABLE services (
  name TEXT NOT NULL PRIMARY KEY, revision INTEGER NOT NULL, definition TEXT NOT NULL, updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE evictions (
  id INTEGER NOT NULL PRIMARY KEY, at_ms INTEGER NOT NULL, request TEXT NOT NULL, matched INTEGER NOT NULL,
  closed INTEGER NOT NULL, duration_us INTEGER NOT NULL, worker_us INTEGER NOT NULL, state TEXT NOT NULL
) STRICT;
PRAGMA application_id = ${APPLICATION_ID};
`,
  `
ALTER TABLE evictions ADD COLUMN total INTEGER NOT NULL DEFAULT 0;
ALTER TABLE evictions ADD COLUMN note TEXT;
ALTER TABLE evictions ADD COLUMN last_gone_at_ms INTEGER;
CREATE TABLE meta (key TEXT NOT NULL PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
`,
  // One row: rules make sense in their order only, and change as a whole.
  `
CREATE TABLE rules (
  place INTEGER NOT NULL PRIMARY KEY CHECK (place = 0), revision INTEGER NOT NULL, definition TEXT NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;
`,
];
const STORE_VERSION = STEPS.length;

/** What is committed together. */
export interface Batch {
  readonly usage: readonly UsageDelta[];
  readonly evictions: readonly EvictionRow[];
}

export interface Store {
  /** @throws StoreUnusable */
  load(): Loaded;
  commit(batch: Batch): void;
  /** All or nothing; `remove` first. */
  changeServices(put: readonly StoredService[], remove: readonly string[]): void;
  changeRules(rules: StoredRuleList): void;
  /** It is not forgotten where services are. */
  keepRevision(highest: number): void;
  forgetUsage(services: readonly string[]): void;
  /** Safe to call twice. */
  close(): void;
}

/** The file cannot be used as a store; the message names it. */
export class StoreUnusable extends Error {}

/** @throws StoreUnusable */
export function openStore(path: string): Store {
  let database: SqliteDatabase | undefined;
  try {
    // Made here, because SQLite would make it readable to others.
    makeFile(path);
    database = openSqlite(path);
    prepareFile(database, path);
    return storeOver(database, path);
  } catch (cause) {
    database?.close();
    throw unusable(path, cause);
  }
}

/** Also opened without waiting, where it turns out to be a pipe: nothing of what is no file of ours is touched. */
function makeFile(path: string): void {
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NONBLOCK, MODE);
  const isRegular = fstatSync(fd).isFile();
  closeSync(fd);
  if (!isRegular) throw new Error('it is not a regular file');
}

function unusable(path: string, cause: unknown): StoreUnusable {
  return new StoreUnusable(`${path} cannot be used as the store: ${reasonOf(cause)}`, { cause });
}

/** SQLite's own words, and what they mean for a store. */
function reasonOf(cause: unknown): string {
  const { message } = cause as Error;
  if (/database is locked/.test(message)) return 'another process has it open; is a second daemon running?';
  if (/not a database|malformed/.test(message)) return `${message}; move it away, or bring back a copy`;
  if (/readonly|unable to open/.test(message))
    return `${message}; the file and its directory must be writable`;
  return message;
}

function prepareFile(database: SqliteDatabase, path: string): void {
  database.exec(`PRAGMA busy_timeout = ${LOCK_TIMEOUT_MS}; PRAGMA locking_mode = EXCLUSIVE`);
  const isEmpty = numberOf(database, 'SELECT count(*) AS value FROM sqlite_master') === 0;
  const version = numberOf(database, 'SELECT user_version AS value FROM pragma_user_version');
  if (!isEmpty) {
    const application = numberOf(database, 'SELECT application_id AS value FROM pragma_application_id');
    if (application !== APPLICATION_ID) throw new Error('it is the database of another program');
    if (version < 1 || version > STORE_VERSION) {
      throw new Error(`it has version ${version}, and this build knows up to version ${STORE_VERSION}`);
    }
  }
  // Before there is a file beside it, which takes over its mode.
  chmodSync(path, MODE);
  database.exec(
    `PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = ${WAL_BYTES_MAX}`,
  );
  const missing = STEPS.slice(isEmpty ? 0 : version);
  if (missing.length === 0) return;
  inTransaction(database, () => database.exec(`${missing.join('')}; PRAGMA user_version = ${STORE_VERSION}`));
}

function storeOver(database: SqliteDatabase, path: string): Store {
  const addUsage = database.prepare(`INSERT INTO usage VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET up_bytes = up_bytes + excluded.up_bytes, down_bytes = down_bytes + excluded.down_bytes,
      connections = connections + excluded.connections, last_at = max(last_at, excluded.last_at)`);
  const addRefusal = database.prepare(`INSERT INTO refusals VALUES (?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET count = count + excluded.count`);
  const putService = database.prepare('INSERT OR REPLACE INTO services VALUES (?, ?, ?, ?)');
  const findRevision = database.prepare('SELECT revision FROM services WHERE name = ?');
  const removeService = database.prepare('DELETE FROM services WHERE name = ?');
  const putEviction = database.prepare(
    'INSERT OR REPLACE INTO evictions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
  );
  const putRevision = database.prepare(`INSERT INTO meta VALUES ('revision_highest', ?)
    ON CONFLICT DO UPDATE SET value = max(value, excluded.value)`);
  const putRules = database.prepare('INSERT OR REPLACE INTO rules VALUES (0, ?, ?, ?)');
  const forgetUsage = database.prepare('DELETE FROM usage WHERE service = ?');
  const forgetRefusals = database.prepare('DELETE FROM refusals WHERE service = ?');
  const pruneEvictions = database.prepare(
    'DELETE FROM evictions WHERE id <= (SELECT max(id) FROM evictions) - ?',
  );
  let untilPrune = 0;

  function write({ usage, evictions }: Batch): void {
    for (const { service, username, upBytes, downBytes, connections, refused, atMs } of usage) {
      addUsage.run(service, username, upBytes, downBytes, connections, atMs, atMs);
      for (const [reason, count] of refused) addRefusal.run(service, username, reason, count);
    }
    for (const row of evictions) {
      const { id, atMs, request, matched, closed, durationUs, workerUs, state } = row;
      const { total, note, lastGoneAtMs } = row;
      putEviction.run(
        id,
        atMs,
        request,
        matched,
        closed,
        durationUs,
        workerUs,
        state,
        total,
        note,
        lastGoneAtMs,
      );
    }
    untilPrune -= evictions.length;
    if (untilPrune > 0 || evictions.length === 0) return;
    pruneEvictions.run(EVICTIONS_MAX);
    untilPrune = PRUNE_EVERY;
  }

  return {
    load() {
      try {
        return loadStore(database);
      } catch (cause) {
        database.close();
        throw unusable(path, cause);
      }
    },
    commit: (batch) => inTransaction(database, () => write(batch)),
    changeServices(put, remove) {
      const atMs = Date.now();
      inTransaction(database, () => {
        for (const name of remove) {
          const gone = findRevision.get(name) as { revision: number } | undefined;
          // One more, because an implicit service of that name may come back under the next.
          if (gone !== undefined) putRevision.run(gone.revision + 1);
          removeService.run(name);
        }
        for (const { name, revision, definition } of put) putService.run(name, revision, definition, atMs);
        putRevision.run(put.reduce((highest, { revision }) => Math.max(highest, revision), 0));
      });
    },
    changeRules({ revision, rules }) {
      inTransaction(database, () => putRules.run(revision, rules, Date.now()));
    },
    keepRevision: (highest) => inTransaction(database, () => putRevision.run(highest)),
    forgetUsage(services) {
      inTransaction(database, () => {
        for (const service of services) {
          forgetUsage.run(service);
          forgetRefusals.run(service);
        }
      });
    },
    close() {
      leaveWal(database);
      database.close();
    },
  };
}

/** One file is left, which can be copied; and a lock that was taken in WAL mode is not given back in it. */
function leaveWal(database: SqliteDatabase): void {
  try {
    database.exec('PRAGMA journal_mode = DELETE');
  } catch {
    // Closed before, or a disk that fails: what was committed is in the log beside the file.
  }
}

/** Nothing of it remains where `work` throws. */
function inTransaction(database: SqliteDatabase, work: () => void): void {
  database.exec('BEGIN IMMEDIATE');
  try {
    work();
    database.exec('COMMIT');
  } catch (error) {
    rollBack(database);
    throw error;
  }
}

function rollBack(database: SqliteDatabase): void {
  try {
    database.exec('ROLLBACK');
  } catch {
    // After some errors (a full disk) SQLite has done it itself, and refuses to do it again.
  }
}

function numberOf(database: SqliteDatabase, query: string): number {
  return (database.prepare(query).get() as { value: number }).value;
}
