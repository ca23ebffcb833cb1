// Rule sets of the built daemon, from a file and from an address: what changes there is in force soon, what is broken there
// changes nothing and is told, what was fetched once outlasts the server, and what was never had refuses the start.

import { rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { RuleSetAnswer } from '../../src/api/rule-schemas.ts';
import { atEnd } from './harness/at-end.ts';
import { type Daemon, makeDirectory, SLUICE, startDaemon } from './harness/daemon.ts';
import { run } from './harness/programs.ts';
import { until } from './harness/until.ts';

const INBOUNDS = [{ tag: 'socks', type: 'socks5', listen: '127.0.0.1:0', service: 'default' }];
const START_REFUSED = 1;
/** A first fetch may take ten seconds before a start is refused. */
const REFUSAL_TIMEOUT_MS = 30_000;

const edge = (ruleSet: object) => ({
  inbounds: INBOUNDS,
  rule_sets: [{ tag: 'list', ...ruleSet }],
  rules: [{ id: 'barred', rule_set: 'list', action: 'reject' }],
});

/** Whether the rules in force reject a name. */
async function isBarred(daemon: Daemon, target: string): Promise<boolean> {
  const { text } = await daemon.api('POST', '/v1/rules/explain', { target, port: 443 });
  return (JSON.parse(text) as { action: string }).action === 'reject';
}

async function stateOf(daemon: Daemon): Promise<RuleSetAnswer> {
  const { text } = await daemon.api('GET', '/v1/rule-sets');
  return (JSON.parse(text) as { rule_sets: [RuleSetAnswer] }).rule_sets[0];
}

/** A server of one list, with an ETag for each content. */
async function startList(first: string) {
  const list = {
    content: first,
    status: 200,
    asked: [] as IncomingMessage['headers'][],
    url: '',
    close: () => {},
  };
  const server = createServer((request, response) => {
    list.asked.push(request.headers);
    const etag = `"${list.content.length}"`;
    const isKnown = list.status === 200 && request.headers['if-none-match'] === etag;
    response.writeHead(isKnown ? 304 : list.status, { etag }).end(isKnown ? '' : list.content);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  list.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/list.txt?token=hidden`;
  list.close = () => {
    server.closeAllConnections();
    server.close();
  };
  atEnd(list.close);
  return list;
}

describe('a rule set', () => {
  it('from a file is in force soon after it changed, and stays as it was while it is broken', async () => {
    const path = join(makeDirectory(), 'list.txt');
    writeFileSync(path, '||a.test^\n');
    const daemon = await startDaemon(edge({ path }));
    expect([await isBarred(daemon, 'x.a.test'), await isBarred(daemon, 'b.test')]).toEqual([true, false]);
    writeFileSync(path, '||b.test^\n');
    await until('what was written is in force', () => isBarred(daemon, 'b.test'));
    expect(await isBarred(daemon, 'a.test')).toBe(false);
    writeFileSync(path, '||c.test^\nno domain at all\n');
    await until('it is told to be stale', async () => (await stateOf(daemon)).state === 'stale');
    expect((await stateOf(daemon)).error).toContain('list.txt:2:1');
    expect([await isBarred(daemon, 'b.test'), await isBarred(daemon, 'c.test')]).toEqual([true, false]);
    const refreshed = await daemon.cli('rules', 'refresh', 'list');
    expect([refreshed.code, refreshed.stderr]).toEqual([1, expect.stringContaining('list.txt:2:1')]);
    rmSync(path);
    writeFileSync(path, '||c.test^\n');
    await until('it is mended', () => isBarred(daemon, 'c.test'));
    expect(await stateOf(daemon)).toMatchObject({ state: 'ok', error: null, domains: 1 });
  });

  it('from an address is asked for what changed, and kept where nothing usable comes', async () => {
    const list = await startList('a.test\n');
    const daemon = await startDaemon(edge({ url: list.url }));
    expect(await isBarred(daemon, 'a.test')).toBe(true);
    expect((await daemon.cli('rules', 'refresh', 'list')).code).toBe(0);
    expect(list.asked.map((headers) => headers['if-none-match'])).toEqual([undefined, '"7"']);
    list.content = 'a.test\nlonger.test\n';
    expect((await daemon.cli('rules', 'refresh', 'list')).code).toBe(0);
    expect(await isBarred(daemon, 'longer.test')).toBe(true);
    for (const [status, content] of [
      [503, 'out of order'],
      [200, '<html>a page for people</html>'],
    ] as const) {
      Object.assign(list, { status, content });
      expect((await daemon.cli('rules', 'refresh', 'list')).code, content).toBe(1);
      expect(await isBarred(daemon, 'longer.test')).toBe(true);
    }
    const { stdout } = await daemon.cli('rules', 'sets');
    expect(stdout).toMatch(/^list +stale +domains +2 /m);
    expect(stdout).not.toContain('hidden');
    const { text } = await daemon.api('GET', '/metrics');
    expect(text).toContain('\nsluice_rule_set_ok{rule_set="list"} 0\n');
    expect(text).toContain('\nsluice_rule_set_failures_total{rule_set="list"} 2\n');

    list.close();
    expect(await daemon.stop()).toBe(0);
    const store = join(daemon.directory, 'sluice.db');
    const again = await startDaemon({
      ...edge({ url: list.url }),
      store,
      admin: { socket: './sluice.sock' },
    });
    expect([await isBarred(again, 'longer.test'), await isBarred(again, 'b.test')]).toEqual([true, false]);
  });

  it('that was never had refuses the start, and a reload', async () => {
    const list = await startList('');
    list.status = 404;
    const directory = makeDirectory();
    const file = join(directory, 'edge.yaml');
    writeFileSync(file, JSON.stringify({ workers: 1, ...edge({ url: list.url }) }));
    const refused = await run([SLUICE, 'run', '-c', file], { directory, timeoutMs: REFUSAL_TIMEOUT_MS });
    expect(refused.code).toBe(START_REFUSED);
    expect(refused.stderr).toContain('"code":"rule_set_unavailable"');
    const daemon = await startDaemon({ inbounds: INBOUNDS });
    daemon.write(edge({ url: list.url }));
    const reload = await daemon.api('POST', '/v1/reload');
    expect([reload.status, JSON.parse(reload.text)]).toEqual([
      503,
      expect.objectContaining({ code: 'rule_set_unavailable' }),
    ]);
    expect(reload.text).not.toContain('hidden');
    expect(await isBarred(daemon, 'a.test')).toBe(false);
  });
});
