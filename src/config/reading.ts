// What every part of the check carries along: where complaints go, and how a written string becomes a value. A reader
// function answers undefined where it complained, or where nothing was written; the configuration is only handed out
// when nobody complained, so `undefined` never stands for a mistake in what others see.

import type { UnitMistake } from '../policy/units.ts';
import type { AddressMistake } from './addresses.ts';
import { type Complaint, MISTAKES_MAX, type Path, shown } from './mistakes.ts';

export interface Reading {
  readonly mistakes: Complaint[];
  /** Those beyond MISTAKES_MAX, of which only the number is kept. */
  untold: number;
  readonly warnings: Complaint[];
  /** What relative paths start from. */
  readonly baseDirectory: string;
}

/** For what may be wrong in each line of a long list: words are only made for what is told. */
export function complain(reading: Pick<Reading, 'mistakes' | 'untold'>, describe: () => Complaint): void {
  if (reading.mistakes.length < MISTAKES_MAX) reading.mistakes.push(describe());
  else reading.untold++;
}

/** Reads a string by a parser of units or addresses, and complains in its words. */
export function read<Value extends string | number | object>(
  reading: Reading,
  path: Path,
  text: string | undefined,
  parse: (text: string) => Value | UnitMistake | AddressMistake,
): Value | undefined {
  if (text === undefined) return undefined;
  const value = parse(text);
  if (!isMistake(value)) return value;
  complain(reading, () => {
    const found = shown(text, path);
    const near = 'nearest' in value ? value.nearest : undefined;
    const message = `${found} ${value.wrong}; expected ${value.expected}`;
    return { path, found, expected: value.expected, nearest: near, message };
  });
  return undefined;
}

/** Reads each string of a list; what was cut out of the list before is passed over. */
export function readAll<Value extends string | number | object>(
  reading: Reading,
  path: Path,
  texts: readonly (string | undefined)[] | undefined,
  parse: (text: string) => Value | UnitMistake | AddressMistake,
): Value[] {
  const values: Value[] = [];
  for (const [index, text] of (texts ?? []).entries()) {
    const value = read(reading, [...path, index], text, parse);
    if (value !== undefined) values.push(value);
  }
  return values;
}

function isMistake<Value>(
  value: Value | UnitMistake | AddressMistake,
): value is UnitMistake | AddressMistake {
  return typeof value === 'object' && value !== null && 'wrong' in value;
}
