// Processes that the benchmark starts: pinned to a core, remembered until they ended, ended by their own number and
// never by name. None outlives the benchmark.

import { type ChildProcess, execFileSync, type StdioOptions, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { processTree } from './processor-time.ts';

const STOP_STEP_MS = 1500;
const OUTPUT_CHARACTERS_MAX = 4000;
const OUTPUT_FILE = 'output.txt';

export interface Cores {
  /** What is measured runs here alone. */
  readonly proxy: number | undefined;
  /** Everything else: generator and origin. */
  readonly load: number | undefined;
}

/** The first two cores that this process may use; with fewer, nothing is pinned. */
export function chooseCores(): Cores {
  const list = /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '';
  const cores: number[] = [];
  for (const range of list.split(',')) {
    const [first = Number.NaN, last = first] = range.split('-').map(Number);
    for (let core = first; core <= last; core++) cores.push(core);
  }
  return cores.length < 2 ? { proxy: undefined, load: undefined } : { proxy: cores[1], load: cores[0] };
}

/** All threads of this process: what the benchmark asks of an API itself must not run on the proxy's core. */
export function pinThisProcess(core: number | undefined): void {
  if (core === undefined) return;
  execFileSync('taskset', ['-a', '-c', '-p', String(core), String(process.pid)], { stdio: 'ignore' });
}

export interface Child {
  readonly process: ChildProcess;
  readonly pid: number;
  /** What it wrote to its standard output and error, as far as it is kept. */
  output(): string;
  /** Ends it politely, then less so. */
  stop(): Promise<void>;
}

const living = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of living) child.kill('SIGKILL');
});

/**
 * Starts `command` on `core`.
 *
 * What it writes goes to a file where it has a folder, as a service's log does. A pipe would wake this process for each
 * line, on the generator's core and in the middle of what is measured: with 1,000 evictions a second, each of which leaves
 * a line, that took 5 % of the core from the generator, and nothing in the runs that they are compared with.
 * @param directory where it runs
 * @param channel   whether it gets Node's message channel
 */
export function startChild(
  core: number | undefined,
  command: readonly string[],
  options: { readonly directory?: string; readonly channel?: boolean } = {},
): Child {
  const [file = '', ...parameters] =
    core === undefined ? command : ['taskset', '-c', String(core), ...command];
  const { directory } = options;
  const path = directory === undefined ? undefined : join(directory, OUTPUT_FILE);
  const writesTo = path === undefined ? 'pipe' : openSync(path, 'a');
  const stdio: StdioOptions = ['ignore', writesTo, writesTo];
  const child = spawn(file, parameters, {
    ...(directory === undefined ? {} : { cwd: directory }),
    stdio: options.channel === true ? [...stdio, 'ipc'] : stdio,
  });
  if (typeof writesTo === 'number') closeSync(writesTo);
  living.add(child);
  let output = '';
  const keep = (text: Buffer): void => {
    if (output.length < OUTPUT_CHARACTERS_MAX) output += text.toString('utf8');
  };
  child.stdout?.on('data', keep);
  child.stderr?.on('data', keep);
  child.on('error', (error) => {
    output += error.message;
  });
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => {
      living.delete(child);
      resolve();
    });
    child.once('error', () => resolve());
  });
  return {
    process: child,
    pid: child.pid ?? -1,
    output: () => (path === undefined ? output : output + beginningOf(path)),
    stop: () => stop(child, ended),
  };
}

function beginningOf(path: string): string {
  if (!existsSync(path)) return '';
  const bytes = Buffer.alloc(OUTPUT_CHARACTERS_MAX);
  const fd = openSync(path, 'r');
  const length = readSync(fd, bytes);
  closeSync(fd);
  return bytes.toString('utf8', 0, length);
}

/** The next message of a child. */
export function nextMessage<T>(child: Child, timeoutMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      clearTimeout(timer);
      child.process.off('message', onMessage);
      child.process.off('exit', onExit);
    };
    const onMessage = (message: unknown): void => {
      settle();
      resolve(message as T);
    };
    const onExit = (): void => {
      settle();
      reject(new Error(`a process of the benchmark ended: ${child.output()}`));
    };
    const timer = setTimeout(() => {
      settle();
      reject(new Error(`a process of the benchmark did not answer in ${timeoutMs} ms: ${child.output()}`));
    }, timeoutMs);
    child.process.on('message', onMessage);
    child.process.on('exit', onExit);
  });
}

async function stop(child: ChildProcess, ended: Promise<void>): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const tree = processTree(child.pid);
  // A second SIGTERM tells Sluice not to drain any longer.
  for (const signal of ['SIGTERM', 'SIGTERM', 'SIGKILL'] as const) {
    child.kill(signal);
    const timer = new AbortController();
    const waited = delay(STOP_STEP_MS, 'late', { signal: timer.signal }).catch(() => 'aborted');
    const outcome = await Promise.race([ended, waited]);
    timer.abort();
    if (outcome !== 'late') return;
  }
  // Only a parent that had to be killed leaves children behind.
  for (const pid of tree.slice(1)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It ended together with its parent.
    }
  }
}
