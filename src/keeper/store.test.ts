import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { costMsOf } from '../../test/cost.ts';
import type { EvictionRow, UsageDelta } from '../layout/keeper-messages.ts';
import { openSqlite } from './sqlite.ts';
import { openStore, StoreUnusable } from './store.ts';
import type { Store } from './store.ts';

const directory = mkdtempSync(join(tmpdir(), 'sluice-store-'));
let files = 0;
const opened: Store[] = [];
afterEach(() => {
  for (const store of opened.splice(0)) store.close();
});
process.once('exit', () => rmSync(directory, { recursive: true, force: true }));

const newPath = () => join(directory, `store-${files++}.db`);

function open(path: string): Store {
  const store = openStore(path);
  opened.push(store);
  return store;
}

function delta(service: string, username: string, rest: Partial<UsageDelta> = {}): UsageDelta {
  return { service, username, upBytes: 0, downBytes: 0, connections: 0, refused: [], atMs: 1_000, ...rest };
}

function eviction(id: number, rest: Partial<EvictionRow> = {}): EvictionRow {
  const row = {
    id,
    atMs: 5,
    request: '{}',
    matched: 1,
    closed: 0,
    durationUs: 7,
    workerUs: 3,
    state: 'running',
    total: 4,
    note: null,
    lastGoneAtMs: null,
  };
  return { ...row, ...rest };
}

