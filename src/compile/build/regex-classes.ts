// What stands for one byte in a regular expression: escapes and classes. Of the mistakes each says what was meant, if that
// can be told. Any thread. @source RE2 syntax

import { type ByteSet, bytesOf, complement, oneByte, withLowerCase } from './regex-bytes.ts';
import { asciiAt, RegexError, type RegexReading } from './regex-reading.ts';

const DIGITS: ByteSet = bytesOf([0x30, 0x39]);
const WORD: ByteSet = bytesOf([0x30, 0x39], [0x41, 0x5a], [0x5f, 0x5f], [0x61, 0x7a]);
const SPACE: ByteSet = bytesOf([0x09, 0x0a], [0x0c, 0x0d], [0x20, 0x20]);

const PERL: Readonly<Record<string, ByteSet>> = {
  d: DIGITS,
  D: complement(DIGITS),
  w: WORD,
  W: complement(WORD),
  s: SPACE,
  S: complement(SPACE),
};

const CONTROL: Readonly<Record<string, number>> = { a: 7, t: 9, n: 10, v: 11, f: 12, r: 13 };

const POSIX: Readonly<Record<string, ByteSet>> = {
  alnum: bytesOf([0x30, 0x39], [0x41, 0x5a], [0x61, 0x7a]),
  alpha: bytesOf([0x41, 0x5a], [0x61, 0x7a]),
  ascii: bytesOf([0, 0x7f]),
  digit: DIGITS,
  // Without case, as everything here.
  lower: bytesOf([0x41, 0x5a], [0x61, 0x7a]),
  upper: bytesOf([0x41, 0x5a], [0x61, 0x7a]),
  punct: bytesOf([0x21, 0x2f], [0x3a, 0x40], [0x5b, 0x60], [0x7b, 0x7e]),
  space: bytesOf([0x09, 0x0d], [0x20, 0x20]),
  word: WORD,
  xdigit: bytesOf([0x30, 0x39], [0x41, 0x46], [0x61, 0x66]),
};

const HEXADECIMAL = /\\x(?:([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]{1,6})\})/y;
const POSIX_CLASS = /\[:(\^?)([a-z]+):\]/y;

/** The escape at `reading.at`, which is a backslash. Anchors are the caller's. */
export function readEscape(reading: RegexReading): ByteSet {
  const escaped = reading.text[reading.at + 1];
  const perl = escaped === undefined ? undefined : PERL[escaped];
  if (perl === undefined) return oneByte(readEscapedByte(reading));
  reading.at += 2;
  return perl;
}

function readEscapedByte(reading: RegexReading): number {
  const { text, at } = reading;
  const escaped = text[at + 1];
  if (escaped === undefined)
    throw new RegexError('a "\\" that escapes nothing', at, '"\\\\" for the character');
  if (escaped === 'x') return readHexadecimal(reading);
  const control = CONTROL[escaped];
  if (control === undefined && /[0-9]/.test(escaped)) {
    throw new RegexError(`"\\${escaped}" (back-reference)`, at, 'an expression that one pass can decide');
  }
  if (control === undefined && /[A-Za-z]/.test(escaped)) {
    throw new RegexError(
      `"\\${escaped}"`,
      at,
      '"\\d", "\\w", "\\s", "\\A", "\\z", "\\x2d", or a character as it is',
    );
  }
  const code = control ?? asciiAt(text, at + 1);
  reading.at += 2;
  return code;
}

function readHexadecimal(reading: RegexReading): number {
  HEXADECIMAL.lastIndex = reading.at;
  const digits = HEXADECIMAL.exec(reading.text);
  const code = digits === null ? Infinity : Number.parseInt(digits[1] ?? (digits[2] as string), 16);
  if (digits === null || code > 127) {
    throw new RegexError(
      `"${digits?.[0] ?? reading.text.slice(reading.at, reading.at + 4)}"`,
      reading.at,
      '"\\x" and two hexadecimal digits, up to "\\x7f"',
    );
  }
  reading.at += digits[0].length;
  return code;
}

/** The class at `reading.at`, which is `[`. */
export function readClass(reading: RegexReading): ByteSet {
  const { text, at: opensAt } = reading;
  reading.at++;
  const isNegated = text[reading.at] === '^';
  if (isNegated) reading.at++;
  const set = bytesOf();
  const firstAt = reading.at;
  while (text[reading.at] !== ']' || reading.at === firstAt) {
    if (reading.at >= text.length) {
      throw new RegexError('"[" that nothing closes', opensAt, '"]", or "\\[" for the character');
    }
    addMember(reading, set);
  }
  reading.at++;
  // Case goes first: what is not "A" is not "a".
  withLowerCase(set);
  return isNegated ? complement(set) : set;
}

/** A set, a byte or a range of bytes. */
function addMember(reading: RegexReading, set: Uint8Array): void {
  const { text, at } = reading;
  const several = readPosix(reading) ?? readPerl(reading);
  if (several !== undefined) {
    if (text[reading.at] === '-' && text[reading.at + 1] !== ']') {
      throw new RegexError(`"${text.slice(at, reading.at)}" as an end of a range`, at, 'a character');
    }
    for (const [symbol, has] of several.entries()) if (has === 1) set[symbol] = 1;
    return;
  }
  const from = readMemberByte(reading);
  const isRange = text[reading.at] === '-' && text[reading.at + 1] !== ']' && reading.at + 1 < text.length;
  if (!isRange) {
    set[from] = 1;
    return;
  }
  reading.at++;
  if (text[reading.at] === '\\' && PERL[text[reading.at + 1] ?? ''] !== undefined) {
    throw new RegexError(`"${text.slice(at, reading.at + 2)}"`, at, 'a character at both ends of a range');
  }
  const to = readMemberByte(reading);
  if (to < from) {
    throw new RegexError(
      `"${text.slice(at, reading.at)}"`,
      at,
      'a range whose end is not below its beginning',
    );
  }
  set.fill(1, from, to + 1);
}

function readPosix(reading: RegexReading): ByteSet | undefined {
  POSIX_CLASS.lastIndex = reading.at;
  const found = POSIX_CLASS.exec(reading.text);
  if (found === null) return undefined;
  const set = POSIX[found[2] as string];
  if (set === undefined) {
    throw new RegexError(
      `"${found[0]}"`,
      reading.at,
      Object.keys(POSIX)
        .map((name) => `[:${name}:]`)
        .join(', '),
    );
  }
  reading.at += found[0].length;
  return found[1] === '^' ? complement(set) : set;
}

function readPerl(reading: RegexReading): ByteSet | undefined {
  if (reading.text[reading.at] !== '\\') return undefined;
  return PERL[reading.text[reading.at + 1] ?? ''] === undefined ? undefined : readEscape(reading);
}

function readMemberByte(reading: RegexReading): number {
  if (reading.text[reading.at] === '\\') return readEscapedByte(reading);
  const code = asciiAt(reading.text, reading.at);
  reading.at++;
  return code;
}
