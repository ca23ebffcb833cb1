// Rule sets from files and from a server that misbehaves, over the real compiler.

import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { pollUntil } from './poll-until.ts';
import { setUpRules } from './rules.fixture.ts';
import type { PlayedRules } from './rules.fixture.ts';

const FEW_MS = 10_000;

let directory = '';
let played: PlayedRules | undefined;
let server: Server | undefined;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-sets-'));
});
afterEach(async () => {
  await played?.close();
  played = undefined;
  server?.closeAllConnections();
  server?.close();
  server = undefined;
  rmSync(directory, { recursive: true });
});

function setUp(): PlayedRules {
  played = setUpRules({ directory });
  return played;
}

async function until(what: string, condition: () => boolean): Promise<void> {
  if (!(await pollUntil(condition, FEW_MS))) throw new Error(`not within ${FEW_MS} ms: ${what}`);
}

function configuration(set: string): string {
  return [
    'inbounds: [{ type: socks5, listen: "127.0.0.1:0" }]',
    `rule_sets: [{ tag: ads, format: domains, ${set} }]`,
    'rules: [{ id: noads, rule_set: ads, action: reject }]',
  ].join('\n');
}

async function isRejected({ rules }: PlayedRules, target: string): Promise<boolean> {
  return (await rules.explain({ target, port: 80 })).action === 'reject';
}

function only({ rules }: PlayedRules) {
  const [status] = rules.ruleSets();
  if (status === undefined) throw new Error('there is no rule set');
  return status;
}

describe('a rule set from a file', () => {
  const write = (text: string) => writeFileSync(join(directory, 'ads.txt'), text);

  it('is watched: what is written, or put in its place, comes into force', async () => {
    write('a.example\n');
    const one = setUp();
    await one.apply(configuration('path: ads.txt'));
    expect(await isRejected(one, 'a.example')).toBe(true);
    expect(await isRejected(one, 'b.example')).toBe(false);
    write('a.example\nb.example\n');
    await until('the change is in force', () => only(one).domains === 2);
    expect(await isRejected(one, 'b.example')).toBe(true);
    expect(one.jobs.at(-1)?.keys).toContain(one.rules.names.find('noads')?.index);
    writeFileSync(join(directory, 'new.txt'), 'c.example\n');
    renameSync(join(directory, 'new.txt'), join(directory, 'ads.txt'));
    await until('the other file is in force', () => only(one).domains === 1);
    expect(await isRejected(one, 'c.example')).toBe(true);
    expect(one.rules.snapshots()[0]).toMatchObject({ cause: 'rule_set', state: 'in_force' });
  });

  it('stays as it was while the file is broken or gone, also under other changes', async () => {
    write('a.example\n');
    const one = setUp();
    await one.apply(configuration('path: ads.txt'));
    write('a.example\nnot a domain\n');
    await until('it is stale', () => only(one).state === 'stale');
    expect(only(one)).toMatchObject({ failures: 1, domains: 1 });
    expect(only(one).lastError).toContain(`${join(directory, 'ads.txt')}:2`);
    await one.rules.replace([{ port: 9, action: 'reject' }], {}).finished;
    expect(await isRejected(one, 'a.example')).toBe(true);
    rmSync(join(directory, 'ads.txt'));
    await until('it is missed', () => only(one).failures === 2);
    expect(await isRejected(one, 'a.example')).toBe(true);
    write('b.example\n');
    await until('it is well again', () => only(one).state === 'ok');
    expect(await isRejected(one, 'b.example')).toBe(true);
  });

  it('that is missing or broken refuses a reload', async () => {
    const one = setUp();
    await expect(one.apply(configuration('path: ads.txt'))).rejects.toMatchObject({
      code: 'rule_set_unavailable',
      facts: { ruleSet: 'ads', from: join(directory, 'ads.txt') },
    });
    write('a.example\n');
    await one.apply(configuration('path: ads.txt'));
    const before = one.inForce();
    write('not a domain\n');
    await expect(one.apply(configuration('path: ads.txt'))).rejects.toMatchObject({
      code: 'rules_invalid',
      message: expect.stringContaining(':1:1'),
    });
    expect(one.inForce()).toEqual(before);
    expect(await isRejected(one, 'a.example')).toBe(true);
  });
});

