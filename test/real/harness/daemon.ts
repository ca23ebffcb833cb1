// The built daemon, as an operator runs it: `./bin/sluice run -c FILE` in a directory of its own, on free ports of
// loopback. It is ready when it says so in its log. Where a test fails, the log is printed; at the end of the file every
// daemon is stopped, and one that doesn't end orderly, or lost a worker that nobody killed, fails the tests.

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach } from 'vitest';
import type { Status } from '../../../src/api/status.ts';
import { atEnd } from './at-end.ts';
import { type Outcome, run, type Running, start } from './programs.ts';
import { until, within } from './until.ts';

export const SLUICE = resolve(import.meta.dirname, '../../../bin/sluice');
const READY_TIMEOUT_MS = 20_000;
const API_TIMEOUT_MS = 10_000;

/** As in the file; JSON is YAML. */
export type Written = Readonly<Record<string, unknown>>;

export interface DaemonInit {
  readonly environment?: Readonly<Record<string, string>>;
  /** Words before the daemon's command line, such as `prlimit --nofile=400:400`. */
  readonly prefix?: readonly string[];
  /** Workers are expected to die. */
  readonly isFaulty?: boolean;
}

/** One line of the log. */
export type LogRecord = Readonly<Record<string, unknown>>;

export interface Daemon {
  readonly pid: number;
  readonly directory: string;
  readonly file: string;
  /** Where the inbound `tag` listens now. */
  port(tag: string): Promise<number>;
  status(): Promise<Status>;
  /** How many connections have ended for `reason`. */
  ended(reason: string): Promise<number>;
  /** @param body is sent as JSON */
  api(method: string, path: string, body?: unknown): Promise<{ status: number; text: string }>;
  /** Runs `sluice` with these words for this daemon. */
  cli(...words: string[]): Promise<Outcome>;
  signal(name: NodeJS.Signals): void;
  readonly exit: Promise<number | null>;
  /** Puts another configuration into its file; it takes effect with a reload. */
  write(written: Written): void;
  /** Records of the log with this event. */
  logged(event: string): LogRecord[];
  log(): string;
  descriptors(): number;
  /** Resident memory, bytes. */
  resident(): number;
  /** Ends it at once. @returns its exit code */
  stop(): Promise<number | null>;
}

const running = new Set<Daemon>();
/** Those whose log belongs to the test in hand. */
let recent: Daemon[] = [];

afterEach((context) => {
  if (context.task.result?.state === 'fail') {
    for (const daemon of recent)
      process.stdout.write(`log of the daemon in ${daemon.file}:\n${daemon.log()}\n`);
  }
  recent = recent.filter((daemon) => running.has(daemon));
});

/** Where a test keeps its files; gone after the file's tests. */
export function makeDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-real-'));
  atEnd(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** An outbound that clients may lead to this machine. */
export const LOCAL = { tag: 'direct', type: 'direct', allow_destinations: ['127.0.0.0/8', '::1/128'] };

/** Starts a daemon and waits until it is ready. Two workers and a local `direct`, unless `written` says otherwise. */
export async function startDaemon(written: Written, init: DaemonInit = {}): Promise<Daemon> {
  const directory = makeDirectory();
  const file = join(directory, 'edge.yaml');
  const write = (configuration: Written) =>
    writeFileSync(file, JSON.stringify({ workers: 2, outbounds: [LOCAL], ...configuration }, undefined, 1));
  write(written);
  const program = start([...(init.prefix ?? []), SLUICE, 'run', '-c', file], {
    directory,
    environment: init.environment ?? {},
  });
  const daemon = describeDaemon(program, directory, file, write, init.isFaulty === true);
  running.add(daemon);
  recent.push(daemon);
  atEnd(async () => {
    if (!running.has(daemon)) return;
    const code = await daemon.stop();
    if (code !== 0) throw new Error(`the daemon ended with ${code}, not 0:\n${daemon.log()}`);
  });
  let hasEnded = false;
  void program.ended.then(() => {
    hasEnded = true;
  });
  const isReady = () => hasEnded || daemon.logged('ready').length > 0;
  await until(`the daemon of ${file} is ready`, isReady, READY_TIMEOUT_MS);
  if (hasEnded) throw new Error(`the daemon ended at start:\n${program.output()}`);
  return daemon;
}

function describeDaemon(
  program: Running,
  directory: string,
  file: string,
  write: (written: Written) => void,
  isFaulty: boolean,
): Daemon {
  const socket = join(directory, 'sluice.sock');
  const api: Daemon['api'] = (method, path, body) => ask(socket, method, path, body);
  const status = async () => JSON.parse((await api('GET', '/v1/status')).text) as Status;
  const logged = (event: string) => records(program.output()).filter((record) => record['event'] === event);
  return {
    pid: program.pid,
    directory,
    file,
    async port(tag) {
      const listen = (await status()).inbounds.find((inbound) => inbound.tag === tag)?.listen ?? '';
      const port = Number(/:(\d+)$/.exec(listen)?.[1]);
      if (!(port > 0)) throw new Error(`inbound ${tag} listens on no port: "${listen}"`);
      return port;
    },
    status,
    ended: async (reason) => (await status()).ended[reason] ?? 0,
    api,
    cli: (...words) => run([SLUICE, ...words], { directory, environment: { SLUICE_SOCKET: socket } }),
    signal(name) {
      // Whoever kills it does not expect it to end orderly.
      if (name === 'SIGKILL') running.delete(this);
      program.signal(name);
    },
    exit: program.ended,
    write,
    logged,
    log: () => program.output(),
    descriptors: () => readdirSync(`/proc/${program.pid}/fd`).length,
    resident: () => residentBytes(program.pid),
    async stop() {
      running.delete(this);
      program.signal('SIGINT');
      const code = await within('the daemon ends', program.ended);
      if (!isFaulty && logged('worker_died').length > 0)
        throw new Error(`a worker died:\n${program.output()}`);
      return code;
    },
  };
}

/** The log's lines as far as they are records; whatever else a process prints is passed over. */
function records(text: string): LogRecord[] {
  return text.split('\n').flatMap((line) => {
    try {
      return [JSON.parse(line) as LogRecord];
    } catch {
      return [];
    }
  });
}

function residentBytes(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
  return Number(kilobytes) * 1024;
}

function ask(
  socketPath: string,
  method: string,
  path: string,
  body?: unknown,
): Promise<{ status: number; text: string }> {
  const headers = body === undefined ? {} : { 'content-type': 'application/json' };
  return new Promise((done, failed) => {
    const outgoing = request(
      // A connection of its own: one that was kept may be closed by the daemon just when a busy machine comes to write.
      { socketPath, method, path, host: 'sluice', headers, timeout: API_TIMEOUT_MS, agent: false },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', failed);
        response.on('end', () =>
          done({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
        );
      },
    );
    outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer in time: ${method} ${path}`)));
    outgoing.on('error', failed);
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
