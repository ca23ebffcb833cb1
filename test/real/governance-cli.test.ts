// ps, evict and services of the built command line, beside a daemon with real connections: what is listed is who is there,
// what is evicted ends, exactly that, and nobody else's bytes are disturbed.

import { beforeAll, describe, expect, it } from 'vitest';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ListedConnection } from '../../src/api/connection-answer.ts';
import type { ServiceAnswer } from '../../src/api/service-answer.ts';
import { type Client, connectTo } from './harness/client.ts';
import { type Daemon, LOCAL, SLUICE, startDaemon } from './harness/daemon.ts';
import { echo, startServer } from './harness/origin.ts';
import { missing, run, start } from './harness/programs.ts';
import { until, within } from './harness/until.ts';

const EXIT_REFUSED = 1;
const EXIT_USAGE = 2;
const EXIT_NOTHING = 3;
const EXIT_INTERRUPTED = 130;

let daemon: Daemon;
let target = 0;
let socks = 0;
let web = 0;

beforeAll(async () => {
  target = await startServer(echo);
  daemon = await startDaemon({
    inbounds: [
      { tag: 'socks', type: 'socks5', listen: '127.0.0.1:0' },
      { tag: 'web', type: 'forward', listen: '127.0.0.1:0', service: 'web', target: `127.0.0.1:${target}` },
    ],
    outbounds: [LOCAL],
    services: [
      {
        name: 'team',
        users: [
          { username: 'alice', password: 'a' },
          { username: 'bob', password: 'b' },
        ],
      },
      { name: 'web' },
    ],
  });
  socks = await daemon.port('socks');
  web = await daemon.port('web');
});

/** Through SOCKS5 to the echo, as a user; its bytes are known to flow. */
async function asUser(username: string, localAddress = '127.0.0.1'): Promise<Client> {
  const client = await connectTo({ host: '127.0.0.1', port: socks, localAddress });
  client.send([5, 1, 2]);
  await client.receive(2);
  client.send([1, username.length, ...Buffer.from(username), 1, username.charCodeAt(0)]);
  expect([...(await client.receive(2))]).toEqual([1, 0]);
  client.send([5, 1, 0, 1, 127, 0, 0, 1, target >> 8, target & 255]);
  expect((await client.receive(10))[1]).toBe(0);
  await flows(client);
  return client;
}

async function throughWeb(): Promise<Client> {
  const client = await connectTo(web);
  await flows(client);
  return client;
}

async function flows(client: Client): Promise<void> {
  client.send('ping');
  expect((await client.receive(4)).toString()).toBe('ping');
}

async function listed(...words: string[]): Promise<ListedConnection[]> {
  const { code, stdout, stderr } = await daemon.cli('ps', '--json', ...words);
  expect([code, stderr]).toEqual([0, '']);
  return (JSON.parse(stdout) as { connections: ListedConnection[] }).connections;
}

/** So that the next test counts from nothing. */
async function endAll(...clients: Client[]): Promise<void> {
  for (const client of clients) client.reset();
  await until('all connections have gone', async () => (await daemon.status()).totals.connections === 0);
}

