// ps, evict and services against a daemon that answers as it is told, and notes what it is asked.

import { describe, expect, it } from 'vitest';
import { standIn } from './cli.fixture.ts';

const stand = standIn();

const connection = (slot: number) => ({
  id: `0-${slot}-1`,
  service: 'alice',
  user: null,
  source: '10.0.0.1:4000',
  inbound: 'socks',
  outbound: 'direct',
  rule: null,
  snapshot: null,
  target: '192.0.2.1:443',
  state: 'relaying',
  bytes_up: 1_500,
  bytes_down: 0,
  started_at: '2026-01-01T00:00:00.000Z',
  age_ms: 61_000,
});

const eviction = {
  id: 7,
  state: 'done',
  note: null,
  dry_run: false,
  total: 5,
  matched: 3,
  closed: 3,
  duration_us: 1_234,
  worker_us: 50,
  started_at: '2026-01-01T00:00:00.000Z',
  last_gone_at: null,
  by_service: { alice: 1, bob: 2 },
  by_inbound: { socks: 3 },
  filter: {},
};

const refusal = {
  detail: 'the request has 2 mistakes; nothing has changed',
  code: 'request_invalid',
  mistakes: [
    {
      path: 'service',
      found: '"alise"',
      expected: 'a name',
      message: 'found "alise"; did you mean "alice"?',
    },
    { path: '', found: 'no filter', expected: 'one', message: 'no filter' },
  ],
};

describe('sluice ps', () => {
  it('prints an aligned table of all pages up to the limit', async () => {
    await stand.daemon(({ path }) => {
      const from = Number(/cursor=0-(\d+)/.exec(path)?.[1] ?? -1) + 1;
      const count = Number(/limit=(\d+)/.exec(path)?.[1]);
      const connections = Array.from({ length: count }, (_, at) => connection(from + at));
      return [200, { connections, next: `0-${from + count - 1}`, total: 5_000 }];
    });
    expect(await stand.run('ps', '--service', 'alice', '--source', '2001:db8::/32', '--limit', '1500')).toBe(
      0,
    );
    expect(stand.asked.map(({ path }) => path)).toEqual([
      '/v1/connections?service=alice&source=2001%3Adb8%3A%3A%2F32&limit=1000',
      '/v1/connections?service=alice&source=2001%3Adb8%3A%3A%2F32&limit=500&cursor=0-999',
    ]);
    const lines = stand.printed.trimEnd().split('\n');
    expect(lines).toHaveLength(1 + 1_500 + 1);
    expect(lines[0]).toBe(
      'ID        SERVICE  USER  SOURCE         INBOUND  OUTBOUND  TARGET         STATE         UP  DOWN    AGE',
    );
    expect(lines[1]).toBe(
      '0-0-1     alice    -     10.0.0.1:4000  socks    direct    192.0.2.1:443  relaying  1.5 kB   0 B  1m 1s',
    );
    expect(lines.at(-1)).toBe('the first 1500 of 5000; --limit shows more');
  });

  it('prints JSON, refusals with every mistake, and wrong use', async () => {
    let isRefused = false;
    await stand.daemon(() =>
      isRefused ? [422, refusal] : [200, { connections: [connection(1)], next: null, total: 1 }],
    );
    expect(await stand.run('ps', '--json')).toBe(0);
    expect(JSON.parse(stand.printed)).toEqual({ connections: [connection(1)], total: 1, more: false });
    isRefused = true;
    expect(await stand.run('ps', '--service', 'alise')).toBe(1);
    expect(stand.complained).toBe(
      'service: found "alise"; did you mean "alice"?\nno filter\nsluice: the request has 2 mistakes; nothing has changed\n',
    );
    for (const wrong of [
      ['--limit', '0'],
      ['--limit', 'x'],
      ['--watch', '0.01'],
      ['--watch', 'often'],
      ['extra'],
    ]) {
      expect(await stand.run('ps', ...wrong), wrong.join(' ')).toBe(2);
    }
  });

  it('watches until Ctrl-C, which is no failure', async () => {
    await stand.daemon(() => {
      if (stand.asked.length === 3) process.emit('SIGINT');
      return [200, { connections: [connection(stand.asked.length)], next: null }];
    });
    expect(await stand.run('ps', '--watch', '100ms')).toBe(0);
    expect(stand.asked).toHaveLength(3);
    // Into a pipe they follow each other; nothing is cleared.
    expect(stand.printed.match(/^ID /gm)).toHaveLength(3);
    expect(stand.printed).not.toContain('\u001b');
    expect(process.listenerCount('SIGINT')).toBe(0);
  });
});

