// The built command line beside a running daemon: check, schema, status, and the answers of `run` to what cannot work.

import { beforeAll, describe, expect, it } from 'vitest';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join, resolve } from 'node:path';
import type { Status } from '../../src/api/status.ts';
import { freePort } from '../../bench/process/ports.ts';
import { connectTo } from './harness/client.ts';
import { type Daemon, makeDirectory, SLUICE, startDaemon } from './harness/daemon.ts';
import { echo, startServer } from './harness/origin.ts';
import { run } from './harness/programs.ts';
import { until } from './harness/until.ts';

const EXIT_REFUSED = 1;
const EXIT_USAGE = 2;
const EXIT_UNREACHABLE = 69;

const WRONG = `
inbounds:
  - { tag: a, type: socks, listen: "127.0.0.1:1080" }
  - { tag: a, type: forward, listen: nowhere, target: "127.0.0.1:1" }
services:
  - { name: s, rate: { up: 20mbits }, users: [{ username: u }] }
timeouts: { handshak: 1s }
workers: none
`;
const WRONG_PATHS = [
  'inbounds[0].type',
  'inbounds[1].listen',
  'services[0].rate.up',
  'services[0].users[0]',
  'timeouts.handshak',
  'workers',
];

describe('an answer that cannot be written', () => {
  it('is no success, but where the reader has had enough', async () => {
    const shell = (line: string) => run(['bash', '-c', `set -o pipefail; ${line}`]);
    const full = await shell(`${SLUICE} schema > /dev/full`);
    expect([full.code, full.stderr]).toEqual([74, expect.stringContaining('could not be written')]);
    expect((await shell(`${SLUICE} schema | head -1`)).code).toBe(0);
  });
});

describe('sluice check', () => {
  const directory = makeDirectory();
  const check = (...words: string[]) => run([SLUICE, 'check', ...words], { directory });
  const file = (text: string): string => {
    writeFileSync(join(directory, 'edge.yaml'), text);
    return join(directory, 'edge.yaml');
  };

  it('lists all mistakes of a file at once, with place and nearest name', async () => {
    const { code, stdout, stderr } = await check(file(WRONG));
    expect([code, stdout]).toEqual([EXIT_REFUSED, '']);
    for (const path of WRONG_PATHS) expect(stderr).toContain(path);
    expect(stderr).toMatch(/edge\.yaml:3:\d+ /);
    expect(stderr).toContain('did you mean "socks5"');
    expect(stderr).toContain('did you mean "handshake"');
    const answer = JSON.parse((await check('--json', file(WRONG))).stdout) as {
      mistakes: { path: string }[];
    };
    expect(answer.mistakes.map(({ path }) => path)).toEqual(expect.arrayContaining(['workers']));
    expect(answer.mistakes.length).toBeGreaterThanOrEqual(WRONG_PATHS.length);
  });

  it('accepts the example that is shipped, and the same as JSON on standard input', async () => {
    const { code, stdout } = await check(resolve(import.meta.dirname, '../../examples/edge.yaml'));
    expect(code).toBe(0);
    expect(stdout).toContain('ok');
    const json = JSON.stringify({ inbounds: [{ type: 'http', listen: '127.0.0.1:0' }] });
    expect((await run([SLUICE, 'check', '-'], { input: Buffer.from(json) })).code).toBe(0);
  });

  it('tells what is no file, and no command, apart', async () => {
    expect((await check(join(directory, 'absent.yaml'))).code).toBe(EXIT_REFUSED);
    expect((await check()).code).toBe(EXIT_USAGE);
    expect((await run([SLUICE, 'frobnicate'])).code).toBe(EXIT_USAGE);
    expect((await run([SLUICE, 'status', '--socket', join(directory, 'x.sock')])).code).toBe(
      EXIT_UNREACHABLE,
    );
  });

  it('has a schema that editors can use', async () => {
    const { code, stdout } = await run([SLUICE, 'schema']);
    expect(code).toBe(0);
    const schema = JSON.parse(stdout) as { properties: Record<string, unknown>; required: string[] };
    expect(Object.keys(schema.properties)).toEqual(
      expect.arrayContaining(['inbounds', 'services', 'timeouts']),
    );
    expect(schema.required).toEqual(['inbounds']);
  });
});