describe('sluice ps', () => {
  it('lists who is there, and only whom a filter names', async () => {
    const alice = await asUser('alice', '127.0.0.7');
    const bob = await asUser('bob');
    const visitor = await throughWeb();
    const all = await listed();
    expect(
      all.map(({ service, user, inbound, state }) => [service, user, inbound, state]).toSorted(),
    ).toEqual([
      ['team', 'alice', 'socks', 'relaying'],
      ['team', 'bob', 'socks', 'relaying'],
      ['web', null, 'web', 'relaying'],
    ]);
    const [one, ...others] = await listed('--user', 'alice');
    expect(others).toEqual([]);
    expect(one).toMatchObject({
      source: `127.0.0.7:${alice.socket.localPort}`,
      outbound: 'direct',
      target: `127.0.0.1:${target}`,
      bytes_up: 4,
      bytes_down: 4,
    });
    expect(Math.abs(Date.now() - Date.parse(one?.started_at ?? '') - (one?.age_ms ?? 0))).toBeLessThan(5_000);
    const ids = async (...words: string[]) => (await listed(...words)).map(({ id }) => id);
    expect(await ids('--source', '127.0.0.7')).toEqual([one?.id]);
    expect(await ids('--source', '127.0.0.4/30', '--service', 'team')).toEqual([one?.id]);
    expect(await ids('--inbound', 'socks')).toHaveLength(2);
    expect(await ids('--outbound', 'direct', '--service', 'web')).toHaveLength(1);
    expect(await ids('--service', 'web', '--user', 'alice')).toEqual([]);
    const { stdout } = await daemon.cli('ps');
    expect(stdout.split('\n')[0]).toMatch(
      /^ID +SERVICE +USER +SOURCE +INBOUND +OUTBOUND +TARGET +STATE +UP +DOWN +AGE$/,
    );
    expect(stdout.trimEnd().split('\n')).toHaveLength(4);
    await endAll(alice, bob, visitor);
  });

  it('pages through more than one page, in order and each once', async () => {
    const clients = await Promise.all(Array.from({ length: 25 }, throughWeb));
    const seen: string[] = [];
    let cursor = '';
    do {
      const { text } = await daemon.api('GET', `/v1/connections?limit=7&service=web${cursor}`);
      const page = JSON.parse(text) as {
        connections: ListedConnection[];
        next: string | null;
        total: number;
      };
      expect(page.total).toBe(25);
      seen.push(...page.connections.map(({ id }) => id));
      cursor = page.next === null ? '' : `&cursor=${page.next}`;
    } while (cursor !== '');
    expect(seen).toHaveLength(25);
    expect(new Set(seen).size).toBe(25);
    const { stdout } = await daemon.cli('ps', '--limit', '10');
    expect(stdout).toContain('the first 10 of 25; --limit shows more');
    await endAll(...clients);
  });

  it('shows everybody who stays, however many come and go meanwhile', async () => {
    const held = await Promise.all(Array.from({ length: 12 }, throughWeb));
    const ids = new Set((await listed('--service', 'web')).map(({ id }) => id));
    expect(ids.size).toBe(12);
    let isOver = false;
    let passed = 0;
    const churn = Array.from({ length: 8 }, async () => {
      while (!isOver) {
        const client = await throughWeb();
        passed++;
        client.reset();
      }
    });
    const lists = ['service=web', 'inbound=web', 'outbound=direct', 'source=127.0.0.1', ''];
    let looks = 0;
    while (looks < 200 || passed < 200) {
      const { text } = await daemon.api('GET', `/v1/connections?limit=1000&${lists[looks++ % lists.length]}`);
      const page = JSON.parse(text) as { connections: ListedConnection[] };
      const seen = page.connections.map(({ id }) => id);
      expect(new Set(seen).size).toBe(seen.length);
      expect([...ids].filter((id) => !seen.includes(id))).toEqual([]);
    }
    isOver = true;
    await Promise.all(churn);
    await endAll(...held);
  });

  it('names every mistake of a filter', async () => {
    const { code, stdout, stderr } = await daemon.cli(
      'ps',
      '--service',
      'teem',
      '--source',
      '10.0.0.1/8',
      '--rule',
      'x',
    );
    expect([code, stdout]).toEqual([EXIT_REFUSED, '']);
    expect(stderr).toContain('service: found "teem"');
    expect(stderr).toContain('did you mean "team"?');
    expect(stderr).toContain('source: "10.0.0.1/8" is not a network');
    expect(stderr).toContain('rule: ');
    expect(stderr).toContain('3 mistakes');
  });

  it('is watched until Ctrl-C, and status too', async () => {
    const client = await throughWeb();
    for (const words of [
      ['ps', '--watch', '100ms'],
      ['status', '-w', '0.1'],
    ]) {
      const watching = start([SLUICE, ...words, '--socket', join(daemon.directory, 'sluice.sock')]);
      const times = () =>
        watching.output().match(words[0] === 'ps' ? /^ID /gm : /^sluice +\d/gm)?.length ?? 0;
      await until('it has printed three times', () => times() >= 3);
      watching.signal('SIGINT');
      expect(await within('it ends', watching.ended)).toBe(0);
      expect(watching.output()).not.toContain('\u001b');
    }
    await endAll(client);
  });

  it.skipIf(missing('script'))('clears a terminal between two looks', async () => {
    const socket = join(daemon.directory, 'sluice.sock');
    // `exec`: a shell that stays would get the Ctrl-C too, and dash then ends by it whatever its command answered.
    const watching = start([
      'script',
      '-qec',
      `exec ${SLUICE} ps --watch 100ms --socket ${socket}`,
      '/dev/null',
    ]);
    await until('it has cleared twice', () => watching.output().split('\u001b[H\u001b[2J').length > 2);
    // What Ctrl-C is on a terminal.
    watching.stdin.write('\u0003');
    expect(await within('it ends', watching.ended)).toBe(0);
  });
});

describe('/metrics', () => {
  it.skipIf(missing('promtool'))('has nothing that promtool complains of', async () => {
    const { text } = await daemon.api('GET', '/metrics');
    const { code, stdout, stderr } = await run(['promtool', 'check', 'metrics'], {
      input: Buffer.from(text),
    });
    expect([code, stdout, stderr]).toEqual([0, '', '']);
  });
});

