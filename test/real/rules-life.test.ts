// The life of rule snapshots in a real daemon: no thread where there are no rules, many swaps under traffic that leave
// nothing behind, rule sets that change beside them, reloads that bind rules to other outbounds.

import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { RulesAnswer, SnapshotAnswer } from '../../src/api/rule-schemas.ts';
import { atEnd } from './harness/at-end.ts';
import { type Client, connectTo } from './harness/client.ts';
import { type Daemon, LOCAL, makeDirectory, SLUICE, startDaemon } from './harness/daemon.ts';
import { echo, startServer } from './harness/origin.ts';
import { run } from './harness/programs.ts';
import { changeRules } from './harness/rules.ts';
import { until } from './harness/until.ts';

const INBOUNDS = [{ tag: 'socks', type: 'socks5', listen: '127.0.0.1:0' }];
const SWAPS = 200;
const FURTHER_RULES = 300;
/** Replies of SOCKS5: refused by rules, no such host, failure; and none. */
const REFUSALS = [2, 4, 1];
const RESET = -1;

/** SOCKS5, nobody asked who they are. @returns the reply's code, and the connection where it is 0 */
async function ask(port: number, name: string, target: number): Promise<[code: number, client: Client]> {
  const client = await connectTo(port);
  client.send([5, 1, 0]);
  await client.receive(2);
  client.send([5, 1, 0, 3, name.length, ...Buffer.from(name), target >> 8, target & 255]);
  return [(await client.receive(10))[1] ?? -1, client];
}

async function flows(client: Client): Promise<void> {
  client.send('ping');
  expect((await client.receive(4)).toString()).toBe('ping');
}

const put = (daemon: Daemon, body: object) => changeRules(daemon, body);

async function rulesOf(daemon: Daemon): Promise<RulesAnswer> {
  return JSON.parse((await daemon.api('GET', '/v1/rules')).text) as RulesAnswer;
}

async function snapshotsOf(daemon: Daemon): Promise<readonly SnapshotAnswer[]> {
  const { text } = await daemon.api('GET', '/v1/rules/snapshots');
  return (JSON.parse(text) as { snapshots: SnapshotAnswer[] }).snapshots;
}

function threads({ pid }: Daemon): number {
  return readdirSync(`/proc/${pid}/task`).length;
}

async function living(daemon: Daemon): Promise<readonly SnapshotAnswer[]> {
  return (await snapshotsOf(daemon)).filter(({ state }) => state !== 'released' && state !== 'failed');
}

describe('a daemon without rules', () => {
  it('has no compiler, until the first rule comes', async () => {
    const daemon = await startDaemon({ inbounds: INBOUNDS });
    expect(await rulesOf(daemon)).toMatchObject({ snapshot: null, rules: [] });
    const before = threads(daemon);
    await put(daemon, { rules: [] });
    expect(threads(daemon)).toBe(before);
    await put(daemon, { rules: [{ id: 'a', port: 1, action: 'reject' }] });
    expect(threads(daemon)).toBeGreaterThan(before);
  });
});

