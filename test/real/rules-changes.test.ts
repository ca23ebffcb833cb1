// Rules that change over the API and the command line while real connections stand: exactly those end that the new rules no
// longer allow, a dry run says so before, a mistake changes nothing, a rollback brings back what was, and a restart forgets
// nothing. What keeps standing keeps its bytes.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ListedConnection } from '../../src/api/connection-answer.ts';
import type { RulesAnswer, SnapshotAnswer } from '../../src/api/rule-schemas.ts';
import { type Client, connectTo } from './harness/client.ts';
import { counting } from './harness/counting.ts';
import { type Daemon, LOCAL, startDaemon } from './harness/daemon.ts';
import { echo, startServer } from './harness/origin.ts';
import { changeRules } from './harness/rules.ts';
import { until } from './harness/until.ts';

const EXIT_REFUSED = 1;
const EXIT_NOTHING = 3;

const EDGE = {
  inbounds: [{ tag: 'socks', type: 'socks5', listen: '127.0.0.1:0' }],
  outbounds: [LOCAL],
  services: ['alice', 'bob'].map((name) => ({ name, users: [{ username: name, password: 'x' }] })),
  rules: [{ id: 'filed', domain: 'filed.test', action: 'reject' }],
};

let daemon: Daemon;
let target = 0;
let socks = 0;

beforeAll(async () => {
  target = await startServer(echo);
  daemon = await startDaemon(EDGE);
  socks = await daemon.port('socks');
});

/** Through SOCKS5 to the echo. */
async function connectAs(username: string, localAddress = '127.0.0.1'): Promise<Client> {
  const client = await connectTo({ host: '127.0.0.1', port: socks, localAddress });
  standing.add(client);
  client.send([5, 1, 2]);
  await client.receive(2);
  client.send([1, username.length, ...Buffer.from(username), 1, 'x'.charCodeAt(0)]);
  await client.receive(2);
  client.send([5, 1, 0, 1, 127, 0, 0, 1, target >> 8, target & 255]);
  expect((await client.receive(10))[1]).toBe(0);
  await flows(client);
  return client;
}

async function flows(client: Client): Promise<void> {
  client.send('ping');
  expect((await client.receive(4)).toString()).toBe('ping');
}

const put = (body: object) => changeRules(daemon, body);

async function rulesNow(): Promise<RulesAnswer> {
  return JSON.parse((await daemon.api('GET', '/v1/rules')).text) as RulesAnswer;
}

async function snapshots(): Promise<readonly SnapshotAnswer[]> {
  const { text } = await daemon.api('GET', '/v1/rules/snapshots');
  return (JSON.parse(text) as { snapshots: SnapshotAnswer[] }).snapshots;
}

const standing = new Set<Client>();

/** So that the next test begins with the file's rules and nobody. */
afterEach(async () => {
  for (const client of standing) client.reset();
  standing.clear();
  await until('all connections have gone', async () => (await daemon.status()).totals.connections === 0);
  await put({ rules: [] });
});

const BAR = { id: 'bar', service: 'alice', source_ip_cidr: '127.0.0.7', action: 'reject' };

