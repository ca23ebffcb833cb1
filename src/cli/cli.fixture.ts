// The command line beside a daemon that answers as it is told, and notes what it is asked: for the tests of commands.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, vi } from 'vitest';
import { runProgram } from './program.ts';

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
  readonly ifMatch?: string;
}

type Respond = (asked: Asked) => readonly [status: number, body?: unknown];

/** Fresh before every test of the file that calls it. */
export function standIn() {
  let server: Server | undefined;
  const stand = {
    directory: '',
    /** What the daemon was asked, and what the commands have said. */
    asked: [] as Asked[],
    printed: '',
    complained: '',
    path: (name: string) => join(stand.directory, name),
    /** @returns its path */
    file(name: string, content: string | Uint8Array): string {
      writeFileSync(stand.path(name), content);
      return stand.path(name);
    },
    async daemon(respond: Respond): Promise<void> {
      server = createServer((request, response) => {
        const chunks: Buffer[] = [];
        request.on('data', (chunk: Buffer) => chunks.push(chunk));
        request.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          const ifMatch = request.headers['if-match'];
          const one: Asked = {
            method: request.method ?? '',
            path: request.url ?? '',
            body: text === '' ? undefined : (JSON.parse(text) as unknown),
            ...(ifMatch === undefined ? {} : { ifMatch }),
          };
          stand.asked.push(one);
          const [status, body] = respond(one);
          const content = body === undefined ? '' : JSON.stringify(body);
          response.writeHead(status, { connection: 'close' }).end(content);
        });
      });
      await new Promise<void>((listening) => server?.listen(stand.path('sluice.sock'), listening));
    },
    /** A command that finds the daemon. */
    run: (...words: string[]) => stand.runAlone(...words, '--socket', stand.path('sluice.sock')),
    runAlone: (...words: string[]) => runProgram(words, { version: '1.2.3', run: async () => 42 }),
  };
  beforeEach(() => {
    stand.directory = mkdtempSync(join(tmpdir(), 'sluice-cli-'));
    stand.asked = [];
    stand.printed = '';
    stand.complained = '';
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
      stand.printed += String(text);
      return true;
    });
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
      stand.complained += String(text);
      return true;
    });
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    if (server !== undefined) await new Promise((closed) => server?.close(closed));
    server = undefined;
    rmSync(stand.directory, { recursive: true });
  });
  return stand;
}
