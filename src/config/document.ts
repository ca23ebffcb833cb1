// The text of a configuration as plain values, with a way back from a path to its line. YAML 1.2, of which JSON is a
// part. Everything that could make reading expensive has a bound: bytes, depth, values after aliases were followed.
// What is plainly wrong with the text becomes a complaint, and whatever could be read is read on, so that mistakes in
// the rest are told in the same run. The library's own messages are not passed on: they may quote secrets.

import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  type YAMLError,
} from 'yaml';
import { type Complaint, type Mistake, messageOf, type Path, pathText, quoted } from './mistakes.ts';

const TEXT_CHARACTERS_MAX = 16 * 1024 * 1024;
const DEPTH_MAX = 64;
/** Values in all, each alias counted with everything behind it. */
const VALUES_MAX = 2_000_000;

export interface Positioned {
  /** Plain values: strings, numbers, booleans, null, arrays, objects. undefined if nothing could be read. */
  readonly value: unknown;
  /** What is wrong with the text itself. */
  readonly mistakes: readonly Mistake[];
  /** Puts a line and a column to a complaint. */
  locate(complaint: Complaint): Mistake;
}

export function readDocument(text: string): Positioned {
  const lines = new LineCounter();
  const document = text.length > TEXT_CHARACTERS_MAX ? undefined : parsed(text, lines);
  const locate = (complaint: Complaint): Mistake =>
    placed(complaint, document === undefined ? 0 : offsetOf(document, complaint), lines);

  if (document === undefined) {
    const expected = `at most ${TEXT_CHARACTERS_MAX} characters, nested at most ${DEPTH_MAX} deep`;
    const message = 'the file is too large or too deeply nested';
    return { value: undefined, mistakes: [locate({ path: [], found: 'more', expected, message })], locate };
  }
  const mistakes = document.errors.map((error) => textMistake(error, document, text, lines));
  const complaints: Complaint[] = [];
  let value: unknown;
  try {
    value = plain(document, document.contents, [], { complaints, values: 0, open: new Set() });
  } catch (error) {
    if (!(error instanceof TooLarge)) throw error;
    complaints.push({
      path: error.path,
      found: 'more',
      expected: `at most ${VALUES_MAX} values, nested at most ${DEPTH_MAX} deep, without loops of aliases`,
      message: 'the file is too large once its aliases are followed, or too deeply nested',
    });
  }
  if (value === null && mistakes.length === 0) {
    const expected = 'a configuration with at least `inbounds`';
    complaints.push({ path: [], found: 'nothing', expected, message: 'the file is empty' });
    value = undefined;
  }
  return { value, mistakes: [...mistakes, ...complaints.map(locate)], locate };
}

function parsed(text: string, lines: LineCounter): Document.Parsed | undefined {
  try {
    return parseDocument(text, {
      lineCounter: lines,
      prettyErrors: false,
      resolveKnownTags: false,
      logLevel: 'silent',
    });
  } catch (error) {
    // The parser recurses: a few thousand brackets exhaust the stack.
    if (error instanceof RangeError) return undefined;
    throw error;
  }
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
  /** Collections that are being read, to find aliases that lead back into themselves. */
  readonly open: Set<unknown>;
}

function plain(document: Document.Parsed, node: unknown, path: Path, reading: Reading): unknown {
  if (++reading.values > VALUES_MAX || path.length > DEPTH_MAX) throw new TooLarge(path);
  if (isAlias(node)) {
    const target = node.resolve(document);
    if (target !== undefined) return plain(document, target, path, reading);
    const message = 'an alias (*name) without an anchor (&name) before it; quote the value if it is not one';
    reading.complaints.push({ path, found: 'an alias', expected: 'a value', message });
    return undefined;
  }
  if (isScalar(node)) return node.value;
  if (!isMap(node) && !isSeq(node)) return null;
  if (reading.open.has(node)) throw new TooLarge(path);
  reading.open.add(node);
  const value = isSeq(node)
    ? node.items.map((item, index) => plain(document, item, [...path, index], reading))
    : plainObject(document, node.items, path, reading);
  reading.open.delete(node);
  return value;
}

function plainObject(
  document: Document.Parsed,
  pairs: readonly Pair[],
  path: Path,
  reading: Reading,
): Record<string, unknown> {
  const value: Record<string, unknown> = {};
  for (const pair of pairs) {
    const key = keyOf(pair);
    if (key === undefined || key === '__proto__') {
      const message = 'a key that is not a plain word';
      reading.complaints.push({ path, found: 'another key', expected: 'keys that are words', message });
      continue;
    }
    // The second of two equal keys is a mistake already; the first one stays.
    if (Object.hasOwn(value, key)) continue;
    value[key] = plain(document, pair.value, [...path, key], reading);
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
  DUPLICATE_KEY: 'a key that was given before',
  MISSING_CHAR: 'a bracket, quote, comma or colon is missing',
  MULTIPLE_ANCHORS: 'two anchors on one value',
  MULTIPLE_DOCS: 'a second document begins (---); a configuration is one',
  MULTIPLE_TAGS: 'two tags on one value',
  TAB_AS_INDENT: 'a tab as indentation; use spaces',
  UNEXPECTED_TOKEN: 'this does not belong here',
};

/** `[::1]:80` begins a list for YAML; every operator of IPv6 writes it once. */
const UNQUOTED_IPV6 = /(^|[\s:{,])\[[0-9a-f:.]*:[0-9a-f:.]*\]:\d/i;

function textMistake(error: YAMLError, document: Document.Parsed, text: string, lines: LineCounter): Mistake {
  const offset = Math.min(error.pos[0], text.length);
  const start = text.lastIndexOf('\n', offset - 1) + 1;
  const end = text.indexOf('\n', offset);
  const line = text.slice(start, end < 0 ? text.length : end);
  if (error.code === 'DUPLICATE_KEY') return duplicateKey(document, offset, lines);
  let message = SYNTAX[error.code] ?? 'this is not valid YAML';
  if (UNQUOTED_IPV6.test(line)) message = 'an address in brackets must be quoted: "[::1]:80"';
  return placed({ path: [], found: 'invalid YAML', expected: 'YAML or JSON', message }, offset, lines);
}

function duplicateKey(document: Document.Parsed, offset: number, lines: LineCounter): Mistake {
  const path = pathAt(document.contents, offset);
  const key = path.at(-1);
  const message = key === undefined ? SYNTAX.DUPLICATE_KEY : `key ${quoted(String(key))} was given before`;
  return placed(
    { path, found: 'the same key again', expected: 'each key once', message: message ?? '' },
    offset,
    lines,
  );
}

/** The path of the key that starts at an offset. Iterative: the tree was written by somebody else. */
function pathAt(root: unknown, offset: number): Path {
  const path: (string | number)[] = [];
  let node: unknown = root;
  while (isMap(node) || isSeq(node)) {
    let next: unknown;
    for (const [index, item] of node.items.entries()) {
      if (isSeq(node)) {
        if (!covers(item, offset)) continue;
        path.push(index);
        next = item;
        break;
      }
      const pair = item as Pair;
      const step = keyOf(pair) ?? '';
      if (startOf(pair.key) === offset) return [...path, step];
      if (!covers(pair.value, offset)) continue;
      path.push(step);
      next = pair.value;
      break;
    }
    if (next === undefined) return path;
    node = next;
  }
  return path;
}

function covers(node: unknown, offset: number): boolean {
  const range = (node as Node | null | undefined)?.range;
  return range !== null && range !== undefined && range[0] <= offset && offset < range[2];
}
