// Where the values of a plain JSON text stand: one pass over the text for all paths that somebody asks for, which parses
// nothing but the keys on the way to them. What else lies there is stepped over. The text is valid JSON, gives no key
// twice, and nests no deeper than a stack allows (plain-json.ts has seen to that).

import type { Complaint } from './mistakes.ts';
import { endOfString } from './plain-json.ts';

const QUOTE = 0x22;
const COMMA = 0x2c;
const BRACKET_OPEN = 0x5b;
const BRACKET_CLOSE = 0x5d;
const BRACE_OPEN = 0x7b;
const BRACE_CLOSE = 0x7d;

/** What is left to be found below a value, by the next step of the paths. */
type Wanted = Map<string, number[]>;

/** @returns for each complaint the offset of its value (or key), or of the nearest thing above it that exists */
export function findOffsets(text: string, complaints: readonly Complaint[]): number[] {
  const offsets = complaints.map(() => 0);
  const all = complaints.map((_, place) => place);
  if (all.length > 0) visit(pastSpace(text, 0), all, 0, false);
  return offsets;

  /** @returns the end of the value that begins at `start` */
  function visit(start: number, places: readonly number[], depth: number, hasKey: boolean): number {
    for (const place of places) if (!(hasKey && isKeyMeant(place, depth))) offsets[place] = start;
    const code = text.charCodeAt(start);
    if (code === BRACE_OPEN) return visitMapping(start, wantedBelow(places, depth, false), depth + 1);
    if (code === BRACKET_OPEN) return visitList(start, wantedBelow(places, depth, true), depth + 1);
    return pastValue(text, start);
  }

  function visitMapping(start: number, wanted: Wanted, depth: number): number {
    if (wanted.size === 0) return pastValue(text, start);
    let at = pastSpace(text, start + 1);
    while (text.charCodeAt(at) !== BRACE_CLOSE) {
      const keyStart = at;
      const keyEnd = endOfString(text, keyStart) + 1;
      const places = wanted.get(keyOf(text, keyStart, keyEnd));
      // Past the colon.
      at = pastSpace(text, pastSpace(text, keyEnd) + 1);
      for (const place of places ?? []) offsets[place] = keyStart;
      at = pastComma(text, places === undefined ? pastValue(text, at) : visit(at, places, depth, true));
    }
    return at + 1;
  }

  function visitList(start: number, wanted: Wanted, depth: number): number {
    if (wanted.size === 0) return pastValue(text, start);
    let at = pastSpace(text, start + 1);
    for (let index = 0; text.charCodeAt(at) !== BRACKET_CLOSE; index++) {
      const places = wanted.get(String(index));
      at = pastComma(text, places === undefined ? pastValue(text, at) : visit(at, places, depth, false));
    }
    return at + 1;
  }

  /** Its offset is that of the key, and has been written. */
  function isKeyMeant(place: number, depth: number): boolean {
    const { path, atKey } = complaints[place] as Complaint;
    return atKey === true && path.length === depth;
  }

  function wantedBelow(places: readonly number[], depth: number, isList: boolean): Wanted {
    const wanted: Wanted = new Map();
    for (const place of places) {
      const step = (complaints[place] as Complaint).path[depth];
      if (step === undefined || (isList && typeof step !== 'number')) continue;
      const same = wanted.get(String(step));
      if (same === undefined) wanted.set(String(step), [place]);
      else same.push(place);
    }
    return wanted;
  }
}

function keyOf(text: string, start: number, end: number): string {
  const plain = text.slice(start + 1, end - 1);
  return plain.includes('\\') ? (JSON.parse(text.slice(start, end)) as string) : plain;
}

function pastValue(text: string, start: number): number {
  const first = text.charCodeAt(start);
  if (first === QUOTE) return endOfString(text, start) + 1;
  let at = start;
  if (first !== BRACE_OPEN && first !== BRACKET_OPEN) {
    while (at < text.length && !isEndOfWord(text.charCodeAt(at))) at++;
    return at;
  }
  let open = 0;
  do {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = endOfString(text, at);
    else if (code === BRACE_OPEN || code === BRACKET_OPEN) open++;
    else if (code === BRACE_CLOSE || code === BRACKET_CLOSE) open--;
    at++;
  } while (open > 0);
  return at;
}

/** Of a number, true, false or null. */
function isEndOfWord(code: number): boolean {
  return code <= 0x20 || code === COMMA || code === BRACE_CLOSE || code === BRACKET_CLOSE;
}

function pastSpace(text: string, start: number): number {
  let at = start;
  while (text.charCodeAt(at) <= 0x20) at++;
  return at;
}

/** To the next item, or to the bracket that closes. */
function pastComma(text: string, end: number): number {
  const at = pastSpace(text, end);
  return text.charCodeAt(at) === COMMA ? pastSpace(text, at + 1) : at;
}