describe('sluice evict', () => {
  it('ends exactly whom it names; everybody else goes on', async () => {
    const alice = [await asUser('alice'), await asUser('alice', '127.0.0.9')];
    const bob = await asUser('bob');
    const visitor = await throughWeb();
    const dry = await daemon.cli('evict', '--user', 'alice', '--dry-run', '--json');
    expect(JSON.parse(dry.stdout)).toMatchObject({
      state: 'done',
      dry_run: true,
      matched: 2,
      closed: 0,
      by_service: { team: 2 },
      by_inbound: { socks: 2 },
      filter: { user: 'alice' },
    });
    await Promise.all([...alice, bob, visitor].map(flows));

    const { code, stdout } = await daemon.cli('evict', '--user', 'alice', '--source', '127.0.0.9');
    expect([code, stdout]).toEqual([
      0,
      expect.stringMatching(/^eviction \d+ done: 1 closed of 1 matched in /),
    ]);
    expect((await (alice[1] as Client).rest()).end).toBe('reset');
    await Promise.all([alice[0] as Client, bob, visitor].map(flows));

    expect((await daemon.cli('evict', '--service', 'team')).code).toBe(0);
    for (const client of [alice[0] as Client, bob]) expect((await client.rest()).end).toBe('reset');
    await flows(visitor);
    expect((await daemon.cli('evict', '--service', 'team')).code).toBe(EXIT_NOTHING);
    const { evictions, ended } = await daemon.status();
    expect(evictions).toMatchObject({ closed: 3, running: 0 });
    expect(ended['evicted']).toBe(3);
    expect((await daemon.api('GET', '/metrics')).text).toContain('sluice_evicted_connections_total 3\n');
    await endAll(visitor);
  });

  it('ends one connection by its id, with a FIN if asked, and no other that has the slot later', async () => {
    const client = await throughWeb();
    const [{ id } = { id: '' }] = await listed();
    const { code, stdout } = await daemon.cli('evict', id, '--fin', '--json');
    expect([code, JSON.parse(stdout)]).toEqual([0, expect.objectContaining({ closed: 1, matched: 1 })]);
    expect((await client.rest()).end).toBe('fin');
    client.socket.destroy();
    const another = await throughWeb();
    const again = await daemon.cli('evict', id);
    expect([again.code, again.stdout]).toEqual([EXIT_NOTHING, '']);
    expect(again.stderr).toContain(`no connection "${id}" lives`);
    await flows(another);
    await endAll(another);
  });

  it('wants to be told whom, and takes everybody only by that word', async () => {
    const client = await throughWeb();
    expect((await daemon.cli('evict')).code).toBe(EXIT_USAGE);
    const { code, stderr } = await daemon.cli('evict', '--all', '--service', 'web', '--rate', '5');
    expect(code).toBe(EXIT_REFUSED);
    expect(stderr).toContain('all: "all" together with "service"');
    expect(stderr).toContain('rate: "5" ');
    await flows(client);
    expect((await daemon.cli('evict', '--all')).code).toBe(0);
    expect((await client.rest()).end).toBe('reset');
  });

  it('spreads an eviction over time, and leaves the rest alone at Ctrl-C', async () => {
    const clients = await Promise.all(Array.from({ length: 30 }, throughWeb));
    const socket = join(daemon.directory, 'sluice.sock');
    const evicting = start([SLUICE, 'evict', '--service', 'web', '--rate', '4/s', '--socket', socket]);
    await until('the first have gone', async () => ((await daemon.status()).totals.connections ?? 0) <= 28);
    evicting.signal('SIGINT');
    expect(await within('it ends', evicting.ended)).toBe(EXIT_INTERRUPTED);
    expect(evicting.output()).toMatch(/eviction \d+ cancelled: \d+ closed of at most 30 in /);
    expect(evicting.output()).toContain('interrupted; the connections that are left go on');
    await until('nothing runs', async () => (await daemon.status()).evictions.running === 0);
    const left = (await daemon.status()).totals.connections;
    expect(left).toBeGreaterThan(0);
    const alive = () => clients.filter(({ socket: one }) => !one.destroyed);
    await until('the clients know of it', () => alive().length === left);
    const living = alive();
    await Promise.all(living.map(flows));
    await endAll(...living);
  });

  it.skipIf(missing('script'))('shows on a terminal how far it is', async () => {
    const clients = await Promise.all(Array.from({ length: 12 }, throughWeb));
    const socket = join(daemon.directory, 'sluice.sock');
    const evicting = start([
      'script',
      '-qec',
      `${SLUICE} evict --all --rate 5/s --socket ${socket}`,
      '/dev/null',
    ]);
    expect(await within('it ends', evicting.ended)).toBe(0);
    expect(evicting.output()).toMatch(/evicting: \d+ closed of at most 12, \d+ s/);
    expect(evicting.output()).toMatch(/eviction \d+ done: 12 closed of 12 matched/);
    for (const client of clients) expect((await client.rest()).end).toBe('reset');
  });
});

