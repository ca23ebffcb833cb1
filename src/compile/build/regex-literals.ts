// What every name that an expression matches must hold: one of a few texts. Those are looked for as keywords, all at once, so
// that a machine runs only for names that have a chance. `(^|\.)ad7[0-9]*\.` wants `ad7`; `(ads|track)[0-9]` one of two.
//
// Of a part of an expression it is known what it matches exactly, if that is one text; else what its matches begin and end
// with, which grows together with the parts beside it, and which texts one of must occur. Any thread.

import type { ByteSet } from './regex-bytes.ts';
import { BEYOND_ASCII } from './regex-bytes.ts';
import type { RegexTree } from './regex-parse.ts';

/** Characters of a text; a longer one is looked for by its beginning. */
const LITERAL_MAX = 32;
/** Shorter ones are in most names. */
const LITERAL_MIN = 2;
const ALTERNATIVES_MAX = 16;
const [UPPER_A, UPPER_Z] = [0x41, 0x5a];

interface Part {
  /** All that it matches; undefined: several texts, or unknown ones. */
  readonly exact: string | undefined;
  readonly prefix: string;
  readonly suffix: string;
  /** One of them occurs in every match; none: nothing is known. */
  readonly any: readonly string[];
}

const UNKNOWN: Part = { exact: undefined, prefix: '', suffix: '', any: [] };

/** @returns texts of which every name that matches holds one; none: it may match any name */
export function requiredLiterals(tree: RegexTree): readonly string[] {
  const { any } = partOf(tree);
  return shortest(any) < LITERAL_MIN ? [] : [...new Set(any)];
}

function partOf(tree: RegexTree): Part {
  switch (tree.kind) {
    case 'bytes': {
      const only = onlyByte(tree.bytes);
      return only === undefined ? UNKNOWN : exactly(String.fromCharCode(only));
    }
    case 'sequence':
      return tree.parts.map(partOf).reduce(behind);
    case 'choice':
      return choiceOf(tree.parts.map(partOf));
    case 'repeat':
      return repeated(partOf(tree.part), tree.min, tree.max);
    // What takes no byte; where a name begins or ends, no byte is either.
    default:
      return exactly('');
  }
}

/** Names are in lower case: a capital stands for nothing. */
function onlyByte(bytes: ByteSet): number | undefined {
  let only: number | undefined;
  for (const [symbol, has] of bytes.entries()) {
    if (has === 0 || (symbol >= UPPER_A && symbol <= UPPER_Z)) continue;
    if (only !== undefined || symbol === BEYOND_ASCII) return undefined;
    only = symbol;
  }
  return only;
}

function exactly(text: string): Part {
  if (text.length <= LITERAL_MAX) return { exact: text, prefix: text, suffix: text, any: [text] };
  const prefix = text.slice(0, LITERAL_MAX);
  return { exact: undefined, prefix, suffix: text.slice(-LITERAL_MAX), any: [prefix] };
}

function behind(left: Part, right: Part): Part {
  if (left.exact !== undefined && right.exact !== undefined) return exactly(left.exact + right.exact);
  const across = exactly(left.suffix + right.prefix).any;
  return {
    exact: undefined,
    prefix: left.exact === undefined ? left.prefix : (left.exact + right.prefix).slice(0, LITERAL_MAX),
    suffix: right.exact === undefined ? right.suffix : (left.suffix + right.exact).slice(-LITERAL_MAX),
    any: [left.any, right.any, across].reduce(better),
  };
}

function choiceOf(parts: readonly Part[]): Part {
  const [first = UNKNOWN] = parts;
  const any = parts.some((part) => part.any.length === 0) ? [] : parts.flatMap((part) => part.any);
  return {
    exact: parts.every(({ exact }) => exact === first.exact) ? first.exact : undefined,
    prefix: parts.reduce((common, { prefix }) => commonPrefix(common, prefix), first.prefix),
    suffix: parts.reduce((common, { suffix }) => commonSuffix(common, suffix), first.suffix),
    any: any.length <= ALTERNATIVES_MAX ? any : [],
  };
}

function repeated(part: Part, min: number, max: number): Part {
  if (max === 0 || part.exact === '') return exactly('');
  if (min === 0) return UNKNOWN;
  if (part.exact === undefined) return part;
  // No more of them than a literal has room for.
  const whole = exactly(part.exact.repeat(Math.min(min, LITERAL_MAX + 1)));
  return min === max ? whole : { ...whole, exact: undefined };
}

/** The longer, since it occurs in fewer names; of several texts the shortest counts. */
function better(one: readonly string[], other: readonly string[]): readonly string[] {
  const gain = shortest(other) - shortest(one);
  return gain > 0 || (gain === 0 && other.length < one.length) ? other : one;
}

function shortest(texts: readonly string[]): number {
  return texts.reduce((least, { length }) => Math.min(least, length), texts.length === 0 ? 0 : LITERAL_MAX);
}

function commonPrefix(one: string, other: string): string {
  let length = 0;
  while (length < one.length && one[length] === other[length]) length++;
  return one.slice(0, length);
}

function commonSuffix(one: string, other: string): string {
  let length = 0;
  while (length < one.length && one.at(-1 - length) === other.at(-1 - length)) length++;
  return one.slice(one.length - length);
}
