import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { runProgram } from './program.ts';

let directory = '';
let server: Server | undefined;
let printed = '';
let complained = '';
const previous = process.env['SLUICE_SOCKET'];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-cli-'));
  printed = '';
  complained = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed += String(text);
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    complained += String(text);
    return true;
  });
});
afterEach(async () => {
  vi.restoreAllMocks();
  if (previous === undefined) delete process.env['SLUICE_SOCKET'];
  else process.env['SLUICE_SOCKET'] = previous;
  if (server !== undefined) await new Promise((closed) => server?.close(closed));
  server = undefined;
  rmSync(directory, { recursive: true });
});

const run = (...words: string[]) => runProgram(words, { version: '1.2.3', run: async () => 42 });

/** A daemon that answers everything alike. @returns its socket */
async function answering(status: number, body: unknown, name = 'sluice.sock'): Promise<string> {
  const path = join(directory, name);
  server = createServer((_request, response) => {
    response.writeHead(status, { connection: 'close' }).end(JSON.stringify(body));
  });
  await new Promise<void>((listening) => server?.listen(path, listening));
  return path;
}

function file(text: string): string {
  const fileName = join(directory, 'edge.yaml');
  writeFileSync(fileName, text);
  return fileName;
}

const GOOD = 'inbounds: [{ tag: s, type: http, listen: "127.0.0.1:0" }]\n';

describe('command line', () => {
  it('answers mistakes in usage with 2, help and version with 0', async () => {
    expect(await run('frobnicate')).toBe(2);
    expect(await run('run')).toBe(2);
    expect(await run('check')).toBe(2);
    expect(await run('completion', 'tcsh')).toBe(2);
    expect(await run('status', '--nonsense')).toBe(2);
    expect(await run('--help')).toBe(0);
    expect(printed).toContain('Exit codes:');
    expect(await run('--version')).toBe(0);
    expect(printed).toContain('1.2.3');
  });

  it('passes on how the daemon ended', async () => {
    expect(await run('run', '-c', 'x.yaml')).toBe(42);
  });

  it('checks a file, by argument or option', async () => {
    expect(await run('check', file(GOOD))).toBe(0);
    expect(await run('check', '-c', file(GOOD))).toBe(0);
    expect(await run('check', file('bogus: 1\n'))).toBe(1);
    expect(complained).toContain('edge.yaml:1:1 bogus: unknown key');
    printed = '';
    expect(await run('check', '--json', file('bogus: 1\n'))).toBe(1);
    expect(JSON.parse(printed)).toMatchObject({ ok: false, mistakes: expect.arrayContaining([]) });
    expect(await run('check', join(directory, 'missing.yaml'))).toBe(1);
  });

  it('says 69 where no daemon answers, and what to do', async () => {
    expect(await run('status', '--socket', join(directory, 'none.sock'))).toBe(69);
    expect(complained).toContain('there is no such socket');
    expect(complained).toContain('--socket');
  });

  it('finds the daemon by option, configuration and environment', async () => {
    const socket = await answering(200, { hello: 'daemon' });
    expect(await run('status', '--json', '--socket', socket)).toBe(0);
    expect(JSON.parse(printed)).toEqual({ hello: 'daemon' });
    expect(await run('status', '--json', '-c', file(GOOD))).toBe(0);
    process.env['SLUICE_SOCKET'] = socket;
    expect(await run('status', '--json')).toBe(0);
    process.env['SLUICE_SOCKET'] = join(directory, 'none.sock');
    expect(await run('status', '--json')).toBe(69);
  });

  it('prints what the daemon does', async () => {
    const socket = await answering(200, {
      version: '1.2.3',
      pid: 7,
      phase: 'ready',
      uptime_ms: 61_000,
      configuration: '/etc/edge.yaml',
      plan: 3,
      services: 2,
      totals: { connections: 5, accepted: 9, bytes_up: 1_500, bytes_down: 0 },
      descriptors: { limit: 100, reserved: 20, max: 80, used: 10 },
      last_reload: {
        at: '2026-01-01T00:00:00Z',
        trigger: 'api',
        ok: false,
        error: 'bad',
        restart_needed: ['workers'],
      },
      inbounds: [{ tag: 'web', type: 'http', listen: '127.0.0.1:8080' }],
      workers: [
        {
          worker: 0,
          life: 'ready',
          stalled: true,
          connections: 5,
          accepted: 9,
          bytes_up: 0,
          bytes_down: 0,
          deaths: 1,
        },
      ],
      ended: { idle_timeout: 1, finished: 3 },
      evictions: { started: 3, running: 1, closed: 40, last_reconcile: { ended: 2, duration_us: 1_500 } },
      receipts: { written: 7, filtered: 0, dropped: 1, errors: 1 },
      store: { state: 'failed', error: 'disk full', commits: 1, last_commit_at: null },
      rules: { count: 9, snapshot: 4, ended: 2, sets: 3, sets_stale: 1 },
    });
    expect(await run('status', '--socket', socket)).toBe(0);
    expect(printed).toContain('1.2.3, ready, pid 7, up 1m 1s\n');
    expect(printed).toContain('1.5 kB up, 0 B down\n');
    expect(printed).toContain('refused: bad\n');
    expect(printed).toMatch(/^evictions +3, 1 running; 40 connections ended$/m);
    expect(printed).toMatch(/^last change +2 connections ended in 1\.5 ms$/m);
    expect(printed).toMatch(/^receipts +7 written, 2 lost$/m);
    expect(printed).toMatch(/^rules +9 in snapshot 4, 2 connections ended$/m);
    expect(printed).toMatch(/^rule sets +3, 1 stale: sluice rules sets$/m);
    expect(printed).toMatch(/^store +failed: disk full$/m);
    expect(printed).toMatch(/^restart needed +workers$/m);
    expect(printed).toMatch(/^web +http +127\.0\.0\.1:8080$/m);
    expect(printed).toMatch(/^ +0 +stalled +5 +9 /m);
    expect(printed.indexOf('finished')).toBeLessThan(printed.indexOf('idle_timeout'));
  });

  it('prints the mistakes of a refused reload', async () => {
    const mistakes = [
      { path: 'bogus', line: 3, column: 1, found: 'x', expected: 'y', message: 'unknown key' },
    ];
    const socket = await answering(422, { detail: 'has a mistake', fileName: 'edge.yaml', mistakes });
    expect(await run('reload', '--socket', socket)).toBe(1);
    expect(complained).toContain('edge.yaml:3:1 bogus: unknown key\n');
    expect(complained).toContain('nothing has changed');
  });

  it('prints what a reload changed', async () => {
    const none = { added: [], changed: [], removed: [] };
    const socket = await answering(200, {
      plan: 4,
      duration_ms: 7,
      inbounds: { ...none, added: ['web', 'pg'] },
      outbounds: none,
      services: { ...none, removed: ['old'] },
      users: { added: 2, changed: 0, removed: 0 },
      server_names: { added: 0, removed: 0 },
      restart_needed: ['workers'],
      warnings: [],
      reconciled: { ended: 3, duration_us: 2_100, worker_us: 10, last_gone_us: 2_000 },
    });
    expect(await run('reload', '--socket', socket)).toBe(0);
    expect(printed).toBe(
      'plan 4 in force after 7 ms\n  inbounds added: web, pg\n  services removed: old\n  users added: 2\n' +
        '  connections no longer allowed: 3, gone after 2 ms\n' +
        '  waits for a restart: workers\n',
    );
  });

  it('prints a schema that is JSON', async () => {
    expect(await run('schema')).toBe(0);
    expect(JSON.parse(printed)).toHaveProperty('properties.inbounds');
  });
});
