// Reads the store as a whole, once at start: the control thread restores its services and goes on counting from there.
// Every page of the tables is read, so that a damaged file shows itself now. Keeper thread.

import type { EvictionRow, Loaded, StoredService, UsageTotal } from '../layout/keeper-messages.ts';
import type { SqliteDatabase } from './sqlite.ts';

/** Evictions that are read: as many as the control thread remembers. */
const EVICTIONS_LOADED = 1_000;

type Row = Readonly<Record<string, unknown>>;

export function loadStore(database: SqliteDatabase): Loaded {
  const services: StoredService[] = [];
  for (const row of rows(database, 'SELECT name, revision, definition FROM services')) {
    services.push({
      name: text(row, 'name'),
      revision: number(row, 'revision'),
      definition: text(row, 'definition'),
    });
  }
  const evictions = loadEvictions(database);
  const revision = [...rows(database, "SELECT value FROM meta WHERE key = 'revision_highest'")][0];
  const rules = [...rows(database, 'SELECT revision, definition FROM rules')][0];
  return {
    services,
    rules:
      rules === undefined
        ? { revision: 0, rules: '[]' }
        : { revision: number(rules, 'revision'), rules: text(rules, 'definition') },
    usage: loadUsage(database),
    evictions,
    // Revisions of services outlive a store of before, which did not have the highest.
    revisionHighest: services.reduce((highest, one) => Math.max(highest, one.revision), numberOr0(revision)),
    lastEvictionId: evictions.at(-1)?.id ?? 0,
  };
}

function numberOr0(row: Row | undefined): number {
  return row === undefined ? 0 : number(row, 'value');
}

function loadEvictions(database: SqliteDatabase): EvictionRow[] {
  const evictions: EvictionRow[] = [];
  for (const row of rows(database, 'SELECT * FROM evictions ORDER BY id')) {
    // All are read, as the head of this file says, and few kept.
    if (evictions.length === 2 * EVICTIONS_LOADED) evictions.splice(0, EVICTIONS_LOADED);
    evictions.push({
      id: number(row, 'id'),
      atMs: number(row, 'at_ms'),
      request: text(row, 'request'),
      matched: number(row, 'matched'),
      closed: number(row, 'closed'),
      durationUs: number(row, 'duration_us'),
      workerUs: number(row, 'worker_us'),
      state: text(row, 'state'),
      total: number(row, 'total'),
      note: row['note'] as string | null,
      lastGoneAtMs: row['last_gone_at_ms'] as number | null,
    });
  }
  return evictions.slice(-EVICTIONS_LOADED);
}

function loadUsage(database: SqliteDatabase): UsageTotal[] {
  const refused = new Map<string, [reason: string, count: number][]>();
  for (const row of rows(database, 'SELECT service, username, reason, count FROM refusals')) {
    const key = JSON.stringify([row['service'], row['username']]);
    const kinds = refused.get(key) ?? [];
    kinds.push([text(row, 'reason'), number(row, 'count')]);
    refused.set(key, kinds);
  }
  const usage: UsageTotal[] = [];
  for (const row of rows(database, 'SELECT * FROM usage')) {
    usage.push({
      service: text(row, 'service'),
      username: text(row, 'username'),
      upBytes: number(row, 'up_bytes'),
      downBytes: number(row, 'down_bytes'),
      connections: number(row, 'connections'),
      refused: refused.get(JSON.stringify([row['service'], row['username']])) ?? [],
      firstAtMs: number(row, 'first_at'),
      lastAtMs: number(row, 'last_at'),
    });
  }
  return usage;
}

function rows(database: SqliteDatabase, query: string): Iterable<Row> {
  return database.prepare(query).iterate() as Iterable<Row>;
}

function text(row: Row, column: string): string {
  return row[column] as string;
}

function number(row: Row, column: string): number {
  return row[column] as number;
}
