// A regular expression while it is read, and what is said of one that is wrong. Any thread.

/** `at`: index in the expression, from 0. */
export interface RegexMistake {
  readonly wrong: string;
  readonly at: number;
  readonly expected: string;
}

/** `depth`: groups that are open. */
export interface RegexReading {
  readonly text: string;
  at: number;
  depth: number;
}

/** Thrown by the parser only, which answers what it carries. */
export class RegexError extends Error {
  readonly mistake: RegexMistake;
  constructor(wrong: string, at: number, expected: string) {
    super(wrong);
    this.mistake = { wrong, at, expected };
  }
}

export function isRegexMistake(answer: object): answer is RegexMistake {
  return 'wrong' in answer;
}

/** The character's code. */
export function asciiAt(text: string, at: number): number {
  const code = text.codePointAt(at) as number;
  if (code < 128) return code;
  throw new RegexError(
    `"${String.fromCodePoint(code)}", which no name holds`,
    at,
    'ASCII (international names are compared as "xn--...")',
  );
}
