// From positions to a machine that a worker runs (match/regex.ts): a table of states where it stays small, else the sets of
// positions themselves; an expression that is too large for both is a mistake. Each step of the building has a bound: what
// an expression costs the compiler does not depend on who wrote it. Any thread.

import {
  REGEX_ALWAYS,
  REGEX_BODY_AT,
  REGEX_CLASS_AT,
  REGEX_CLASSES,
  REGEX_DEAD,
  REGEX_FINAL,
  REGEX_FINAL_AT_END,
  REGEX_FIRST,
  REGEX_IS_EMPTY_ENOUGH,
  REGEX_KIND,
  REGEX_LATER,
  REGEX_MATCHED,
  REGEX_POSITIONS,
  REGEX_SET_WORDS_MAX,
  REGEX_TABLE,
  REGEX_TAKERS,
  REGEX_WIDTH,
} from '../../match/regex.ts';
import { type Automaton, buildAutomaton, include, type PositionSet } from './regex-automaton.ts';
import { BEYOND_ASCII, SYMBOLS_COUNT } from './regex-bytes.ts';
import { parseRegex } from './regex-parse.ts';
import { isRegexMistake, type RegexMistake } from './regex-reading.ts';

const STATES_MAX = 4_096;
/** Entries of a table: 256 KiB. */
const ENTRIES_MAX = 131_072;
/** Words of sets that may be looked at for a table: tens of milliseconds. */
const WORK_MAX = 20_000_000;

const TOO_LARGE: RegexMistake = {
  wrong: 'too large',
  at: 0,
  expected: 'fewer alternatives, or smaller counts in "{}"',
};

/** What is wrong with an expression, also that it is too large. Costs what building it costs. */
export function regexMistake(text: string): RegexMistake | undefined {
  const machine = buildRegex(text);
  return isRegexMistake(machine) ? machine : undefined;
}

/**
 * A machine that works wherever it lies.
 * @param statesMax states of a table, beyond which the positions are run
 */
export function buildRegex(text: string, statesMax = STATES_MAX): Int32Array | RegexMistake {
  const tree = parseRegex(text);
  if (isRegexMistake(tree)) return tree;
  const automaton = buildAutomaton(tree);
  if (automaton === undefined) return TOO_LARGE;
  if (automaton.isAlways) return Int32Array.of(REGEX_ALWAYS, 1);
  const classes = classify(automaton);
  const table = buildTable(automaton, classes, statesMax);
  if (table !== undefined) return table;
  return automaton.width <= REGEX_SET_WORDS_MAX ? buildPositions(automaton, classes) : TOO_LARGE;
}

interface Classes {
  readonly count: number;
  /** By symbol. */
  readonly ofSymbol: Uint8Array;
  /** By class: who takes its bytes. */
  readonly takers: readonly PositionSet[];
}

/** Bytes that the same positions take are one class. */
function classify({ width, bytes }: Automaton): Classes {
  const ofSymbol = new Uint8Array(SYMBOLS_COUNT);
  const takers: PositionSet[] = [];
  const known = new Map<string, number>();
  for (let symbol = 0; symbol < SYMBOLS_COUNT; symbol++) {
    const set = new Int32Array(width);
    for (let position = 0; position < bytes.length; position++) {
      if ((bytes[position] as Uint8Array)[symbol] === 1) include(set, position);
    }
    const key = set.join();
    let number = known.get(key);
    if (number === undefined) {
      number = takers.push(set) - 1;
      known.set(key, number);
    }
    ofSymbol[symbol] = number;
  }
  return { count: takers.length, ofSymbol, takers };
}

function header(kind: number, { isEmptyEnough }: Automaton, classes: Classes, width: number): Int32Array {
  const words = new Int32Array(REGEX_BODY_AT);
  words[REGEX_KIND] = kind;
  words[REGEX_IS_EMPTY_ENOUGH] = isEmptyEnough ? 1 : 0;
  words[REGEX_CLASSES] = classes.count;
  words[REGEX_WIDTH] = width;
  for (let byte = 0; byte < 256; byte++) {
    const number = classes.ofSymbol[Math.min(byte, BEYOND_ASCII)] as number;
    const word = REGEX_CLASS_AT + (byte >> 2);
    words[word] = (words[word] as number) | (number << ((byte & 3) << 3));
  }
  return words;
}

