// Rule sets from files and from a server that misbehaves, over the real compiler.

import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
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

const STORE = 'sluice.db.rule-sets';

/** The copy and its notes, both of them whole. */
function isCopied(): boolean {
  const files = copyFiles();
  return files.length === 2 && !files.some((file) => file.endsWith('.new'));
}

function copyFiles(): string[] {
  const store = join(directory, STORE);
  return readdirSync(store).map((name) => join(store, name));
}

/** As servers did that did not say how much comes: the connection ends. */
function endUnmeasured({ socket }: ServerResponse, text: string): void {
  socket?.end(`HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n${text}`);
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

  it('that is emptied stays as it was, and one that says that it is empty does not', async () => {
    write('a.example\n');
    const one = setUp();
    await one.apply(configuration('path: ads.txt'));
    write('');
    await until('it is stale', () => only(one).state === 'stale');
    expect(only(one).lastError).toContain('holds no entry');
    expect(await isRejected(one, 'a.example')).toBe(true);
    await expect(one.apply(configuration('path: ads.txt'))).rejects.toMatchObject({ code: 'rules_invalid' });
    write('{"version": 1, "rules": []}');
    await one.apply(configuration('path: ads.txt').replace('format: domains', 'format: source'));
    expect(await isRejected(one, 'a.example')).toBe(false);
    expect(only(one).state).toBe('ok');
  });

  it('is not looked at while it is being written', async () => {
    write('a.example\n');
    const one = setUp();
    await one.apply(configuration('path: ads.txt'));
    // By a process of its own, which goes on while this one is kept waiting. Slowly: longer than from a change to a look.
    const writing = 'for n in 1 2 3 4 5 6 7 8; do echo "n$n.example"; sleep 0.3; done > ads.txt';
    const writer = spawn('sh', ['-c', writing], { cwd: directory });
    let isWriting = true;
    const written = once(writer, 'exit').then(() => {
      isWriting = false;
    });
    while (isWriting) {
      const status = only(one);
      const isStill = await isRejected(one, 'a.example');
      await setTimeout(20);
      // It may have been done while we asked.
      if (isWriting) expect([status, isStill]).toMatchObject([{ state: 'ok', domains: 1 }, true]);
    }
    await written;
    await until('it is in force', () => only(one).domains === 8);
    expect(only(one).failures).toBe(0);
  });

  it('can be compiled again after it was broken and the compiler has died', async () => {
    write('a.example\n');
    const one = setUp();
    await one.apply(configuration('path: ads.txt'));
    write('b.example\n');
    await until('the change is in force', () => only(one).state === 'ok' && one.inForce()?.id === 2);
    write('not a domain\n');
    await until('it is stale', () => only(one).state === 'stale');
    one.compilers.at(-1)?.die();
    await one.rules.replace([{ port: 9, action: 'reject' }], {}).finished;
    expect(await isRejected(one, 'b.example')).toBe(true);
    expect(one.compilers).toHaveLength(2);
    rmSync(join(directory, 'ads.txt'));
    await until('it is missed', () => only(one).failures === 2);
    one.compilers.at(-1)?.die();
    await one.rules.replace([], {}).finished;
    expect(await isRejected(one, 'b.example')).toBe(true);
  });

  it('says what is in its place now', async () => {
    write('a.example\n');
    const one = setUp();
    await one.apply(configuration('path: ads.txt'));
    rmSync(join(directory, 'ads.txt'));
    await until('it is missed', () => only(one).lastError?.includes('ENOENT') ?? false);
    execFileSync('mkfifo', [join(directory, 'ads.txt')]);
    await until('the pipe is seen', () => only(one).lastError === 'it is not a regular file');
    expect(only(one)).toMatchObject({ state: 'stale', failures: 2 });
    await expect(one.rules.refresh('ads')).rejects.toThrow('it is not a regular file');
    rmSync(join(directory, 'ads.txt'));
    mkdirSync(join(directory, 'ads.txt'));
    await expect(one.rules.refresh('ads')).rejects.toThrow('it is not a regular file');
    expect(await isRejected(one, 'a.example')).toBe(true);
  });

  it('is never put back to what it was when a reload has read it in between', async () => {
    write('a.example\n');
    const one = setUp();
    await one.apply(configuration('path: ads.txt'));
    let open = () => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    void one.edge.exclusively(() => gate);
    const applied = one.apply(configuration('path: ads.txt'));
    write('b.example\n');
    const refreshed = one.rules.refresh('ads');
    await until('it has been compiled', () => one.rules.snapshots()[0]?.state === 'compiled');
    write('c.example\n');
    open();
    await Promise.all([applied, refreshed]);
    expect(await isRejected(one, 'c.example')).toBe(true);
    expect(await isRejected(one, 'b.example')).toBe(false);
    expect(only(one)).toMatchObject({ state: 'ok', failures: 0 });
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
    expect(copyFiles()).toHaveLength(2);
    for (const copy of copyFiles()) expect(statSync(copy).mode & 0o777).toBe(0o600);
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
      'user name': (_, response) =>
        response.writeHead(302, { location: 'https://user:secretpw@127.0.0.1:1/' }).end(),
      'no address': (_, response) => response.writeHead(302, { location: 'http://[::' }).end(),
      expected: (_, response) => response.end('<html>no list</html>'),
      nothing: (_, response) => response.end(),
      'no entry': (_, response) => response.end('# nothing\n'),
      'middle of a line': (_, response) => endUnmeasured(response, 'a.example\nb.exam'),
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
      expect(only(one).lastError, what).not.toContain('secret');
      expect(copyFiles(), what).toHaveLength(2);
    }
    served.fault = (_, response) => endUnmeasured(response, 'c.example\n');
    await one.rules.refresh('ads');
    expect(await isRejected(one, 'c.example')).toBe(true);
    served.fault = undefined;
    served.text = 'c.example';
    await one.rules.refresh('ads');
    expect(only(one)).toMatchObject({ state: 'ok', failures, lastError: undefined });
    expect(await isRejected(one, 'c.example')).toBe(true);
  });

  it('does not keep a start from its last good copy, and refuses one without any', async () => {
    const served = await serve();
    const first = setUp();
    await first.apply(configuration(`url: "${served.url}"`));
    await until('there is a copy', isCopied);
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

  it('keeps its copy when only its interval changes, and drops it when nobody names it', async () => {
    const served = await serve();
    const one = setUp();
    await one.apply(configuration(`url: "${served.url}", interval: 1h`));
    await until('there is a copy', isCopied);
    await one.apply(configuration(`url: "${served.url}", interval: 2h`));
    expect(only(one).nextTryAtMs).toBeGreaterThan(Date.now() + 90 * 60_000);
    await one.rules.refresh('ads');
    expect(copyFiles()).toHaveLength(2);
    expect(served.requests).toHaveLength(2);
    one.compilers.at(-1)?.die();
    served.fault = (_, response) => response.writeHead(503).end();
    await one.rules.replace([{ port: 9, action: 'reject' }], {}).finished;
    expect(await isRejected(one, 'a.example')).toBe(true);
    // Of a daemon that was killed while it fetched, and of somebody else.
    const half = join(directory, STORE, `${'0'.repeat(32)}.1.new`);
    writeFileSync(half, 'half a l');
    utimesSync(half, new Date(0), new Date(0));
    writeFileSync(join(directory, STORE, 'README'), '');
    await one.apply('inbounds: [{ type: socks5, listen: "127.0.0.1:0" }]');
    await until('it has gone', () => copyFiles().length === 1);
    expect(copyFiles()).toEqual([join(directory, STORE, 'README')]);
  });

  it('asks its server where the copy is damaged, not its own, or does not compile', async () => {
    const served = await serve();
    const damage: Record<string, (copy: string) => void> = {
      none: () => {},
      emptied: (copy) => writeFileSync(copy, ''),
      damaged: (copy) => writeFileSync(copy, 'x.example\n'),
      'without notes': (copy) => rmSync(`${copy}.json`),
      'as an older release took it': (copy) => {
        const bytes = '# nothing\n';
        const version = `domains-${createHash('sha256').update(bytes).digest('hex').slice(0, 32)}`;
        writeFileSync(copy, bytes);
        writeFileSync(`${copy}.json`, JSON.stringify({ version, fetchedAtMs: Date.now(), etag: '"1"' }));
      },
    };
    const asked: Record<string, number> = {};
    const before = setUp();
    await before.apply(configuration(`url: "${served.url}"`));
    await until('there is a copy', isCopied);
    await before.close();
    for (const [what, harm] of Object.entries(damage)) {
      harm(copyFiles().find((path) => !path.endsWith('.json')) as string);
      served.requests.length = 0;
      const one = setUp();
      await one.apply(configuration(`url: "${served.url}"`));
      expect(await isRejected(one, 'a.example'), what).toBe(true);
      expect(await isRejected(one, 'x.example'), what).toBe(false);
      asked[what] = served.requests.length;
      await until('there is a copy', isCopied);
      await one.close();
    }
    expect(Object.values(asked)).toEqual([0, 1, 1, 1, 1]);
  });
});
