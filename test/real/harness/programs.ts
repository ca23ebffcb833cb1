// Programs that a test runs: each has a time limit, is remembered until it ended, and is ended by its own number. What
// isn't installed makes a test skip, and the reason is printed.

import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import type { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { atEnd } from './at-end.ts';

const TIMEOUT_MS = 15_000;
const STOP_TIMEOUT_MS = 3_000;
/** Where Debian keeps servers, which a user's PATH may lack. */
const PATH = `${process.env['PATH'] ?? ''}:/usr/sbin:/usr/local/sbin:/sbin`;

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

const living = new Set<Child>();
process.on('exit', () => {
  for (const child of living) child.kill('SIGKILL');
});

/** Whether one of them is missing; says so, for whoever wonders about skipped tests. */
export function missing(...names: readonly string[]): boolean {
  const absent = names.filter((name) => spawnSync('which', [name], { env: { PATH } }).status !== 0);
  if (absent.length > 0) process.stdout.write(`tests skipped: not installed: ${absent.join(', ')}\n`);
  return absent.length > 0;
}

interface RunInit {
  /** Its standard input; nothing if left out. */
  readonly input?: Uint8Array | Readable;
  readonly timeoutMs?: number;
  readonly environment?: Readonly<Record<string, string>>;
  readonly directory?: string;
}

export interface Outcome {
  /** null where a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Digested {
  readonly code: number | null;
  readonly bytes: number;
  /** SHA-256 of its standard output, in hex. */
  readonly sha256: string;
  readonly stderr: string;
}

/** Runs a program to its end. Rejects where it does not end in time. */
export async function run(command: readonly string[], init: RunInit = {}): Promise<Outcome> {
  const chunks: Buffer[] = [];
  const { code, stderr } = await finish(command, init, (chunk) => chunks.push(chunk));
  return { code, stdout: Buffer.concat(chunks).toString('latin1'), stderr };
}

/** As `run`, for outputs that are too large to keep. */
export async function runDigest(command: readonly string[], init: RunInit = {}): Promise<Digested> {
  const hash = createHash('sha256');
  let bytes = 0;
  const { code, stderr } = await finish(command, init, (chunk) => {
    hash.update(chunk);
    bytes += chunk.length;
  });
  return { code, bytes, sha256: hash.digest('hex'), stderr };
}

async function finish(command: readonly string[], init: RunInit, take: (chunk: Buffer) => void) {
  const child = spawnOne(command, init);
  let stderr = '';
  child.stdout.on('data', take);
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString('latin1');
  });
  // A program may end without having read all of its input.
  child.stdin.on('error', () => {});
  if (init.input === undefined || init.input instanceof Uint8Array) child.stdin.end(init.input);
  else void pipeline(init.input, child.stdin).catch(() => {});
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    child.kill('SIGKILL');
  }, init.timeoutMs ?? TIMEOUT_MS);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  clearTimeout(timer);
  if (isLate) throw new Error(`${command.join(' ')} did not end in time: ${stderr}`);
  return { code, stderr };
}

export interface Running {
  readonly pid: number;
  readonly stdin: Writable;
  /** What it has written so far, to both outputs. */
  output(): string;
  /** Its exit code, or null where a signal ended it. */
  readonly ended: Promise<number | null>;
  signal(name: NodeJS.Signals): void;
  /** Ends it politely, then less so. */
  stop(): Promise<void>;
}

/** Starts a program that runs beside the test; at the end of the file it is stopped. */
export function start(command: readonly string[], init: RunInit = {}): Running {
  const child = spawnOne(command, init);
  atEnd(() => end(child));
  let output = '';
  const keep = (chunk: Buffer) => {
    output += chunk.toString('latin1');
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  child.stdin.on('error', () => {});
  child.on('error', (error) => {
    output += error.message;
  });
  return {
    pid: child.pid ?? -1,
    stdin: child.stdin,
    output: () => output,
    ended: new Promise((resolve) => child.once('close', resolve)),
    signal: (name) => void child.kill(name),
    stop: () => end(child),
  };
}

function spawnOne(command: readonly string[], init: RunInit): Child {
  const [file = '', ...words] = command;
  const child = spawn(file, words, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, PATH, ...init.environment },
    ...(init.directory === undefined ? {} : { cwd: init.directory }),
  });
  living.add(child);
  child.once('close', () => living.delete(child));
  child.once('error', () => living.delete(child));
  return child;
}

async function end(child: Child): Promise<void> {
  if (!living.has(child)) return;
  const ended = new Promise((resolve) => child.once('close', resolve));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await ended;
  clearTimeout(timer);
}