function joined(parts: readonly Int32Array[]): Int32Array {
  const whole = new Int32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** @returns undefined where it would be too large, or too much work */
function buildTable(automaton: Automaton, classes: Classes, statesMax: number): Int32Array | undefined {
  const columns = classes.count + 1;
  const states = new States();
  const rows: number[] = [];
  const union = new Int32Array(automaton.width);
  let work = 0;
  states.add(automaton.first, false);
  for (let state = 0; state < states.sets.length; state++) {
    for (const takers of classes.takers) {
      union.set(automaton.later);
      const step = followAll(automaton, states.sets[state] as PositionSet, takers, union);
      work += step.work;
      rows.push(step.isMatch ? REGEX_MATCHED : states.add(union, step.isMatchAtEnd));
    }
    rows.push(states.endsHere[state] === true ? REGEX_MATCHED : 0);
    if (work > WORK_MAX || states.sets.length > statesMax || rows.length > ENTRIES_MAX) return undefined;
  }
  const table = new Int32Array(Math.ceil(rows.length / 2));
  for (const [entry, next] of rows.entries()) {
    table[entry >> 1] = (table[entry >> 1] as number) | (next << ((entry & 1) << 4));
  }
  return joined([header(REGEX_TABLE, automaton, classes, columns), table]);
}

/** States of the table: who may take the next byte, and whether the name may end here. */
class States {
  readonly sets: PositionSet[] = [];
  readonly endsHere: boolean[] = [];
  private readonly known = new Map<string, number>();

  /** @returns its number, or REGEX_DEAD where nothing can come of it */
  add(set: PositionSet, endsHere: boolean): number {
    const isFirst = this.sets.length === 0;
    if (!isFirst && !endsHere && set.every((word) => word === 0)) return REGEX_DEAD;
    const key = `${set.join()}${endsHere ? '$' : ''}`;
    let number = this.known.get(key);
    if (number === undefined) {
      number = this.sets.push(set.slice()) - 1;
      this.endsHere.push(endsHere);
      this.known.set(key, number);
    }
    return number;
  }
}

/** Adds to `union` who follows those of `set` that are among `takers`. */
function followAll(
  { width, followers, final, finalAtEnd }: Automaton,
  set: PositionSet,
  takers: PositionSet,
  union: PositionSet,
): { readonly work: number; readonly isMatch: boolean; readonly isMatchAtEnd: boolean } {
  let work = width;
  let isMatchAtEnd = false;
  for (let w = 0; w < width; w++) {
    let took = (set[w] as number) & (takers[w] as number);
    if ((took & (final[w] as number)) !== 0) return { work, isMatch: true, isMatchAtEnd: true };
    if ((took & (finalAtEnd[w] as number)) !== 0) isMatchAtEnd = true;
    for (; took !== 0; took &= took - 1) {
      const follower = followers[w * 32 + 31 - Math.clz32(took & -took)] as PositionSet;
      for (let k = 0; k < width; k++) union[k] = (union[k] as number) | (follower[k] as number);
      work += width;
    }
  }
  return { work, isMatch: false, isMatchAtEnd };
}

function buildPositions(automaton: Automaton, classes: Classes): Int32Array {
  const { width, followers } = automaton;
  const sets: PositionSet[] = [];
  sets[REGEX_FIRST] = automaton.first;
  sets[REGEX_LATER] = automaton.later;
  sets[REGEX_FINAL] = automaton.final;
  sets[REGEX_FINAL_AT_END] = automaton.finalAtEnd;
  for (const [number, takers] of classes.takers.entries()) sets[REGEX_TAKERS + number] = takers;
  const choices = new Int32Array(width * 8 * 16 * width);
  for (let quad = 0; quad < width * 8; quad++) {
    for (let choice = 1; choice < 16; choice++) {
      const row = (quad * 16 + choice) * width;
      for (let bit = 0; bit < 4; bit++) {
        const follower = (choice & (1 << bit)) === 0 ? undefined : followers[quad * 4 + bit];
        for (let k = 0; follower !== undefined && k < width; k++) {
          choices[row + k] = (choices[row + k] as number) | (follower[k] as number);
        }
      }
    }
  }
  return joined([header(REGEX_POSITIONS, automaton, classes, width), ...sets, choices]);
}