describe('sluice services', () => {
  const file = (name: string, content: unknown) => {
    const fileName = join(daemon.directory, name);
    writeFileSync(fileName, JSON.stringify(content));
    return fileName;
  };
  const show = async (name: string) => {
    const { code, stdout } = await daemon.cli('services', 'show', name, '--json');
    expect(code).toBe(0);
    return JSON.parse(stdout) as ServiceAnswer;
  };

  it('creates, changes, disables and deletes a service, and ends whom that concerns', async () => {
    const carol = { name: 'carol', users: [{ username: 'carol', password: 'c' }] };
    const put = await daemon.cli('services', 'put', file('carol.json', carol));
    expect([put.code, put.stdout]).toEqual([
      0,
      expect.stringMatching(/^service carol: created, revision 1, /),
    ]);
    const client = await asUser('carol');
    const bystander = await throughWeb();
    expect(await show('carol')).toMatchObject({
      owner: 'api',
      connections: 1,
      users: [{ username: 'carol' }],
    });

    // Still allowed: nobody notices.
    const narrowed = await daemon.cli('services', 'set', 'carol', 'sources=[127.0.0.0/8]');
    expect(narrowed.stdout).toContain('0 connections ended');
    await flows(client);
    const stale = await daemon.cli('services', 'set', 'carol', 'enabled=false', '--if-match', '1');
    expect([stale.code, stale.stderr]).toEqual([EXIT_REFUSED, expect.stringContaining('2')]);
    await flows(client);
    const disabled = await daemon.cli('services', 'disable', 'carol', '--if-match', '2');
    expect([disabled.code, disabled.stdout]).toEqual([0, expect.stringContaining('1 connections ended')]);
    expect((await client.rest()).end).toBe('reset');
    await flows(bystander);
    expect((await daemon.cli('services', 'enable', 'carol')).code).toBe(0);
    await endAll(await asUser('carol'), bystander);
    expect((await daemon.cli('services', 'delete', 'carol')).code).toBe(0);
    expect((await daemon.cli('services', 'show', 'carol')).code).toBe(EXIT_NOTHING);
  });

  it('loads many, lists them in pages, and replaces them', async () => {
    const services = Array.from({ length: 1_200 }, (_, at) => ({
      name: `bulk-${String(at).padStart(4, '0')}`,
      users: [{ username: `user-${at}`, password: 'p' }],
    }));
    const loaded = await daemon.cli('services', 'load', file('bulk.json', { services }));
    expect([loaded.code, loaded.stderr]).toEqual([0, '']);
    expect(loaded.stdout).toContain('1200 services: loaded, 1200 added');
    const names = await daemon.cli('services', '--owner', 'api', '--names', '--limit', '5000');
    expect(names.stdout.trimEnd().split('\n')).toEqual(services.map(({ name }) => name));
    expect((await daemon.cli('services', '--limit', '3')).stdout.trimEnd().split('\n')).toHaveLength(5);
    const replaced = await daemon.cli(
      'services',
      'load',
      '--replace',
      file('few.json', services.slice(0, 2)),
    );
    expect(replaced.stdout).toContain('1198 removed');
    const left = await daemon.cli('services', 'list', '--owner', 'api', '--names');
    expect(left.stdout).toBe('bulk-0000\nbulk-0001\n');
  });

  it('is refused with every mistake, and nothing changes', async () => {
    const wrong = {
      name: 'dave',
      rate: { up: '20' },
      gate: { rat: '5/s' },
      users: [{ username: 'alice', password: 'x' }],
    };
    const { code, stdout, stderr } = await daemon.cli('services', 'put', file('wrong.json', wrong));
    expect([code, stdout]).toEqual([EXIT_REFUSED, '']);
    expect(stderr).toContain('rate.up: ');
    expect(stderr).toContain('did you mean "rate"?');
    expect((await daemon.cli('services', 'show', 'dave')).code).toBe(EXIT_NOTHING);
    const owned = await daemon.cli('services', 'disable', 'team');
    expect([owned.code, owned.stderr]).toEqual([EXIT_REFUSED, expect.stringContaining('file')]);
    expect((await show('team')).enabled).toBe(true);
  });
});
