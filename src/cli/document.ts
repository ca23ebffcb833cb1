// Files that commands are given: what services and rules are written in, and rule sets of any format.

import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { CommandFailure } from './client.ts';
import { EXIT_REFUSED } from './exit-codes.ts';

/** @param fileName `-` for standard input @throws CommandFailure */
export function readInput(fileName: string): Buffer {
  try {
    return readFileSync(fileName === '-' ? 0 : fileName);
  } catch (error) {
    throw new CommandFailure(EXIT_REFUSED, `${fileName} cannot be read: ${(error as Error).message}`);
  }
}

/** @param fileName YAML or JSON; `-` for standard input */
export function readDocument(fileName: string): unknown {
  const text = readInput(fileName).toString('utf8');
  try {
    // A hundred thousand services as JSON are read many times faster as what they are.
    return /^\s*[[{]/.test(text) ? parseJsonFirst(text) : (parse(text) as unknown);
  } catch (error) {
    throw new CommandFailure(EXIT_REFUSED, `${fileName}: ${(error as Error).message}`);
  }
}

function parseJsonFirst(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return parse(text) as unknown;
  }
}

export function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