describe('sluice evict', () => {
  it('asks for exactly what the options say', async () => {
    await stand.daemon(() => [200, eviction]);
    const filters = ['service', 'user', 'source', 'inbound', 'outbound', 'rule'];
    const words = filters.flatMap((key) => [`--${key}`, `${key}-x`]);
    expect(await stand.run('evict', ...words, '--dry-run', '--fin', '--rate', '100/s')).toBe(0);
    expect(await stand.run('evict', '--all')).toBe(0);
    expect(await stand.run('evict', '0-5-1')).toBe(0);
    expect(await stand.run('evict', '0-5-1', '--fin')).toBe(0);
    const filter = Object.fromEntries(filters.map((key) => [key, `${key}-x`]));
    expect(stand.asked).toEqual([
      {
        method: 'POST',
        path: '/v1/evictions',
        body: { ...filter, dry_run: true, close: 'fin', rate: '100/s' },
      },
      { method: 'POST', path: '/v1/evictions', body: { all: true } },
      { method: 'DELETE', path: '/v1/connections/0-5-1', body: undefined },
      { method: 'DELETE', path: '/v1/connections/0-5-1?close=fin', body: undefined },
    ]);
    expect(stand.printed).toContain(
      'eviction 7 done: 3 closed of 3 matched in 1.23 ms (0.05 ms of the workers)\n',
    );
    expect(stand.printed).toMatch(/^bob +2\nalice +1$/m);
  });

  it('asks for nothing where nothing was named, or too much', async () => {
    await stand.daemon(() => [200, eviction]);
    for (const wrong of [
      [],
      ['--dry-run'],
      ['0-5-1', '--all'],
      ['0-5-1', '--service', 'a'],
      ['0-5-1', '--dry-run'],
    ]) {
      expect(await stand.run('evict', ...wrong), wrong.join(' ')).toBe(2);
    }
    expect(stand.asked).toEqual([]);
  });

  it('tells refused, not there and nothing matched apart', async () => {
    let answer: readonly [number, unknown] = [422, refusal];
    await stand.daemon(() => answer);
    expect(await stand.run('evict', '--service', 'alise')).toBe(1);
    expect(stand.complained).toContain('service: found "alise"');
    answer = [404, { detail: 'no connection "0-5-1" lives' }];
    expect(await stand.run('evict', '0-5-1')).toBe(3);
    expect(stand.complained).toContain('no connection "0-5-1" lives');
    answer = [200, { ...eviction, matched: 0, closed: 0, by_service: {}, by_inbound: {} }];
    expect(await stand.run('evict', '--service', 'alice')).toBe(3);
    answer = [200, { ...eviction, state: 'failed' }];
    expect(await stand.run('evict', '--service', 'alice')).toBe(1);
  });

  it('follows what takes long to its end, or does not wait', async () => {
    await stand.daemon(({ method }) =>
      method === 'POST'
        ? [202, { ...eviction, state: 'running', closed: 1 }]
        : [200, { ...eviction, state: stand.asked.length < 4 ? 'running' : 'done' }],
    );
    expect(await stand.run('evict', '--all', '--rate', '1/s', '--json')).toBe(0);
    expect(JSON.parse(stand.printed)).toMatchObject({ state: 'done', closed: 3 });
    expect(stand.asked.slice(1).every(({ path }) => path === '/v1/evictions/7')).toBe(true);
    stand.asked = [];
    stand.printed = '';
    expect(await stand.run('evict', '--all', '--no-wait')).toBe(0);
    expect(stand.asked).toHaveLength(1);
    expect(stand.printed).toContain('eviction 7 running: 1 closed of at most 5 so far');
  });

  it('cancels the rest at Ctrl-C, and says so', async () => {
    await stand.daemon(({ method }) => {
      if (method === 'GET') process.emit('SIGINT');
      return [
        method === 'POST' ? 202 : 200,
        { ...eviction, state: method === 'DELETE' ? 'cancelled' : 'running' },
      ];
    });
    expect(await stand.run('evict', '--all', '--rate', '1/s')).toBe(130);
    expect(stand.asked.at(-1)).toMatchObject({ method: 'DELETE', path: '/v1/evictions/7' });
    expect(stand.printed).toContain('eviction 7 cancelled: 3 closed of at most 5 in');
    expect(stand.complained).toContain('interrupted; the connections that are left go on');
    expect(process.listenerCount('SIGINT')).toBe(0);
  });
});

