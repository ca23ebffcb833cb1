// What the expressions of rules may cost a worker, for the worst of names. Clients choose names, and every worker runs the
// machines of all expressions that could match, so the sum is bounded when rules are read: no decision spends more than
// about a millisecond in machines (REGEX_WORK_MAX).
//
//   a machine without a literal (regex-literals.ts) runs for every name                              all of them count
//   one with literals runs where one of them occurs: each byte of a name ends some literals at most  the 253 dearest
//                                                                                                      ends count
//
// Any thread.

import { REGEX_KIND, REGEX_POSITIONS, REGEX_WIDTH } from '../../match/regex.ts';
import { weighEnds } from './keywords.ts';
import { requiredLiterals } from './regex-literals.ts';
import { buildRegex } from './regex-machine.ts';
import { parseRegex } from './regex-parse.ts';
import { isRegexMistake, type RegexMistake } from './regex-reading.ts';

/**
 * Steps a byte of a name, one of which is a look-up in a table and takes about 5 ns: 750 of them over the 253 bytes of the
 * longest name are a millisecond. 5,000 tables took 6.7 ms on the machine that the benchmarks ran on.
 */
export const REGEX_WORK_MAX = 750;
const NAME_BYTES_MAX = 253;
const KNOWN_MAX = 16_384;

export interface RegexMeasure {
  /** One of them is in every name that matches; none: it runs for every name. */
  readonly literals: readonly string[];
  /** Steps a byte. */
  readonly steps: number;
  /** Words of its machine. */
  readonly words: number;
}

/** Expressions that were measured: rules that did not change are checked again with every change of others. */
const known = new Map<string, RegexMeasure>();

/** Costs what building the machine costs. */
export function measureRegex(text: string): RegexMeasure | RegexMistake {
  const before = known.get(text);
  if (before !== undefined) return before;
  const machine = buildRegex(text);
  if (isRegexMistake(machine)) return machine;
  const measure = { literals: literalsOf(text), steps: stepsOf(machine), words: machine.length };
  if (known.size >= KNOWN_MAX) known.clear();
  known.set(text, measure);
  return measure;
}

/** What every name that the expression matches holds one of; none: any name may match, or it is none. */
export function literalsOf(text: string): readonly string[] {
  const tree = parseRegex(text);
  return isRegexMistake(tree) ? [] : requiredLiterals(tree);
}

/** Of positions as measured: a word of a set takes its share of every other, and some steps of its own. */
function stepsOf(machine: Int32Array): number {
  if (machine[REGEX_KIND] !== REGEX_POSITIONS) return 1;
  const width = machine[REGEX_WIDTH] as number;
  return width * width + 4 * width + 4;
}

/** The most steps a byte that all these together can cost. Grows with every one that is added. */
export function regexWork(measures: readonly RegexMeasure[]): number {
  const patterns: { readonly text: string; readonly predicate: number }[] = [];
  let always = 0;
  for (const [index, { literals, steps }] of measures.entries()) {
    if (literals.length === 0) always += steps;
    for (const text of literals) patterns.push({ text, predicate: index });
  }
  const ends = weighEnds(patterns, (index) => (measures[index] as RegexMeasure).steps);
  return ends
    .sort((one, other) => other - one)
    .slice(0, NAME_BYTES_MAX)
    .reduce((sum, one) => sum + one, always);
}

/** @returns the first of them that is too much together with those before it; -1: none is */
export function firstBeyond(measures: readonly RegexMeasure[]): number {
  if (regexWork(measures) <= REGEX_WORK_MAX) return -1;
  let low = 0;
  let high = measures.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (regexWork(measures.slice(0, middle + 1)) > REGEX_WORK_MAX) high = middle;
    else low = middle + 1;
  }
  return low;
}
