// The text of a configuration as plain values, with a way back from a path to its line. YAML 1.2, of which JSON is a
// part. Everything that could make reading expensive has a bound: characters, depth, values, values behind aliases.
// A text that is no YAML gets complaints and no value, because its structure can only be guessed, and a guess would add
// mistakes that are none. The library's own messages are not passed on: they may quote secrets.

import {
  Composer,
  type CST,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  Parser,
  type YAMLError,
  YAMLParseError,
} from 'yaml';
import { findOffsets } from './json-positions.ts';
import { type Complaint, type Mistake, messageOf, type Path, pathText, quoted } from './mistakes.ts';
import { readPlainJson } from './plain-json.ts';

const TEXT_CHARACTERS_MAX = 16 * 1024 * 1024;
const DEPTH_MAX = 64;
/** Tokens nest a little deeper than values: documents, keys, and what turns out to be wrong. */
const TOKEN_DEPTH_MAX = 4 * DEPTH_MAX;
const VALUES_MAX = 2_000_000;
/** Values that stand behind aliases, counted each time that they are repeated. */
const REPEATED_VALUES_MAX = 100_000;
/** One bracket that is missing makes the rest of the text wrong, over and over. */
const TEXT_MISTAKES_MAX = 20;

export interface Positioned {
  /** Plain values: strings, numbers, booleans, null, arrays, objects. undefined if nothing could be read. */
  readonly value: unknown;
  /** What is wrong with the text itself. */
  readonly mistakes: readonly Mistake[];
  /** Puts a line and a column to each complaint. Of plain JSON it costs one pass over the text. */
  locate(complaints: readonly Complaint[]): Mistake[];
}

export function readDocument(text: string): Positioned {
  const lines = new LineCounter();
  const json = text.length > TEXT_CHARACTERS_MAX ? undefined : readPlainJson(text, VALUES_MAX, DEPTH_MAX);
  if (json !== undefined) return { value: json, mistakes: [], locate: locateInJson(text) };
  const document = text.length > TEXT_CHARACTERS_MAX ? undefined : parsed(text, lines);
  const offsetIn = (complaint: Complaint) => (document === undefined ? 0 : offsetOf(document, complaint));
  const locate: Positioned['locate'] = (complaints) =>
    complaints.map((complaint) => placed(complaint, complaint.offset ?? offsetIn(complaint), lines));

  if (document === undefined) {
    const expected = `at most ${TEXT_CHARACTERS_MAX} characters, nested at most ${DEPTH_MAX} deep`;
    const message = 'the file is too large or too deeply nested';
    return { value: undefined, mistakes: locate([{ path: [], found: 'more', expected, message }]), locate };
  }
  const mistakes = document.errors
    .slice(0, TEXT_MISTAKES_MAX)
    .map((error) => textMistake(error, text, lines));
  if (mistakes.length > 0) return { value: undefined, mistakes, locate };
  const complaints: Complaint[] = [];
  let value: unknown;
  try {
    const reading = {
      complaints,
      values: 0,
      repeated: 0,
      isRepeat: false,
      anchors: new Map(),
      open: new Set(),
    };
    value = plain(document.contents, [], reading);
  } catch (error) {
    if (!(error instanceof TooLarge)) throw error;
    complaints.push({
      path: error.path.slice(0, 4),
      found: 'more',
      expected:
        `at most ${VALUES_MAX} values, ${REPEATED_VALUES_MAX} of them by aliases, ` +
        `nested at most ${DEPTH_MAX} deep, without loops of aliases`,
      message: 'the file is too large once its aliases are followed, or too deeply nested',
    });
  }
  if (value === null) {
    const expected = 'a configuration with at least `inbounds`';
    complaints.push({ path: [], found: 'nothing', expected, message: 'the file is empty' });
    value = undefined;
  }
  return { value, mistakes: locate(complaints.slice(0, TEXT_MISTAKES_MAX)), locate };
}