describe('sluice services', () => {
  const alice = {
    name: 'alice',
    owner: 'api',
    enabled: true,
    revision: 4,
    users: [
      {
        username: 'alice',
        usage: { connections: 3, bytes_up: 1_000, bytes_down: 2, refused: { auth_failed: 2, evicted: 1 } },
      },
    ],
    connections: 12,
    outbound: null,
    usage: { bytes_up: 1_000, bytes_down: 2 },
  };

  function file(text: string): string {
    return stand.file('services', text);
  }

  it('lists them, as table, JSON and names, page after page', async () => {
    await stand.daemon(({ path }) =>
      path.includes('cursor=alice')
        ? [200, { services: [{ ...alice, name: 'bob', enabled: false }], next: null }]
        : [200, { services: [alice], next: 'alice' }],
    );
    expect(await stand.run('services', '--owner', 'api', '--online')).toBe(0);
    expect(stand.asked[0]?.path).toBe('/v1/services?limit=1000&owner=api&online=true');
    expect(stand.printed).toBe(
      'SERVICE  OWNER  STATE     REVISION  USERS  CONNECTIONS      UP  DOWN  OUTBOUND\n' +
        'alice    api    enabled          4      1           12  1.0 kB   2 B  -\n' +
        'bob      api    disabled         4      1           12  1.0 kB   2 B  -\n',
    );
    stand.printed = '';
    expect(await stand.run('services', 'list', '--names')).toBe(0);
    expect(stand.printed).toBe('alice\nbob\n');
    stand.printed = '';
    expect(await stand.run('services', 'list', '--limit', '1', '--json')).toBe(0);
    expect(JSON.parse(stand.printed)).toEqual({ services: [alice], more: true });
    expect(await stand.run('services', '--owner', 'somebody')).toBe(2);
    expect(await stand.run('services', 'lst')).toBe(2);
  });

  it('shows one, or says that there is none', async () => {
    await stand.daemon(({ path }) =>
      path === '/v1/services/a%2Fb' ? [200, alice] : [404, { detail: 'no service' }],
    );
    expect(await stand.run('services', 'show', 'a/b')).toBe(0);
    expect(stand.printed).toContain('name: alice\nowner: api\n');
    expect(stand.printed).toContain('users:\n  - username: alice\nconnections: 12\n');
    expect(stand.printed).toContain(
      '\nUSER   CONNECTIONS      UP  DOWN  REFUSED\nalice            3  1.0 kB   2 B        3\n',
    );
    expect(await stand.run('services', 'show', 'nobody')).toBe(3);
  });

  it('puts what a file says, under its name', async () => {
    await stand.daemon(() => [201, { ...alice, effective_us: 1_500 }]);
    expect(
      await stand.run('services', 'put', file('name: alice\nrate: { up: 20mbit }\n'), '--if-match', '3'),
    ).toBe(0);
    expect(stand.asked).toEqual([
      {
        method: 'PUT',
        path: '/v1/services/alice',
        body: { name: 'alice', rate: { up: '20mbit' } },
        ifMatch: '"3"',
      },
    ]);
    expect(stand.printed).toBe('service alice: created, revision 4, in force after 1.50 ms\n');
    for (const wrong of ['[]', 'users: []\n', 'name: 5\n', '{', 'a: [\n']) {
      expect(await stand.run('services', 'put', file(wrong)), wrong).toBe(1);
    }
    expect(await stand.run('services', 'put', stand.path('missing'))).toBe(1);
    expect(stand.asked).toHaveLength(1);
  });

  it('sets single keys, as a merge patch', async () => {
    await stand.daemon(() => [200, { ...alice, reconciled: { ended: 2 } }]);
    const words = ['rate.up=20mbit', 'rate.down=null', 'gate=null', 'sources=[10.0.0.0/8]', 'enabled=false'];
    expect(await stand.run('services', 'set', 'alice', ...words)).toBe(0);
    expect(stand.asked[0]).toEqual({
      method: 'PATCH',
      path: '/v1/services/alice',
      body: { rate: { up: '20mbit', down: null }, gate: null, sources: ['10.0.0.0/8'], enabled: false },
    });
    expect(stand.printed).toContain('service alice: changed, revision 4, 2 connections ended\n');
    expect(await stand.run('services', 'disable', 'alice', '--if-match', '*')).toBe(0);
    expect(stand.asked[1]).toMatchObject({ body: { enabled: false }, ifMatch: '*' });
    expect(await stand.run('services', 'enable', 'alice')).toBe(0);
    expect(stand.asked[2]).toMatchObject({ body: { enabled: true } });
    for (const wrong of [['rate'], ['=5'], ['a..b=1'], []]) {
      expect(await stand.run('services', 'set', 'alice', ...wrong), wrong.join(' ')).toBe(2);
    }
    expect(stand.asked).toHaveLength(3);
    // What is no key of a service is the daemon's to refuse, and changes nothing here.
    expect(await stand.run('services', 'set', 'alice', '__proto__.polluted=yes')).toBe(0);
    expect(({} as { polluted?: string }).polluted).toBeUndefined();
  });

  it('deletes, and loads many at once', async () => {
    const warnings = [{ path: 'services[0].gate', message: 'is not enforced yet' }];
    const loaded = { added: 2, changed: 0, unchanged: 1, removed: 0, effective_us: 900, warnings };
    await stand.daemon(({ method }) => (method === 'DELETE' ? [204] : [200, loaded]));
    expect(await stand.run('services', 'delete', 'alice')).toBe(0);
    expect(stand.printed).toBe('service alice: deleted\n');
    const services = [{ name: 'a' }, { name: 'b' }];
    expect(await stand.run('services', 'load', file(JSON.stringify({ services })))).toBe(0);
    expect(stand.printed).toContain('2 services: loaded, 2 added, 1 unchanged, in force after 0.90 ms\n');
    expect(stand.complained).toBe('warning: services[0].gate: is not enforced yet\n');
    expect(await stand.run('services', 'load', file('- name: a\n- name: b\n'), '--replace')).toBe(0);
    expect(stand.asked.slice(1)).toEqual([
      { method: 'POST', path: '/v1/services', body: { services } },
      { method: 'PUT', path: '/v1/services', body: { services } },
    ]);
    expect(await stand.run('services', 'load', file('name: a\n'))).toBe(1);
  });

  it('passes on that somebody else was faster', async () => {
    await stand.daemon(() => [412, { detail: 'service alice is at revision 5' }]);
    expect(await stand.run('services', 'set', 'alice', 'enabled=true', '--if-match', '4')).toBe(1);
    expect(stand.complained).toBe('sluice: service alice is at revision 5\n');
  });
});
