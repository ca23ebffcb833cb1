// What the figures were taken on: written into every result, since only figures of the same machine compare.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';

export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly node: string;
  readonly system: string;
  /** By subject. */
  readonly versions: Readonly<Record<string, string>>;
}

export function describeMachine(versions: Readonly<Record<string, string>>): Machine {
  const system = /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'unknown';
  return {
    processor: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryBytes: totalmem(),
    kernel: release(),
    node: process.version,
    system,
    versions,
  };
}

/** The first line that matches in what `command` prints (some print their version as an error). */
export function firstLine(command: readonly string[], pattern: RegExp): string {
  const [file = '', ...parameters] = command;
  try {
    const text = execFileSync('/bin/sh', ['-c', '"$0" "$@" 2>&1', file, ...parameters], { encoding: 'utf8' });
    return pattern.exec(text)?.[0] ?? 'unknown';
  } catch {
    return 'unknown';
  }
}