/** Without the library, which takes many times as long as reading the values did. */
function locateInJson(text: string): Positioned['locate'] {
  const lines = new LineCounter();
  return (complaints) => {
    if (complaints.length === 0) return [];
    if (lines.lineStarts.length === 0) {
      for (let start = 0; start >= 0; start = text.indexOf('\n', start) + 1 || -1) lines.addNewLine(start);
    }
    const offsets = findOffsets(text, complaints);
    return complaints.map((complaint, place) => placed(complaint, offsets[place] as number, lines));
  };
}

/**
 * Tokens first, then the document. The library composes by recursion, and what a few thousand brackets do to the stack
 * there is not always an exception: Node 20 was seen to die in its RegExp compiler. Tokens are made in a loop, so they
 * tell the depth before anything recurses.
 */
function parsed(text: string, lines: LineCounter): Document.Parsed | undefined {
  const tokens = [...new Parser(lines.addNewLine).parse(text)];
  if (isTooDeep(tokens)) return undefined;
  const composer = new Composer({ prettyErrors: false, resolveKnownTags: false, uniqueKeys: false });
  let document: Document.Parsed | undefined;
  for (const next of composer.compose(tokens, true, text.length)) {
    if (document !== undefined) {
      const [start, , end] = next.range;
      document.errors.push(new YAMLParseError([start, end], 'MULTIPLE_DOCS', ''));
      break;
    }
    document = next;
  }
  return document;
}

function isTooDeep(tokens: readonly CST.Token[]): boolean {
  let level: readonly CST.Token[] = tokens;
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > TOKEN_DEPTH_MAX) return true;
    const below: CST.Token[] = [];
    for (const token of level) {
      if (token.type === 'document' && token.value !== undefined) below.push(token.value);
      if (!('items' in token)) continue;
      for (const item of token.items) {
        if (item.key !== undefined && item.key !== null) below.push(item.key);
        if (item.value !== undefined) below.push(item.value);
      }
    }
    level = below;
  }
  return false;
}

class TooLarge extends Error {
  readonly path: Path;
  constructor(path: Path) {
    super('too large');
    this.path = path;
  }
}

interface Reading {
  readonly complaints: Complaint[];
  values: number;
  repeated: number;
  /** Behind an alias. */
  isRepeat: boolean;
  /** Those passed so far. Kept here, because the library searches the whole text for each alias. */
  readonly anchors: Map<string, unknown>;
  /** Collections that are being read, to find aliases that lead back into themselves. */
  readonly open: Set<unknown>;
}

function plain(node: unknown, path: Path, reading: Reading): unknown {
  if (++reading.values > VALUES_MAX || path.length > DEPTH_MAX) throw new TooLarge(path);
  if (reading.isRepeat && ++reading.repeated > REPEATED_VALUES_MAX) throw new TooLarge(path);
  if (isAlias(node)) return behindAlias(node.source, path, reading);
  if (!isScalar(node) && !isMap(node) && !isSeq(node)) return null;
  if (node.anchor !== undefined && !reading.isRepeat) reading.anchors.set(node.anchor, node);
  if (isScalar(node)) return node.value;
  if (reading.open.has(node)) throw new TooLarge(path);
  reading.open.add(node);
  const value = isSeq(node)
    ? node.items.map((item, index) => plain(item, [...path, index], reading))
    : plainObject(node.items, path, reading);
  reading.open.delete(node);
  return value;
}

function behindAlias(anchor: string, path: Path, reading: Reading): unknown {
  const target = reading.anchors.get(anchor);
  if (target === undefined) {
    const message = 'an alias (*name) without an anchor (&name) before it; quote the value if it is not one';
    reading.complaints.push({ path, found: 'an alias', expected: 'a value', message });
    return undefined;
  }
  const wasRepeat = reading.isRepeat;
  reading.isRepeat = true;
  const value = plain(target, path, reading);
  reading.isRepeat = wasRepeat;
  return value;
}

function plainObject(pairs: readonly Pair[], path: Path, reading: Reading): Record<string, unknown> {
  const value: Record<string, unknown> = {};
  for (const pair of pairs) {
    const key = keyOf(pair);
    const offset = startOf(pair.key) ?? 0;
    if (key === undefined || key === '__proto__') {
      const message = 'a key that is not a plain word';
      reading.complaints.push({
        path,
        offset,
        found: 'another key',
        expected: 'keys that are words',
        message,
      });
      continue;
    }
    if (Object.hasOwn(value, key)) {
      // Looked for here, because the library compares each key with all others. The first one stays.
      const message = `key ${quoted(key)} was given before`;
      const expected = 'each key once';
      reading.complaints.push({
        path: [...path, key],
        offset,
        found: 'the same key again',
        expected,
        message,
      });
      continue;
    }
    value[key] = plain(pair.value, [...path, key], reading);
  }
  return value;
}

