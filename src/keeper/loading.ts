// Reads the store as a whole, once at start: the control thread restores its services and goes on counting from there.
// Every page of the tables is read, so that a damaged file shows itself now. Keeper thread.

import type { Loaded, StoredService, UsageTotal } from '../layout/keeper-messages.ts';
import type { SqliteDatabase } from './sqlite.ts';

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
  const last = [...rows(database, 'SELECT coalesce(max(id), 0) AS id FROM evictions')][0] ?? { id: 0 };
  return { services, usage: loadUsage(database), lastEvictionId: number(last, 'id') };
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
