// What a daemon refused, for people: every mistake on a line of its own, then what follows from them.

import type { Problem } from '../api/problem.ts';
import type { RequestMistake } from '../config/mistakes.ts';
import type { Answer } from './client.ts';
import { EXIT_NOTHING, EXIT_OK, EXIT_REFUSED } from './exit-codes.ts';

const STATUS_NOT_FOUND = 404;

export interface OutputOptions {
  readonly json?: boolean;
}

/** Prints an answer as JSON or by `format`, a refusal to standard error. @returns the exit code */
export function printAnswer({ status, body }: Answer, options: OutputOptions, format: () => string): number {
  if (status >= 400) return printRefusal({ status, body }, options);
  process.stdout.write(options.json === true ? jsonText(body ?? {}) : format());
  return EXIT_OK;
}

export function printRefusal({ status, body }: Answer, options: OutputOptions): number {
  if (options.json === true) process.stdout.write(jsonText(body));
  else process.stderr.write(formatRefusal(body as Problem));
  return status === STATUS_NOT_FOUND ? EXIT_NOTHING : EXIT_REFUSED;
}

export function jsonText(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

/** What stands before the daemon, or is none, may answer otherwise. */
export function reasonOf({ detail, title, status }: Partial<Problem>): string {
  return detail ?? title ?? `the daemon refused${status === undefined ? '' : ` (${status})`}`;
}

function formatRefusal(problem: Problem): string {
  const { mistakes = [] } = problem as Problem & { mistakes?: readonly RequestMistake[] };
  return `${mistakes.map(mistakeLine).join('')}sluice: ${reasonOf(problem)}\n`;
}

/** Of what stands in no file, or in another one: its words say where. */
export function mistakeLine({ path, message }: RequestMistake): string {
  return path === '' ? `${message}\n` : `${path}: ${message}\n`;
}
