// Whoever reads the log may stall: a paused terminal, a log shipper that hangs. The daemon goes on, and it ends.

import { expect, it } from 'vitest';
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, constants, openSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { atEnd } from './harness/at-end.ts';
import { makeDirectory, SLUICE } from './harness/daemon.ts';
import { run } from './harness/programs.ts';
import { until, within } from './harness/until.ts';

const API_TIMEOUT_MS = 5_000;
const RELOADS_MAX = 2_000;
/** One mistake each, so that a refused reload is a long line. */
const MISTAKES = Array.from({ length: 50 }, (_, i) => `wrong_key_${i}: ${'x'.repeat(200)}\n`).join('');

/** A daemon whose standard error nobody reads. */
function startUnread(directory: string, stderr: number | 'pipe'): ChildProcess {
  const file = join(directory, 'edge.yaml');
  writeFileSync(file, 'workers: 1\ninbounds: [{ tag: s, type: socks5, listen: "127.0.0.1:0" }]\n');
  const child = spawn(SLUICE, ['run', '-c', file], { stdio: ['ignore', 'ignore', stderr] });
  atEnd(async () => {
    if (child.exitCode === null) child.kill('SIGKILL');
  });
  return child;
}

function ask(directory: string, method: string, path: string): Promise<{ status: number; text: string }> {
  return new Promise((done, failed) => {
    const where = { socketPath: join(directory, 'sluice.sock'), method, path, timeout: API_TIMEOUT_MS };
    const outgoing = request(where, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => done({ status: response.statusCode ?? 0, text }));
    });
    outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer in time: ${method} ${path}`)));
    outgoing.on('error', failed);
    outgoing.end();
  });
}

interface Shown {
  readonly log: { readonly dropped: number };
}

async function expectLife(directory: string, child: ChildProcess): Promise<void> {
  const isReady = () =>
    ask(directory, 'GET', '/readyz').then(
      ({ status }) => status === 200,
      () => false,
    );
  await until('the daemon is ready', isReady, 20_000);
  writeFileSync(join(directory, 'edge.yaml'), MISTAKES);
  let dropped = 0;
  for (let i = 0; i < RELOADS_MAX && dropped === 0; i++) {
    expect((await ask(directory, 'POST', '/v1/reload')).status).toBe(422);
    if (i % 10 === 0)
      dropped = (JSON.parse((await ask(directory, 'GET', '/v1/status')).text) as Shown).log.dropped;
  }
  expect(dropped).toBeGreaterThan(0);
  expect((await ask(directory, 'GET', '/metrics')).text).toMatch(/^sluice_log_dropped_total [1-9]/m);
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  expect(await within('the daemon ends', ended)).toBe(0);
}

it('goes on, counts what is lost and ends in time while a pipe is not read', async () => {
  const directory = makeDirectory();
  const fifo = join(directory, 'log.fifo');
  expect((await run(['mkfifo', fifo])).code).toBe(0);
  const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
  const writer = openSync(fifo, constants.O_WRONLY);
  const child = startUnread(directory, writer);
  closeSync(writer);
  await expectLife(directory, child);
  closeSync(reader);
});

it('goes on, counts what is lost and ends in time while a socket is not read', async () => {
  // What Node calls a pipe is a pair of Unix sockets, as the journal's is.
  const directory = makeDirectory();
  await expectLife(directory, startUnread(directory, 'pipe'));
});
