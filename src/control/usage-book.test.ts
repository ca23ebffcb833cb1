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