describe('swaps under traffic', () => {
  it('judge every connection by one snapshot, end nobody else, and leave nothing behind', async () => {
    const target = await startServer(echo);
    const directory = { access_log: { path: './access.log' } };
    const daemon = await startDaemon({ inbounds: INBOUNDS, ...directory });
    const port = await daemon.port('socks');
    const [code, standing] = await ask(port, 'localhost', target);
    expect(code).toBe(0);
    await flows(standing);
    // Each snapshot refuses either the one name or the other, by rules far from each other: a mixture of two would let both
    // pass, or none.
    const rulesFor = (round: number) => [
      { id: 'first', domain: round % 2 === 0 ? 'even.test' : 'odd.test', action: 'reject' },
      ...Array.from({ length: FURTHER_RULES }, (_, place) => ({
        id: `r${place}`,
        domain: `${1000 + round}-${place}.test`,
        action: 'reject',
      })),
    ];
    await put(daemon, { rules: rulesFor(0) });
    await put(daemon, { rules: rulesFor(1) });
    await until('the first is released', async () => (await living(daemon)).length === 1);
    const used = (await daemon.status()).rules?.arena_words;
    let isOver = false;
    const traffic = (async () => {
      let asked = 0;
      for (; !isOver; asked++) {
        const name = asked % 2 === 0 ? 'even.test' : 'odd.test';
        // Refused by a rule, or as a name that nobody knows; or ended by the change that came while it was looked up.
        const [reply, client] = await ask(port, name, target).catch(() => [RESET, undefined] as const);
        expect([RESET, ...REFUSALS]).toContain(reply);
        client?.reset();
      }
      return asked;
    })();
    for (let round = 2; round < SWAPS; round++) {
      await put(daemon, { rules: rulesFor(round) });
    }
    isOver = true;
    expect(await traffic).toBeGreaterThan(10);
    await flows(standing);
    standing.reset();
    await until('only one snapshot lives', async () => (await living(daemon)).length === 1);
    expect((await daemon.status()).rules?.arena_words).toBe(used);

    await until(
      'the log is written',
      () => readFileSync(join(daemon.directory, 'access.log'), 'utf8').length > 0,
    );
    const lines = readFileSync(join(daemon.directory, 'access.log'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { rule: string | null; snapshot: number; reason: string });
    const judged = lines.filter(({ snapshot }) => snapshot > 0);
    expect(judged.length).toBeGreaterThan(10);
    // Those that a change has ended name the rule that had let them in.
    for (const { rule, reason } of judged) if (rule === 'first') expect(reason).toBe('rule_rejected');
    expect(judged.some(({ rule }) => rule === 'first')).toBe(true);
  });
});

describe('a rule set', () => {
  it('from a file comes into force when it is written; connections that it refuses end', async () => {
    const target = await startServer(echo);
    const lists = join(makeDirectory(), 'lists');
    mkdirSync(lists);
    const file = join(lists, 'sources.txt');
    writeFileSync(file, '192.0.2.0/24\n');
    const daemon = await startDaemon({
      inbounds: INBOUNDS,
      outbounds: [LOCAL],
      rule_sets: [{ tag: 'targets', path: file, format: 'networks' }],
      rules: [{ id: 'listed', rule_set: 'targets', action: 'reject' }],
    });
    const port = await daemon.port('socks');
    const client = await connectTo(port);
    client.send([5, 1, 0]);
    await client.receive(2);
    client.send([5, 1, 0, 1, 127, 0, 0, 1, target >> 8, target & 255]);
    expect((await client.receive(10))[1]).toBe(0);
    await flows(client);
    writeFileSync(`${file}.new`, '192.0.2.0/24\n127.0.0.1\n');
    renameSync(`${file}.new`, file);
    expect((await client.rest()).end).toBe('reset');
    expect((await snapshotsOf(daemon))[0]).toMatchObject({ cause: 'rule_set', state: 'in_force' });
  });

  it('from an address that is out of reach refuses a start only where there is no copy', async () => {
    let isWell = true;
    const server = createServer((_, response) =>
      isWell ? response.end('listed.test\n') : response.writeHead(500).end(),
    );
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    atEnd(() => void server.close());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/list`;
    const written = {
      inbounds: INBOUNDS,
      rule_sets: [{ tag: 'list', url, format: 'domains' }],
      rules: [{ id: 'listed', rule_set: 'list', action: 'reject' }],
    };
    const first = await startDaemon(written);
    const store = join(first.directory, 'sluice.db');
    expect(await first.stop()).toBe(0);
    isWell = false;
    const second = await startDaemon({ ...written, store, admin: { socket: './sluice.sock' } });
    const [code, client] = await ask(await second.port('socks'), 'listed.test', 80);
    expect(code).toBe(2);
    client.reset();
    const directory = makeDirectory();
    const file = join(directory, 'edge.yaml');
    writeFileSync(file, JSON.stringify(written));
    const refused = await run([SLUICE, 'run', '-c', file], { directory });
    expect([refused.code, refused.stderr + refused.stdout]).toEqual([
      1,
      expect.stringContaining('rule_set_unavailable'),
    ]);
  });
});

describe('a reload', () => {
  it('binds rules to the outbounds that it brings, and refuses to take away what a rule of the API names', async () => {
    const target = await startServer(echo);
    const other = { ...LOCAL, tag: 'other' };
    const daemon = await startDaemon({ inbounds: INBOUNDS, outbounds: [LOCAL] });
    const port = await daemon.port('socks');
    daemon.write({
      inbounds: INBOUNDS,
      outbounds: [LOCAL, other],
      rules: [{ id: 'other', port: target, outbound: 'other' }],
    });
    expect((await daemon.cli('reload')).code).toBe(0);
    const [code, client] = await ask(port, 'localhost', target);
    expect(code).toBe(0);
    const { stdout } = await daemon.cli('ps', '--outbound', 'other', '--json');
    expect((JSON.parse(stdout) as { connections: { rule: string }[] }).connections).toMatchObject([
      { rule: 'other' },
    ]);
    await put(daemon, { rules: [{ id: 'api', port: 9, outbound: 'other' }] });
    const before = await rulesOf(daemon);
    daemon.write({ inbounds: INBOUNDS, outbounds: [LOCAL] });
    const refused = await daemon.cli('reload');
    // One line for it, and the verdict: docs/runbooks/rules-orphaned.md.
    expect([refused.code, refused.stderr.split('\n')]).toEqual([
      1,
      [
        'rules[0].outbound: of the API: outbound "other" is not defined',
        expect.stringContaining('reload refused, nothing has changed'),
        '',
      ],
    ]);
    expect(await rulesOf(daemon)).toMatchObject({ snapshot: before.snapshot });
    await flows(client);
    client.reset();
  });
});
