// The one place that says where SQLite comes from: the runtime's own where it has one, else the package with the same
// interface, whose binaries come ready-made. Keeper thread; everything throws with SQLite's own words.

import type { DatabaseSyncInstance, StatementSyncInstance } from '@photostructure/sqlite';

interface Sqlite {
  readonly DatabaseSync: new (path: string) => DatabaseSyncInstance;
}

/** Node 20 has no `node:sqlite`. */
const builtin = process.getBuiltinModule('node:sqlite') as Sqlite | undefined;
const { DatabaseSync }: Sqlite = builtin ?? (await import('@photostructure/sqlite'));

export interface SqliteDatabase {
  exec(statements: string): void;
  prepare(statement: string): StatementSyncInstance;
  /** Lets go of the file. Safe to call twice. */
  close(): void;
}

export function openSqlite(path: string): SqliteDatabase {
  const database = new DatabaseSync(path);
  let isOpen = true;
  return {
    exec: (statements) => database.exec(statements),
    prepare: (statement) => database.prepare(statement),
    close() {
      if (!isOpen) return;
      isOpen = false;
      release(database);
      database.close();
    },
  };
}

/**
 * The package does not end prepared statements when it closes, so that the file would stay open, and locked, until they are
 * collected as garbage. Outside WAL mode a lock is given back with the first read after its holder said so. Where that
 * fails, the end of the thread gives it back.
 */
function release(database: DatabaseSyncInstance): void {
  try {
    database.exec('PRAGMA busy_timeout = 0; PRAGMA locking_mode = NORMAL; SELECT 1 FROM sqlite_master');
  } catch {
    // A file that cannot be read is not locked either.
  }
}
