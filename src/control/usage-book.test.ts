import { describe, expect, it } from 'vitest';
import { createUsageBook } from './usage-book.ts';

const delta = (changes: object) => ({
  service: 'web',
  username: '',
  upBytes: 1,
  downBytes: 2,
  connections: 3,
  refused: [],
  atMs: 100,
  ...changes,
});

describe('what services have used that are gone', () => {
  const DAY_MS = 86_400_000;

  it('is kept for thirty days, and as long as there is a service of that name', async () => {
    const book = createUsageBook();
    const nowMs = 100 * DAY_MS;
    book.add([
      delta({ service: 'old', atMs: nowMs - 31 * DAY_MS }),
      delta({ service: 'recent', atMs: nowMs - 29 * DAY_MS }),
      delta({ service: 'here', atMs: nowMs - 99 * DAY_MS }),
      delta({ service: 'again', username: 'u', atMs: nowMs - 1 }),
      delta({ service: 'again', atMs: nowMs - 99 * DAY_MS }),
    ]);
    expect(await book.forgetGone((name) => name === 'here', nowMs)).toEqual(['old']);
    expect(['old', 'recent', 'here', 'again'].map((name) => book.of(name)?.connections)).toEqual([
      undefined,
      3,
      3,
      6,
    ]);
    // What all have used together is what there was.
    expect(book.total.connections).toBe(15);
    expect(await book.forgetGone((name) => name === 'here', nowMs + DAY_MS / 2)).toEqual([]);
    expect(await book.forgetGone((name) => name === 'here', nowMs + 2 * DAY_MS)).toEqual(['recent']);
  });

  it('is bounded: what was used last stays', async () => {
    const book = createUsageBook();
    const gone = Array.from({ length: 100_003 }, (_, at) =>
      delta({ service: `s${at}`, atMs: 1_000 - (at % 7) }),
    );
    book.add(gone.map((one, at) => (at === 5_000 ? { ...one, atMs: 1 } : one)));
    book.add([delta({ service: 'here', atMs: 0 })]);
    const forgotten = await book.forgetGone((name) => name === 'here', 2_000);
    expect(forgotten.length).toBe(3);
    expect(forgotten).toContain('s5000');
    expect([book.of('s5000'), book.of('s7')?.connections]).toEqual([undefined, 3]);
  });
});

describe('the usage book', () => {
  it('goes on where the store stopped, by service and by user', () => {
    const book = createUsageBook();
    book.load([
      {
        service: 'web',
        username: '',
        upBytes: 10,
        downBytes: 20,
        connections: 1,
        refused: [['name_failed', 4]],
        firstAtMs: 5,
        lastAtMs: 50,
      },
      {
        service: 'web',
        username: 'ann',
        upBytes: 100,
        downBytes: 200,
        connections: 2,
        refused: [],
        firstAtMs: 5,
        lastAtMs: 70,
      },
    ]);
    book.add([
      delta({
        username: 'ann',
        refused: [
          ['name_failed', 1],
          ['connect_refused', 2],
        ],
      }),
      delta({ username: 'bob', atMs: 90 }),
      delta({ service: 'mail' }),
    ]);
    expect(book.of('web')).toMatchObject({
      upBytes: 112,
      downBytes: 224,
      connections: 9,
      refused: { name_failed: 5, connect_refused: 2 },
      lastAtMs: 100,
    });
    expect(book.of('web')?.users.get('ann')).toEqual({
      upBytes: 101,
      downBytes: 202,
      connections: 5,
      refused: { name_failed: 1, connect_refused: 2 },
    });
    // What no user has used, and what one has that the store did not know.
    expect(book.of('web')?.users.get('')).toMatchObject({ upBytes: 10, connections: 1 });
    expect(book.of('web')?.users.get('bob')).toMatchObject({ upBytes: 1, refused: {} });
    expect(book.of('mail')).toMatchObject({ upBytes: 1, downBytes: 2, connections: 3 });
  });

  it('knows who is online, and nothing of those who never came', () => {
    const book = createUsageBook();
    expect(book.of('web')).toBeUndefined();
    book.setPresence('web', 2);
    expect(book.of('web')).toMatchObject({ isOnline: true, upBytes: 0, lastAtMs: 0 });
    book.setPresence('web', 0);
    expect(book.of('web')?.isOnline).toBe(false);
    book.add([delta({})]);
    expect(book.of('web')?.isOnline).toBe(false);
  });

  it('takes names of objects for names', () => {
    const book = createUsageBook();
    for (const name of ['constructor', '__proto__', 'toString']) {
      expect(book.of(name)).toBeUndefined();
      book.add([delta({ service: name, username: name })]);
      expect(book.of(name)?.users.get(name)?.upBytes).toBe(1);
    }
  });
});