describe('a change of rules', () => {
  it('ends exactly whom it no longer allows, and tells before whom', async () => {
    const barred = [await connectAs('alice', '127.0.0.7'), await connectAs('alice', '127.0.0.7')];
    const others = [await connectAs('alice', '127.0.0.8'), await connectAs('bob', '127.0.0.7')];
    const before = await rulesNow();
    const dry = await put({ rules: [BAR], dry_run: true });
    expect(dry).toMatchObject({
      dry_run: true,
      reconciled: { matched: 2, ended: 0, by_service: { alice: 2 } },
    });
    const { stdout } = await daemon.cli('ps', '--source', '127.0.0.7', '--service', 'alice', '--json');
    const { connections } = JSON.parse(stdout) as { connections: ListedConnection[] };
    expect(dry.reconciled.sample.toSorted()).toEqual(connections.map(({ id }) => id).toSorted());
    expect(await rulesNow()).toEqual(before);
    for (const client of [...barred, ...others]) await flows(client);

    await counting(daemon, { rule_rejected: 2 }, async () => {
      const changed = await put({ rules: [BAR] });
      expect(changed).toMatchObject({
        added: ['bar'],
        rules: 2,
        reconciled: { ended: 2, undecided: 0, by_service: { alice: 2 }, by_inbound: { socks: 2 } },
      });
      expect(changed.reconciled.last_gone_us).toBeGreaterThan(0);
      for (const client of barred) expect((await client.rest()).end).toBe('reset');
    });
    for (const client of others) await flows(client);
    await counting(daemon, { rule_rejected: 1 }, async () => {
      await expect(connectAs('alice', '127.0.0.7')).rejects.toThrow();
    });
  });

  it('leaves everybody alone, or judges more, as it is told', async () => {
    const client = await connectAs('alice', '127.0.0.7');
    expect((await put({ rules: [BAR], reconcile: 'none' })).reconciled.ended).toBe(0);
    await flows(client);
    await put({ rules: [] });
    // Would go to another address: no rejection, but another treatment.
    const moved = { id: 'moved', service: 'alice', override_address: '127.0.0.9', outbound: 'direct' };
    expect((await put({ rules: [moved] })).reconciled.ended).toBe(0);
    await flows(client);
    await put({ rules: [], reconcile: 'none' });
    await counting(daemon, { rule_changed: 1 }, async () => {
      const all = await put({ rules: [moved], reconcile: 'all' });
      expect(all.reconciled.ended).toBe(1);
      expect((await client.rest()).end).toBe('reset');
    });
  });

  it('by ids replaces in place, adds at a place, and removes', async () => {
    const rule = (id: string, name = id) => ({ id, domain: `${name}.test`, action: 'reject' });
    await put({ rules: [rule('a'), rule('b'), rule('c')] });
    const list = [
      { id: 'b', rule: rule('b', 'other') },
      { id: 'x', rule: rule('x'), before: 'a' },
      { id: 'c', rule: null },
      { id: 'y', rule: rule('y') },
    ];
    const changed = await put({ patch: list });
    expect(changed).toMatchObject({ changed: ['b'], removed: ['c'] });
    expect(changed.added.toSorted()).toEqual(['x', 'y']);
    const { rules } = await rulesNow();
    expect(rules.map(({ id, owner }) => [id, owner])).toEqual([
      ['x', 'api'],
      ['a', 'api'],
      ['b', 'api'],
      ['y', 'api'],
      ['filed', 'file'],
    ]);
    expect(rules[2]?.rule).toEqual(rule('b', 'other'));
    await put({ patch: { a: null, y: rule('y', 'z') } });
    expect((await rulesNow()).rules.map(({ id }) => id)).toEqual(['x', 'b', 'y', 'filed']);
  });
});

