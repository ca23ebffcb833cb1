// Rules that ask for what only the control thread can find out, with real programs and a real judge: which program a client
// is, which user runs it, and what an address says of it. One daemon, and an inbound for each of its rules.

import { realpathSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { beforeAll, describe, expect, it } from 'vitest';
import { atEnd } from './harness/at-end.ts';
import { counting } from './harness/counting.ts';
import { type Daemon, startDaemon } from './harness/daemon.ts';
import { startOrigin } from './harness/origin.ts';
import { missing, run } from './harness/programs.ts';

const FORBIDDEN = 403;
const OK = 200;

interface Judge {
  readonly url: string;
  readonly asked: unknown[];
}

async function startJudge(listener: RequestListener): Promise<Judge> {
  const asked: unknown[] = [];
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      asked.push(JSON.parse(Buffer.concat(parts).toString('utf8')));
      listener(request, response);
    });
  });
  await new Promise<void>((done) => {
    server.listen(0, '127.0.0.1', done);
  });
  atEnd(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/judge`, asked };
}

describe.skipIf(missing('curl'))('rules that look something up', () => {
  let daemon: Daemon;
  let origin = 0;
  let judge: Judge;
  let isMatch = true;

  /** Each for the inbound of that tag; they reject, unless they say otherwise. */
  const rulesByInbound = (silent: Judge, babbling: Judge): Readonly<Record<string, readonly object[]>> => {
    const late = { external: silent.url, timeout: '100ms' };
    const wrong = { external: babbling.url };
    return {
      name: [{ process_name: ['wget', 'curl'] }],
      path: [{ process_path: realpathSync(process.execPath) }],
      both: [{ process_name: 'curl', user_id: process.getuid?.() }],
      stranger: [{ user_id: 54_321 }],
      // `invert` turns the whole rule around, its inbound too.
      inverted: [
        {
          type: 'logical',
          mode: 'and',
          rules: [{ inbound: 'inverted' }, { process_name: 'curl', invert: true }],
        },
      ],
      judged: [{ external: judge.url }],
      'late-skip': [{ ...late, on_timeout: 'skip' }],
      'late-reject': [{ ...late, on_timeout: 'reject' }],
      'late-allow': [{ ...late, on_timeout: 'allow' }, {}],
      'wrong-skip': [{ ...wrong, on_timeout: 'skip' }],
      'wrong-reject': [{ ...wrong, on_timeout: 'reject' }],
      'wrong-allow': [{ ...wrong, on_timeout: 'allow' }, {}],
      cheap: [
        { port: 1, external: judge.url },
        { ip_cidr: '127.0.0.0/8', action: 'route' },
        { external: judge.url },
      ],
    };
  };

  beforeAll(async () => {
    origin = await startOrigin();
    judge = await startJudge((_request, response) => response.end(JSON.stringify({ match: isMatch })));
    const silent = await startJudge(() => {});
    const babbling = await startJudge((_request, response) => response.end('perhaps'));
    const rules = rulesByInbound(silent, babbling);
    daemon = await startDaemon({
      inbounds: Object.keys(rules).map((tag) => ({
        tag,
        type: 'http',
        listen: '127.0.0.1:0',
        service: 'default',
      })),
      rules: Object.entries(rules).flatMap(([inbound, own]) =>
        own.map((rule) => ({ ...('type' in rule ? {} : { inbound }), action: 'reject', ...rule })),
      ),
    });
  });

  /** Asks as curl, through the inbound. @returns the status that it saw */
  async function asCurl(inbound: string): Promise<number> {
    const proxy = `http://127.0.0.1:${await daemon.port(inbound)}`;
    const words = ['--silent', '--max-time', '10', '--output', '/dev/null', '--write-out', '%{http_code}'];
    const { stdout } = await run(['curl', ...words, '--proxy', proxy, `http://127.0.0.1:${origin}/`]);
    return Number(stdout);
  }

  /** The same, as node. */
  async function asNode(inbound: string): Promise<number> {
    const options = `{ port: ${await daemon.port(inbound)}, path: 'http://127.0.0.1:${origin}/', agent: false }`;
    const code = `require('http').get(${options}, (r) => { console.log(r.statusCode); r.resume(); })`;
    const { stdout } = await run([process.execPath, '-e', code]);
    return Number(stdout);
  }

  it.each([
    ['name', FORBIDDEN, OK],
    ['path', OK, FORBIDDEN],
    ['both', FORBIDDEN, OK],
    ['stranger', OK, OK],
    ['inverted', OK, FORBIDDEN],
  ])('tell programs apart: %s answers curl with %i and node with %i', async (inbound, curl, node) => {
    expect([await asCurl(inbound), await asNode(inbound)]).toEqual([curl, node]);
  });

  it('do what a judge says, who is told of the connection', async () => {
    expect(await asCurl('judged')).toBe(FORBIDDEN);
    isMatch = false;
    expect(await asCurl('judged')).toBe(OK);
    isMatch = true;
    expect(judge.asked).toHaveLength(2);
    expect(judge.asked[0]).toMatchObject({
      service: 'default',
      user: null,
      inbound: 'judged',
      network: 'tcp',
      source: '127.0.0.1',
      target: '127.0.0.1',
      port: origin,
      protocol: 'http',
      domain: null,
    });
  });

  it.each(['late', 'wrong'])('take their on_timeout where a judgement is %s', async (kind) => {
    expect(await asCurl(`${kind}-skip`)).toBe(OK);
    await counting(daemon, { look_up_timeout: 1 }, async () => {
      expect(await asCurl(`${kind}-reject`)).not.toBe(OK);
    });
    expect(await asCurl(`${kind}-allow`)).toBe(OK);
  });

  /** Programs that have been looked up, and judgements that have been asked for. */
  async function lookUps(): Promise<readonly [programs: number | undefined, judgements: number | undefined]> {
    const { rules } = await daemon.status();
    return [rules?.process_lookups, rules?.judgements];
  }

  it('ask nobody where something cheaper has decided', async () => {
    const [programs = -1, judgements = -1] = await lookUps();
    expect(await asCurl('cheap')).toBe(OK);
    expect(await lookUps()).toEqual([programs, judgements]);
    expect(await asCurl('judged')).toBe(FORBIDDEN);
    expect(await lookUps()).toEqual([programs, judgements + 1]);
    expect(await asCurl('name')).toBe(FORBIDDEN);
    expect(await lookUps()).toEqual([programs + 1, judgements + 1]);
  });
});
