// Regular expressions as RE2 has them (and so sing-box): everything that one pass over a name can decide. Text in, tree
// out, or the mistake and its place. What needs more than one pass (back-references, look-around) is a mistake, and so
// is what can't occur in a name: bytes beyond ASCII.
//
// Names have no case: a letter stands for both of its cases, with `(?i)` or without. Laziness makes no difference to
// whether something matches, so it is read and forgotten. Any thread.
//
// @source RE2 syntax, https://github.com/google/re2/wiki/Syntax

import { type ByteSet, ANY_BUT_NEWLINE, oneByte } from './regex-bytes.ts';
import { readClass, readEscape } from './regex-classes.ts';
import { asciiAt, RegexError, type RegexMistake, type RegexReading } from './regex-reading.ts';

export type RegexTree =
  | { readonly kind: 'empty' }
  | { readonly kind: 'bytes'; readonly bytes: ByteSet }
  /** Where the name begins, where it ends. */
  | { readonly kind: 'start' | 'end' }
  | { readonly kind: 'sequence' | 'choice'; readonly parts: readonly RegexTree[] }
  /** `max`: Infinity: without bound. */
  | { readonly kind: 'repeat'; readonly part: RegexTree; readonly min: number; readonly max: number };

const TEXT_MAX = 16_384;
const DEPTH_MAX = 64;
/** As RE2 has it. */
const REPEAT_MAX = 1_000;
const FLAGS = /\(\?([imsU]*)(-[imsU]+)?([:)])/y;
const NAME = /\(\?P?<([A-Za-z_]\w*)>/y;
const COUNTS = /\{(\d{1,6})(,(\d{0,6}))?\}/y;

export function parseRegex(text: string): RegexTree | RegexMistake {
  try {
    if (text.length > TEXT_MAX) {
      throw new RegexError(`${text.length} characters`, TEXT_MAX, `at most ${TEXT_MAX}`);
    }
    const reading = { text, at: 0, depth: 0 };
    const tree = readChoice(reading);
    if (reading.at < text.length)
      throw new RegexError('")" without "("', reading.at, '"\\)" for the character');
    return tree;
  } catch (error) {
    if (error instanceof RegexError) return error.mistake;
    throw error;
  }
}

/** Up to a `)` or the end. */
function readChoice(reading: RegexReading): RegexTree {
  const parts = [readSequence(reading)];
  while (reading.text[reading.at] === '|') {
    reading.at++;
    parts.push(readSequence(reading));
  }
  return parts.length === 1 ? (parts[0] as RegexTree) : { kind: 'choice', parts };
}

function readSequence(reading: RegexReading): RegexTree {
  const parts: RegexTree[] = [];
  for (;;) {
    const next = reading.text[reading.at];
    if (next === undefined || next === '|' || next === ')') break;
    const part = readAtom(reading);
    // Flags stand for nothing: there is nothing to repeat.
    if (part !== undefined) parts.push(readRepeats(reading, part));
  }
  if (parts.length === 0) return { kind: 'empty' };
  return parts.length === 1 ? (parts[0] as RegexTree) : { kind: 'sequence', parts };
}

function readAtom(reading: RegexReading): RegexTree | undefined {
  const { text, at } = reading;
  const next = text[at] as string;
  switch (next) {
    case '(':
      return readGroup(reading);
    case '[':
      return { kind: 'bytes', bytes: readClass(reading) };
    case '\\':
      return readAnchorOrEscape(reading);
    case '.':
      reading.at++;
      return { kind: 'bytes', bytes: ANY_BUT_NEWLINE };
    case '^':
      reading.at++;
      return { kind: 'start' };
    case '$':
      reading.at++;
      return { kind: 'end' };
    case '*':
    case '+':
    case '?':
      throw new RegexError(
        `"${next}" behind nothing that it could repeat`,
        at,
        `"\\${next}" for the character`,
      );
    default:
      reading.at++;
      return { kind: 'bytes', bytes: oneByte(asciiAt(text, at)) };
  }
}

function readAnchorOrEscape(reading: RegexReading): RegexTree {
  const { text, at } = reading;
  const escaped = text[at + 1];
  if (escaped === 'A' || escaped === 'z') {
    reading.at += 2;
    return { kind: escaped === 'A' ? 'start' : 'end' };
  }
  if (escaped === 'b' || escaped === 'B') {
    throw new RegexError(`"\\${escaped}" (word boundary)`, at, '"(^|[^a-z0-9])" or "($|[^a-z0-9])"');
  }
  return { kind: 'bytes', bytes: readEscape(reading) };
}

/** @returns undefined for flags alone: `(?i)` */
function readGroup(reading: RegexReading): RegexTree | undefined {
  const { text, at } = reading;
  if (text[at + 1] === '?') {
    FLAGS.lastIndex = at;
    NAME.lastIndex = at;
    const flags = FLAGS.exec(text);
    const name = NAME.exec(text);
    const opening = flags ?? name;
    if (opening === null) throw groupMistake(text, at);
    reading.at += opening[0].length;
    if (flags?.[3] === ')') return undefined;
  } else {
    reading.at++;
  }
  if (++reading.depth > DEPTH_MAX) {
    throw new RegexError(`more than ${DEPTH_MAX} groups inside each other`, at, 'fewer');
  }
  const tree = readChoice(reading);
  if (text[reading.at] !== ')')
    throw new RegexError('"(" that nothing closes', at, '")", or "\\(" for the character');
  reading.at++;
  reading.depth--;
  return tree;
}

function groupMistake(text: string, at: number): RegexError {
  const isLookAround = /^\(\?<?[=!]/.test(text.slice(at, at + 4));
  return isLookAround
    ? new RegexError('look-around', at, 'an expression that one pass can decide')
    : new RegexError(`"${text.slice(at, at + 3)}"`, at, '"(...)", "(?:...)", "(?P<name>...)" or "(?i)"');
}

/** `*`, `+`, `?`, `{m,n}` behind `part`, and a `?` that makes it lazy. */
function readRepeats(reading: RegexReading, part: RegexTree): RegexTree {
  const { text, at } = reading;
  const counts = readCounts(reading);
  if (counts === undefined) return part;
  if (text[reading.at] === '?') reading.at++;
  const again = reading.at;
  if (readCounts(reading) !== undefined) {
    throw new RegexError(
      `"${text.slice(at, reading.at)}", a repetition of a repetition`,
      again,
      'a group around the first one',
    );
  }
  return { kind: 'repeat', part, min: counts[0], max: counts[1] };
}

/** @returns undefined where no repetition stands: a brace that is none is a character, as RE2 has it */
function readCounts(reading: RegexReading): readonly [number, number] | undefined {
  const { text, at } = reading;
  const next = text[at];
  if (next === '*' || next === '+' || next === '?') {
    reading.at++;
    return [next === '+' ? 1 : 0, next === '?' ? 1 : Infinity];
  }
  COUNTS.lastIndex = at;
  const counts = COUNTS.exec(text);
  if (counts === null) return undefined;
  const min = Number(counts[1]);
  const max = counts[2] === undefined ? min : counts[3] === '' ? Infinity : Number(counts[3]);
  if (min > max || min > REPEAT_MAX || (max > REPEAT_MAX && max !== Infinity)) {
    throw new RegexError(
      `"${counts[0]}"`,
      at,
      `a least number, and one not below it, of at most ${REPEAT_MAX}`,
    );
  }
  reading.at += counts[0].length;
  return [min, max];
}