function keyOf(pair: Pair): string | undefined {
  if (!isScalar(pair.key)) return undefined;
  const key = pair.key.value;
  return typeof key === 'string' || typeof key === 'number' || typeof key === 'boolean'
    ? String(key)
    : undefined;
}

function placed(complaint: Complaint, offset: number, lines: LineCounter): Mistake {
  const position = lines.lineStarts.length === 0 ? { line: 1, col: 1 } : lines.linePos(offset);
  return {
    path: pathText(complaint.path),
    line: Math.max(1, position.line),
    column: Math.max(1, position.col),
    found: complaint.found,
    expected: complaint.expected,
    ...(complaint.nearest === undefined ? {} : { nearest: complaint.nearest }),
    message: messageOf(complaint),
  };
}

/** The offset of the value at a path, or of the nearest thing above it that exists. */
function offsetOf(document: Document.Parsed, complaint: Complaint): number {
  let node: unknown = document.contents;
  let offset = startOf(node) ?? 0;
  for (const [index, step] of complaint.path.entries()) {
    if (isAlias(node)) node = node.resolve(document);
    let key: unknown;
    let value: unknown;
    if (isMap(node)) {
      const pair: Pair | undefined = node.items.find((candidate) => keyOf(candidate) === String(step));
      key = pair?.key;
      value = pair?.value;
    } else if (isSeq(node) && typeof step === 'number') {
      value = node.items[step];
    }
    const last = index === complaint.path.length - 1;
    const at = (last && complaint.atKey ? startOf(key) : undefined) ?? startOf(value) ?? startOf(key);
    if (at === undefined) return offset;
    offset = at;
    node = value;
  }
  return offset;
}

function startOf(node: unknown): number | undefined {
  return (node as Node | null | undefined)?.range?.[0];
}

const SYNTAX: Readonly<Record<string, string>> = {
  ALIAS_PROPS: 'an alias cannot have an anchor or a tag',
  BAD_ALIAS: 'an alias (*name) that is not valid; quote the value if it is not one',
  BAD_DQ_ESCAPE: 'an escape that double quotes do not know; use single quotes',
  BAD_INDENT: 'wrong indentation, or a bracket that is not closed',
  BAD_SCALAR_START: 'a value cannot start with this character; quote it',
  BLOCK_AS_IMPLICIT_KEY: 'a second `: ` on one line; quote the value',
  BLOCK_IN_FLOW: 'indented blocks cannot stand inside brackets',
  MISSING_CHAR: 'a bracket, quote, comma or colon is missing',
  MULTIPLE_ANCHORS: 'two anchors on one value',
  MULTIPLE_DOCS: 'a second document begins (---); a configuration is one',
  MULTIPLE_TAGS: 'two tags on one value',
  TAB_AS_INDENT: 'a tab as indentation; use spaces',
  UNEXPECTED_TOKEN: 'this does not belong here',
};

/** `[::1]:80` begins a list for YAML; every operator of IPv6 writes it once. */
const UNQUOTED_IPV6 = /(^|[\s:{,])\[[0-9a-f:.]*:[0-9a-f:.]*\]:\d/i;

function textMistake(error: YAMLError, text: string, lines: LineCounter): Mistake {
  const offset = Math.min(error.pos[0], text.length);
  const start = text.lastIndexOf('\n', offset - 1) + 1;
  const end = text.indexOf('\n', offset);
  const line = text.slice(start, end < 0 ? text.length : end);
  const message = UNQUOTED_IPV6.test(line)
    ? 'an address in brackets must be quoted: "[::1]:80"'
    : (SYNTAX[error.code] ?? 'this is not valid YAML');
  return placed({ path: [], found: 'invalid YAML', expected: 'YAML or JSON', message }, offset, lines);
}