/** Once only: a damaged file is let go of with the thread that opened it. */
function unusable(path: string, words: RegExp): void {
  let error: unknown;
  try {
    open(path).load();
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(StoreUnusable);
  expect((error as Error).message).toMatch(words);
  expect((error as Error).message).toContain(path);
}

describe('the store', () => {
  it('adds usage up, tells users of a service apart, and has it after it was opened anew', () => {
    const path = newPath();
    const store = open(path);
    const usage = [
      delta('a', '', { upBytes: 2 ** 40, downBytes: 5, connections: 1 }),
      delta('a', 'u', { upBytes: 1, refused: [['evicted', 2]], atMs: 2_000 }),
    ];
    store.commit({ usage, evictions: [] });
    store.commit({
      usage: [
        delta('a', '', { upBytes: 2 ** 40, atMs: 3_000 }),
        delta('a', 'u', {
          refused: [
            ['evicted', 1],
            ['auth_failed', 4],
          ],
        }),
      ],
      evictions: [],
    });
    store.close();
    expect(open(path).load().usage).toEqual([
      {
        service: 'a',
        username: '',
        upBytes: 2 ** 41,
        downBytes: 5,
        connections: 1,
        refused: [],
        firstAtMs: 1_000,
        lastAtMs: 3_000,
      },
      {
        service: 'a',
        username: 'u',
        upBytes: 1,
        downBytes: 0,
        connections: 0,
        refused: [
          ['auth_failed', 4],
          ['evicted', 3],
        ],
        firstAtMs: 2_000,
        lastAtMs: 2_000,
      },
    ]);
  });

  it('holds the sums of any deltas, whatever the names consist of', () => {
    const name = fc.oneof(
      fc.constantFrom('a', 'b', '', 'a b'),
      fc.string({ unit: 'grapheme', maxLength: 5 }),
    );
    const deltas = fc.array(
      fc.record({ service: name, username: name, upBytes: fc.nat(), connections: fc.nat(9) }),
    );
    fc.assert(
      fc.property(fc.array(deltas, { maxLength: 5 }), (batches) => {
        const store = openStore(newPath());
        const sums = new Map<string, number>();
        for (const batch of batches) {
          store.commit({ usage: batch.map((one) => delta(one.service, one.username, one)), evictions: [] });
          for (const { service, username, upBytes } of batch) {
            const key = JSON.stringify([service, username]);
            sums.set(key, (sums.get(key) ?? 0) + upBytes);
          }
        }
        const loaded = store
          .load()
          .usage.map(
            ({ service, username, upBytes }) => [JSON.stringify([service, username]), upBytes] as const,
          );
        store.close();
        expect(new Map(loaded)).toEqual(sums);
        expect(loaded.length).toBe(sums.size);
      }),
      { numRuns: 30 },
    );
  });

  it('changes services as a whole: removes first, replaces by name', () => {
    const path = newPath();
    const store = open(path);
    store.changeServices(
      [
        { name: 'a', revision: 1, definition: '{"x":1}' },
        { name: 'b', revision: 1, definition: '{}' },
      ],
      [],
    );
    store.changeServices([{ name: 'b', revision: 7, definition: '[]' }], ['a', 'b', 'nobody']);
    const broken = { name: 'c', revision: Number.NaN, definition: '{}' };
    expect(() =>
      store.changeServices([{ name: 'd', revision: 1, definition: '{}' }, broken], ['b']),
    ).toThrow();
    store.close();
    expect(open(path).load().services).toEqual([{ name: 'b', revision: 7, definition: '[]' }]);
  });

  it('takes 100,000 services within a second', async () => {
    const store = open(newPath());
    const definition = JSON.stringify({ users: [{ username: 'u', password: 'p' }], rate: { up: '20mbit' } });
    const services = Array.from({ length: 100_000 }, (_, i) => ({
      name: `service-${i}`,
      revision: 1,
      definition,
    }));
    const costMs = await costMsOf(() => store.changeServices(services, []));
    expect(store.load().services.length).toBe(100_000);
    expect(costMs).toBeLessThan(1_000);
  });

  it('keeps the last row of an eviction, and of evictions the newest', () => {
    const path = newPath();
    const store = open(path);
    store.commit({
      usage: [],
      evictions: [eviction(1), eviction(2), eviction(1, { closed: 9, state: 'done' })],
    });
    const later = Array.from({ length: 1_000 }, (_, i) => eviction(200_000 + i));
    store.commit({ usage: [], evictions: later });
    const { lastEvictionId, evictions } = store.load();
    expect(lastEvictionId).toBe(200_999);
    expect(evictions).toEqual(later);
    store.close();
    const database = openSqlite(path);
    const { ids } = database.prepare('SELECT count(*) AS ids FROM evictions').get() as { ids: number };
    database.close();
    expect(ids).toBe(1_000);
  });

  it('hands back evictions as they were, the newest of many, in the order of their numbers', () => {
    const store = open(newPath());
    const rows = Array.from({ length: 3_456 }, (_, i) => eviction(i + 1));
    rows[3_455] = eviction(3_456, { note: 'workers_died', lastGoneAtMs: 9, total: 12, state: 'done' });
    store.commit({ usage: [], evictions: rows.toReversed() });
    expect(store.load().evictions).toEqual(rows.slice(-1_000));
  });

  it('knows the highest revision that there was, also of services that have gone', () => {
    const path = newPath();
    const store = open(path);
    expect(store.load().revisionHighest).toBe(0);
    store.changeServices([{ name: 'a', revision: 7, definition: '{}' }], []);
    store.changeServices([{ name: 'b', revision: 3, definition: '{}' }], ['a']);
    // That one may have been given to what comes back in its place.
    expect(store.load().revisionHighest).toBe(8);
    store.keepRevision(10);
    store.keepRevision(9);
    store.close();
    expect(open(path).load().revisionHighest).toBe(10);
  });

  it('forgets what services have used, all their users, and of nobody else', () => {
    const store = open(newPath());
    const refused = [['evicted', 1]] as const;
    const names = ['a', 'b', 'c'].flatMap((name) => ['', 'u'].map((user) => delta(name, user, { refused })));
    store.commit({ usage: names, evictions: [] });
    store.forgetUsage(['a', 'c', 'nobody']);
    store.commit({ usage: [delta('a', 'u', { upBytes: 1 })], evictions: [] });
    expect(store.load().usage).toMatchObject([
      { service: 'a', username: 'u', upBytes: 1, refused: [] },
      { service: 'b', username: '', refused },
      { service: 'b', username: 'u', refused },
    ]);
  });

  it('keeps the rules of the API as a whole', () => {
    const path = newPath();
    const store = open(path);
    expect(store.load().rules).toEqual({ revision: 0, rules: '[]' });
    store.changeRules({ revision: 1, rules: '[{"id":"a"}]' });
    store.changeRules({ revision: 2, rules: '[{"id":"b"}]' });
    store.close();
    expect(open(path).load().rules).toEqual({ revision: 2, rules: '[{"id":"b"}]' });
  });

  it('takes over a file of the version before', () => {
    const path = newPath();
    const store = open(path);
    store.changeServices([{ name: 'a', revision: 7, definition: '{}' }], []);
    store.commit({ usage: [delta('a', 'u')], evictions: [eviction(3)] });
    store.close();
    const database = openSqlite(path);
    for (const column of ['total', 'note', 'last_gone_at_ms'])
      database.exec(`ALTER TABLE evictions DROP COLUMN ${column}`);
    database.exec('DROP TABLE meta; DROP TABLE rules; PRAGMA user_version = 1');
    database.close();
    const loaded = open(path).load();
    expect(loaded).toMatchObject({
      services: [{ name: 'a' }],
      usage: [{ service: 'a' }],
      revisionHighest: 7,
      rules: { revision: 0, rules: '[]' },
    });
    expect(loaded.evictions).toEqual([eviction(3, { total: 0 })]);
  });

  it('is readable to its owner only, also where the file was there before, and so is what SQLite puts beside it', () => {
    const path = newPath();
    writeFileSync(path, '');
    chmodSync(path, 0o644);
    open(path).commit({ usage: [delta('a', '')], evictions: [] });
    for (const name of [path, `${path}-wal`]) expect(statSync(name).mode & 0o777, name).toBe(0o600);
  });

  it('cannot be opened twice at a time', () => {
    const path = newPath();
    open(path);
    unusable(path, /another process has it open/);
  });
});

describe('a file that is no store of ours', () => {
  it('is left as it is, where it is no file at all', () => {
    const pipe = newPath();
    execFileSync('mkfifo', ['-m', '644', pipe]);
    for (const path of [pipe, '/dev/null']) {
      const { mode, rdev } = statSync(path);
      unusable(path, /not a regular file/);
      expect(statSync(path)).toMatchObject({ mode, rdev });
    }
  });

  it('is refused with the reason, and left as it is', () => {
    const text = newPath();
    writeFileSync(text, 'this is no database, but a text that somebody needs\n'.repeat(100));
    chmodSync(text, 0o644);
    const before = readFileSync(text);
    unusable(text, /not a database/);
    expect(readFileSync(text)).toEqual(before);
    expect(statSync(text).mode & 0o777).toBe(0o644);

    const foreign = newPath();
    const database = openSqlite(foreign);
    database.exec('CREATE TABLE theirs (x)');
    database.close();
    const theirs = readFileSync(foreign);
    unusable(foreign, /another program/);
    expect(readFileSync(foreign)).toEqual(theirs);
  });

  it('is refused where a newer version wrote it, naming both versions', () => {
    const path = newPath();
    openStore(path).close();
    const database = openSqlite(path);
    database.exec('PRAGMA user_version = 4');
    database.close();
    unusable(path, /version 4, and this build knows up to version 3/);
  });

  it('is refused where pages of it are damaged', () => {
    const path = newPath();
    const store = openStore(path);
    const definition = 'x'.repeat(1_000);
    const services = Array.from({ length: 200 }, (_, i) => ({ name: `s${i}`, revision: 1, definition }));
    store.changeServices(services, []);
    store.close();
    const bytes = readFileSync(path);
    bytes.fill(0xa5, 8 * 4096, 30 * 4096);
    writeFileSync(path, bytes);
    unusable(path, /malformed/);
  });

  it('is refused where the directory is missing, is none, or cannot be written', () => {
    unusable(join(directory, 'missing', 'x.db'), /no such file or directory/);
    const file = newPath();
    writeFileSync(file, '');
    unusable(join(file, 'x.db'), /not a directory/);
    const folder = newPath();
    mkdirSync(folder);
    unusable(folder, /EISDIR/);
    unusable('/proc/self/x.db', /ENOENT|EACCES/);
  });
});