describe('a rule set from an address', () => {
  interface Served {
    text: string;
    etag: string | undefined;
    /** Answers instead. */
    fault: ((request: IncomingMessage, response: ServerResponse) => void) | undefined;
    readonly requests: IncomingMessage['headers'][];
    url: string;
  }

  async function serve(): Promise<Served> {
    const served: Served = { text: 'a.example\n', etag: '"1"', fault: undefined, requests: [], url: '' };
    const one = createServer((request, response) => {
      served.requests.push(request.headers);
      if (served.fault !== undefined) return served.fault(request, response);
      if (served.etag !== undefined) response.setHeader('etag', served.etag);
      if (served.etag !== undefined && request.headers['if-none-match'] === served.etag) {
        response.writeHead(304).end();
      } else {
        response.end(served.text);
      }
      return undefined;
    });
    server = one;
    await new Promise<void>((listening) => one.listen(0, '127.0.0.1', listening));
    served.url = `http://127.0.0.1:${(one.address() as AddressInfo).port}/ads?token=secret`;
    return served;
  }

  it('is fetched once, asked for with its validator, and taken where it is another', async () => {
    const served = await serve();
    const one = setUp();
    await one.apply(configuration(`url: "${served.url}"`));
    expect(await isRejected(one, 'a.example')).toBe(true);
    expect(only(one)).toMatchObject({ kind: 'remote', state: 'ok', etag: '"1"', domains: 1 });
    expect(only(one).from).not.toContain('secret');
    const before = one.inForce();
    await one.rules.refresh('ads');
    expect(served.requests.map((headers) => headers['if-none-match'])).toEqual([undefined, '"1"']);
    expect(one.inForce()).toEqual(before);
    Object.assign(served, { text: 'b.example\n', etag: '"2"' });
    await one.rules.refresh('ads');
    expect(await isRejected(one, 'b.example')).toBe(true);
    expect(only(one)).toMatchObject({ etag: '"2"', failures: 0 });
    const copies = readdirSync(join(directory, 'sluice.db.rule-sets'));
    expect(copies).toHaveLength(2);
    for (const copy of copies)
      expect(statSync(join(directory, 'sluice.db.rule-sets', copy)).mode & 0o777).toBe(0o600);
  });

  it('keeps its last good content through every fault, and counts them', async () => {
    const served = await serve();
    const one = setUp();
    await one.apply(configuration(`url: "${served.url}"`));
    const before = one.inForce();
    const faults: Record<string, Served['fault']> = {
      'answered 500': (_, response) => response.writeHead(500).end(),
      terminated: (_, response) => {
        response.writeHead(200, { 'content-length': '1000' });
        response.write('b.example\n', () => response.destroy());
      },
      'not https': (_, response) => response.writeHead(302, { location: 'http://192.0.2.1/' }).end(),
      'redirects more': (_, response) => response.writeHead(302, { location: '/again' }).end(),
      expected: (_, response) => response.end('<html>no list</html>'),
      larger: (_, response) => {
        const piece = Buffer.alloc(1024 * 1024, 'a');
        const more = () => {
          while (!response.destroyed && response.write(piece));
        };
        response.on('drain', more);
        more();
      },
    };
    let failures = 0;
    for (const [what, fault] of Object.entries(faults)) {
      served.fault = fault;
      served.etag = undefined;
      await expect(one.rules.refresh('ads'), what).rejects.toThrow(what);
      expect(only(one), what).toMatchObject({ state: 'stale', failures: ++failures, domains: 1 });
      expect(one.inForce(), what).toEqual(before);
    }
    served.fault = undefined;
    served.text = 'c.example\n';
    await one.rules.refresh('ads');
    expect(only(one)).toMatchObject({ state: 'ok', failures, lastError: undefined });
    expect(await isRejected(one, 'c.example')).toBe(true);
  });

  it('does not keep a start from its last good copy, and refuses one without any', async () => {
    const served = await serve();
    const first = setUp();
    await first.apply(configuration(`url: "${served.url}"`));
    await until('there is a copy', () => existsSync(join(directory, 'sluice.db.rule-sets')));
    await first.rules.refresh('ads');
    await first.close();
    served.fault = (_, response) => response.writeHead(503).end();
    const second = setUp();
    await second.apply(configuration(`url: "${served.url}"`));
    expect(await isRejected(second, 'a.example')).toBe(true);
    expect(only(second)).toMatchObject({ etag: '"1"', state: 'ok' });
    await expect(second.apply(configuration(`url: "${served.url}&other"`))).rejects.toMatchObject({
      code: 'rule_set_unavailable',
      message: expect.not.stringContaining('secret'),
    });
    expect(await isRejected(second, 'a.example')).toBe(true);
  });
});
