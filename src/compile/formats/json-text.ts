// A JSON text of any size as plain values, and where in it they stand. Written for machines, it is read by the platform's
// parser; what that refuses is read again with comments blanked out, and then, if it is small enough for a person to have
// written it, by the reader of configurations, which knows what to say of a bracket that is missing.

import { readDocument } from '../../config/document.ts';
import { findOffsets } from '../../config/json-positions.ts';
import type { Complaint } from '../../config/mistakes.ts';
import { endOfString, readPlainJson } from '../../config/plain-json.ts';

const VALUES_MAX = 8_000_000;
const DEPTH_MAX = 32;
/** Of a text that is told about in detail: that takes a hundred times as long as reading. */
const DETAILED_CHARACTERS_MAX = 128 * 1024;

/** From 1; columns in UTF-16 units. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

export interface JsonText {
  /** undefined: see `mistake`. */
  readonly value: unknown;
  readonly mistakes: readonly (Place & { readonly found: string; readonly message: string })[];
  locate(complaints: readonly Complaint[]): Place[];
}

export function readJsonText(text: string): JsonText {
  for (const plain of [text, text.includes('/') ? withoutComments(text) : text]) {
    const value = readPlainJson(plain, VALUES_MAX, DEPTH_MAX);
    if (value !== undefined) return { value, mistakes: [], locate: locateIn(plain) };
  }
  if (text.length <= DETAILED_CHARACTERS_MAX) {
    const { value, mistakes, locate } = readDocument(withoutComments(text));
    return { value: mistakes.length > 0 ? undefined : value, mistakes, locate };
  }
  return { value: undefined, mistakes: [parserMistake(text)], locate: () => [] };
}

function locateIn(text: string): JsonText['locate'] {
  return (complaints) => {
    const starts = lineStarts(text);
    return findOffsets(text, complaints).map((offset) => placeOf(starts, offset));
  };
}

function parserMistake(text: string): JsonText['mistakes'][number] {
  const at = firstWrong(text);
  const isJson = at === text.length && /[\]}]\s*$/.test(text.slice(-64));
  const message = isJson
    ? 'a key is given twice, or there are too many values, or they nest too deep'
    : 'this is not valid JSON';
  return {
    ...placeOf(lineStarts(text), isJson ? 0 : at),
    found: isJson ? 'other JSON' : 'invalid JSON',
    message,
  };
}

function lineStarts(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return starts;
}

function placeOf(starts: readonly number[], offset: number): Place {
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((starts[middle] as number) <= offset) low = middle;
    else high = middle - 1;
  }
  return { line: low + 1, column: offset - (starts[low] as number) + 1 };
}

/** Comments as spaces, so that everything stays where it is. sing-box allows them. */
function withoutComments(text: string): string {
  const parts: string[] = [];
  let kept = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at = endOfString(text, at);
      if (at < 0) break;
    } else if (code === SLASH) {
      const end = endOfComment(text, at);
      if (end < 0) continue;
      parts.push(text.slice(kept, at), text.slice(at, end).replace(/[^\n]/g, ' '));
      kept = end;
      at = end - 1;
    }
  }
  return kept === 0 ? text : parts.join('') + text.slice(kept);
}

const QUOTE = 0x22;
const SLASH = 0x2f;

/** @returns -1: none begins here */
function endOfComment(text: string, at: number): number {
  const next = text[at + 1];
  if (next !== '/' && next !== '*') return -1;
  const end = next === '/' ? text.indexOf('\n', at) : text.indexOf('*/', at + 2);
  if (end < 0) return text.length;
  return next === '/' ? end : end + 2;
}

const SCALAR = /(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?=[\s,\]}]|$)/y;

/** The platform's parser does not say where it stopped, if the text is large. @returns the end: nothing is, or too little */
function firstWrong(text: string): number {
  const open: string[] = [];
  let expected = 'value';
  for (let at = 0; at < text.length; at++) {
    const one = text[at] as string;
    if (one <= ' ') continue;
    const innermost = open.at(-1);
    if (one === '"' && expected !== 'comma' && expected !== ':') {
      at = endOfString(text, at);
      if (at < 0) return text.length;
      expected = expected === 'key' ? ':' : 'comma';
    } else if ((one === '{' || one === '[') && expected === 'value') {
      open.push(one);
      expected = one === '{' ? 'key' : 'value';
    } else if (
      (one === '}' && innermost === '{' && expected !== 'value') ||
      (one === ']' && innermost === '[')
    ) {
      open.pop();
      expected = 'comma';
    } else if (one === ':' && expected === ':') {
      expected = 'value';
    } else if (one === ',' && expected === 'comma' && innermost !== undefined) {
      expected = innermost === '{' ? 'key' : 'value';
    } else {
      SCALAR.lastIndex = at;
      if (expected !== 'value' || !SCALAR.test(text)) return at;
      at = SCALAR.lastIndex - 1;
      expected = 'comma';
    }
  }
  return text.length;
}