describe('sluice run', () => {
  it('does not start with a file that has mistakes, and logs them all', async () => {
    const directory = makeDirectory();
    writeFileSync(join(directory, 'edge.yaml'), WRONG);
    const { code, stderr } = await run([SLUICE, 'run', '-c', join(directory, 'edge.yaml')], { directory });
    expect(code).toBe(EXIT_REFUSED);
    for (const path of WRONG_PATHS) expect(stderr).toContain(path);
  });

  it('does not start where somebody else listens, and says who wanted the address', async () => {
    const directory = makeDirectory();
    const taken = await startServer(echo);
    const inbound = { tag: 'late', type: 'http', listen: `127.0.0.1:${taken}` };
    writeFileSync(join(directory, 'edge.yaml'), JSON.stringify({ inbounds: [inbound] }));
    const { code, stderr } = await run([SLUICE, 'run', '-c', join(directory, 'edge.yaml')], { directory });
    expect(code).toBe(EXIT_REFUSED);
    expect(stderr).toContain('inbound \\"late\\" cannot listen');
    expect(stderr).toContain('EADDRINUSE');
  });
});

describe('beside a running daemon', () => {
  let daemon: Daemon;
  let adminPort = 0;

  beforeAll(async () => {
    adminPort = await freePort();
    const target = await startServer(echo);
    daemon = await startDaemon({
      admin: { listen: `127.0.0.1:${adminPort}`, token_file: './admin.token' },
      inbounds: [
        { tag: 'in', type: 'forward', listen: '127.0.0.1:0', service: 's', target: `127.0.0.1:${target}` },
      ],
    });
  });

  it('shows its status as JSON and as tables', async () => {
    const client = await connectTo(await daemon.port('in'));
    client.send('hello');
    await client.receive(5);
    const { code, stdout } = await daemon.cli('status', '--json');
    expect(code).toBe(0);
    const status = JSON.parse(stdout) as Status;
    expect(status).toMatchObject({
      pid: daemon.pid,
      phase: 'ready',
      totals: { connections: 1, accepted: 1 },
    });
    expect([status.totals.bytes_up, status.totals.bytes_down]).toEqual([5, 5]);
    expect(status.workers).toHaveLength(2);
    const table = await daemon.cli('status', '-c', daemon.file);
    expect(table.code).toBe(0);
    expect(table.stdout).toMatch(/^in +forward +127\.0\.0\.1:\d+$/m);
    client.finish();
    await client.rest();
    await until('it is counted', async () => (await daemon.ended('finished')) === 1);
    expect((await daemon.cli('status')).stdout).toMatch(/^finished +1$/m);
  });

  it('has the descriptor limit raised to the hard one, and shows it', async () => {
    const limits = readFileSync(`/proc/${daemon.pid}/limits`, 'latin1');
    const [, soft, hard] = /^Max open files\s+(\d+)\s+(\d+)/m.exec(limits) ?? [];
    expect(soft).toBe(hard);
    expect((await daemon.status()).descriptors.limit).toBe(Number(hard));
    expect(daemon.logged('start')[0]).toMatchObject({ descriptors: { limit: Number(hard) } });
  });

  it('asks for a token over TCP, but not for health and metrics on loopback', async () => {
    const token = readFileSync(join(daemon.directory, 'admin.token'), 'utf8').trim();
    expect(statSync(join(daemon.directory, 'admin.token')).mode & 0o777).toBe(0o600);
    expect(await askTcp(adminPort, '/v1/status')).toBe(401);
    expect(await askTcp(adminPort, '/v1/status', 'wrong')).toBe(401);
    expect(await askTcp(adminPort, '/v1/status', token)).toBe(200);
    for (const path of ['/healthz', '/readyz', '/metrics'])
      expect(await askTcp(adminPort, path), path).toBe(200);
  });
});

function askTcp(port: number, path: string, token?: string): Promise<number> {
  return new Promise((done, failed) => {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const outgoing = request({ host: '127.0.0.1', port, path, headers, agent: false }, (response) => {
      response.resume();
      response.on('end', () => done(response.statusCode ?? 0));
    });
    outgoing.on('error', failed);
    outgoing.end();
  });
}