describe('what is refused', () => {
  it('changes nothing, and says everything that is wrong', async () => {
    await put({ rules: [BAR] });
    const before = await rulesNow();
    const wrong = [
      { ...BAR, id: 'x', ip_cidr: ['10.0.0.0/8', '10.0.0.256'] },
      { domian: 'a.test', action: 'reject' },
      { domain_regex: '(a)\\1', outbound: 'nowhere' },
    ];
    const refused = await daemon.api('PUT', '/v1/rules', { rules: wrong });
    expect(refused.status).toBe(422);
    const problem = JSON.parse(refused.text) as {
      code: string;
      mistakes: { path: string; nearest?: string }[];
    };
    expect(problem.code).toBe('rules_invalid');
    const paths = problem.mistakes.map(({ path }) => path);
    expect(paths.toSorted()).toEqual(
      ['rules[0].ip_cidr[1]', 'rules[1].domian', 'rules[2].domain_regex', 'rules[2].outbound'].toSorted(),
    );
    expect(problem.mistakes.find(({ path }) => path === 'rules[1].domian')?.nearest).toBe('domain');
    for (const [body, status, code] of [
      [{ rules: [{ ...BAR, id: 'filed' }] }, 409, 'rule_owned_by_file'],
      [{ patch: { filed: null } }, 409, 'rule_owned_by_file'],
      [{ patch: { nothing: null } }, 404, 'rule_unknown'],
      [{ rules: 'none' }, 422, 'request_invalid'],
    ] as const) {
      const answer = await daemon.api('PUT', '/v1/rules', body);
      expect([answer.status, JSON.parse(answer.text)], JSON.stringify(body)).toEqual([
        status,
        expect.objectContaining({ code }),
      ]);
    }
    expect(await rulesNow()).toEqual(before);
  });

  it('is refused by the command line too, with its exit codes', async () => {
    const file = join(daemon.directory, 'rules.yaml');
    writeFileSync(file, '- { id: a, domian: a.test, action: reject }\n');
    const refused = await daemon.cli('rules', 'put', file);
    expect(refused.code).toBe(EXIT_REFUSED);
    expect(refused.stderr).toContain('rules[0].domian: ');
    expect((await daemon.cli('rules', 'delete', 'nobody')).code).toBe(EXIT_NOTHING);
    expect((await daemon.cli('rules', 'rollback', '999999')).code).toBe(EXIT_NOTHING);
    const { revision } = await rulesNow();
    writeFileSync(file, '- { id: a, domain: a.test, action: reject }\n');
    const late = await daemon.cli('rules', 'put', file, '--if-match', String(revision + 1));
    expect([late.code, late.stderr]).toEqual([EXIT_REFUSED, expect.stringContaining(String(revision))]);
    const done = await daemon.cli('rules', 'put', file, '--if-match', String(revision));
    expect([done.code, done.stdout]).toEqual([0, expect.stringContaining(`revision ${revision + 1}`)]);
    expect((await daemon.cli('rules', 'show', 'a')).stdout).toContain('domain: a.test');
    expect((await daemon.cli('rules', 'delete', 'a')).code).toBe(0);
  });
});

describe('the way back', () => {
  it('brings the rules of an earlier snapshot in force again, and whoever they refuse ends', async () => {
    const { snapshot } = await put({ rules: [BAR] });
    await put({ rules: [] });
    const client = await connectAs('alice', '127.0.0.7');
    const back = await daemon.cli('rules', 'rollback', String(snapshot), '--json');
    expect(JSON.parse(back.stdout)).toMatchObject({ rollback_of: snapshot, reconciled: { ended: 1 } });
    expect((await client.rest()).end).toBe('reset');
    expect((await rulesNow()).rules.map(({ id }) => id)).toEqual(['bar', 'filed']);
  });

  it('is kept for the last snapshots; all others are released once nobody reads them', async () => {
    for (let round = 0; round < 12; round++) await put({ rules: [{ ...BAR, port: round + 1 }] });
    const left = async () =>
      (await snapshots()).filter(({ state }) => !['released', 'failed'].includes(state));
    await until('only one snapshot is left', async () => (await left()).length === 1);
    expect(await left()).toMatchObject([{ state: 'in_force', pins: 0, can_roll_back: true }]);
    const all = await snapshots();
    expect(all.filter((one) => one.can_roll_back).length).toBeGreaterThanOrEqual(8);
    const released = all.find(({ state }) => state === 'released') as SnapshotAnswer;
    const times = [released.compiled_at, released.published_at, released.retired_at, released.released_at];
    expect(times.map(String)).toEqual(times.map(String).toSorted());
  });

  it('goes over a restart and a reload: the API owns what it was given', async () => {
    const client = await connectAs('bob');
    await put({ rules: [BAR] });
    const { revision } = await rulesNow();
    expect((await daemon.cli('reload')).code).toBe(0);
    expect((await rulesNow()).rules.map(({ id }) => id)).toEqual(['bar', 'filed']);
    await flows(client);
    client.reset();
    expect(await daemon.stop()).toBe(0);
    const store = join(daemon.directory, 'sluice.db');
    daemon = await startDaemon({ ...EDGE, store, admin: { socket: './sluice.sock' } });
    socks = await daemon.port('socks');
    expect(await rulesNow()).toMatchObject({ revision, rules: [{ id: 'bar' }, { id: 'filed' }] });
    await expect(connectAs('alice', '127.0.0.7')).rejects.toThrow();
  });
});
