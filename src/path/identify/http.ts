// The head of an HTTP/1 request to a forward proxy: CONNECT in authority form, or another method in absolute form.
//
//   request line ─► field lines ─► empty line ─► verdict on framing
//
// Owner: a data worker. Answers as parsed.ts says, and reads only whole lines, so that a truncated head never answers
// otherwise than the whole one. Anything that another parser might read differently is refused (bare CR or LF, folded
// lines, space before a colon, two lengths, a length beside a coding), since a proxy that guesses lets requests be
// smuggled past it. Bounds: the head (the caller's), FIELDS_COUNT_MAX lines, CONNECTION_OPTIONS_MAX listed names.
// @source RFC 9112, sections 2.2, 3, 5, 6 and 11.2; RFC 9110, sections 7.2, 7.6 and 9.3.6

import {
  COMMAND_UNSUPPORTED,
  HEADER_TOO_LARGE,
  MALFORMED_HTTP,
  TRANSFER_CODING_UNSUPPORTED,
} from '../../layout/reasons.ts';
import { takeAuthority } from './host.ts';
import { takeBasicCredential } from './http-basic.ts';
import {
  COLON,
  COMMA,
  CR,
  equals,
  FIELD_CONNECTION,
  FIELD_CONTENT_LENGTH,
  FIELD_HOST,
  FIELD_MAX_FORWARDS,
  FIELD_PROXY_AUTHORIZATION,
  FIELD_TRANSFER_ENCODING,
  fieldKind,
  isTokenByte,
  isValueByte,
  isVisibleByte,
  LF,
  SPACE,
  skipBlanks,
  startsWith,
  trimBlanks,
} from './http-fields.ts';
import { BODY_CHUNKED, BODY_LENGTH, CONNECTION_OPTIONS_MAX, CREDENTIAL_NONE, type Parsed } from './parsed.ts';
import { ascii } from './wire.ts';

/** Field lines in one head. */
export const FIELDS_COUNT_MAX = 128;

const HTTP_PORT = 80;
const SCHEME = ascii('http://');
const VERSION = ascii('HTTP/1.');
const CONNECT = ascii('CONNECT');
const TRACE = ascii('TRACE');
const OPTIONS = ascii('OPTIONS');
const CHUNKED = ascii('chunked');
const CLOSE = ascii('close');
const KEEP_ALIVE = ascii('keep-alive');
const SLASH = 0x2f;
const QUESTION = 0x3f;
const HASH = 0x23;

/** Answers of the functions below that look for the end of a line. Positions in the input are never negative. */
const NEEDS_MORE = -1;
const MALFORMED = -2;

// What the field lines of the current head told so far. Each worker has its own module, and a parse never yields.
let hostsCount = 0;
let codingsCount = 0;
let isCodingSupported = true;
let lengthsCount = 0;
let hasMaxForwards = false;

/**
 * Reads a request's head.
 * @param headBytesMax over this many bytes it is refused, whether it is complete or not
 * @returns 0 needs more, > 0 the head's bytes (the body follows), < 0 minus a reason: MALFORMED_HTTP,
 *   HEADER_TOO_LARGE, COMMAND_UNSUPPORTED (other schemes, TRACE), TRANSFER_CODING_UNSUPPORTED, TARGET_FORBIDDEN
 */
export function parseHttpHead(
  input: Uint8Array,
  length: number,
  headBytesMax: number,
  parsed: Parsed,
): number {
  parsed.resetRequest();
  const bounded = length < headBytesMax ? length : headBytesMax;
  const taken = parseHead(input, bounded, parsed);
  // Incomplete at the bound: more bytes would not be read.
  return taken === 0 && length >= headBytesMax ? -HEADER_TOO_LARGE : taken;
}

function parseHead(input: Uint8Array, length: number, parsed: Parsed): number {
  let at = 0;
  if (length > 0 && input[0] === CR) {
    // One empty line before the request is to be ignored.
    if (length < 2) return 0;
    if (input[1] !== LF) return -MALFORMED_HTTP;
    at = 2;
  }
  const lineEnd = requestLineEnd(input, at, length);
  if (lineEnd === MALFORMED) return -MALFORMED_HTTP;
  if (lineEnd === NEEDS_MORE) return 0;
  const line = parseRequestLine(input, at, lineEnd, parsed);
  if (line < 0) return line;
  at = lineEnd + 2;
  parsed.fieldsStart = at;

  hostsCount = 0;
  codingsCount = 0;
  isCodingSupported = true;
  lengthsCount = 0;
  hasMaxForwards = false;
  for (let count = 0; ; count++) {
    if (at >= length) return 0;
    if (input[at] === CR) {
      if (at + 1 >= length) return 0;
      if (input[at + 1] !== LF) return -MALFORMED_HTTP;
      break;
    }
    if (count === FIELDS_COUNT_MAX) return -HEADER_TOO_LARGE;
    // A line that begins with a blank (obs-fold) has no name, and is refused as such.
    let nameEnd = at;
    while (nameEnd < length && isTokenByte(input[nameEnd] as number)) nameEnd++;
    if (nameEnd === length) return 0;
    if (input[nameEnd] !== COLON || nameEnd === at) return -MALFORMED_HTTP;
    const end = valueEnd(input, nameEnd + 1, length);
    if (end === MALFORMED) return -MALFORMED_HTTP;
    if (end === NEEDS_MORE) return 0;
    const refused = takeField(input, at, nameEnd, end, parsed);
    if (refused < 0) return refused;
    at = end + 2;
  }
  const verdict = judgeHead(input, parsed);
  if (verdict < 0) return verdict;
  parsed.headBytes = at + 2;
  return parsed.headBytes;
}

/** Where the request line's CR stands, which LF follows. */
function requestLineEnd(input: Uint8Array, start: number, length: number): number {
  let at = start;
  while (at < length && (isVisibleByte(input[at] as number) || input[at] === SPACE)) at++;
  return lineEndAt(input, at, length);
}

function valueEnd(input: Uint8Array, start: number, length: number): number {
  let at = start;
  while (at < length && isValueByte(input[at] as number)) at++;
  return lineEndAt(input, at, length);
}

function lineEndAt(input: Uint8Array, at: number, length: number): number {
  if (at === length) return NEEDS_MORE;
  if (input[at] !== CR) return MALFORMED;
  if (at + 1 === length) return NEEDS_MORE;
  return input[at + 1] === LF ? at : MALFORMED;
}

/** @returns 0, or minus a reason */
function parseRequestLine(input: Uint8Array, start: number, end: number, parsed: Parsed): number {
  let methodEnd = start;
  while (methodEnd < end && isTokenByte(input[methodEnd] as number)) methodEnd++;
  if (methodEnd === start || input[methodEnd] !== SPACE) return -MALFORMED_HTTP;
  const target = methodEnd + 1;
  let targetEnd = target;
  while (targetEnd < end && input[targetEnd] !== SPACE) targetEnd++;
  if (targetEnd === target || targetEnd === end) return -MALFORMED_HTTP;
  const version = targetEnd + 1;
  if (end - version !== VERSION.length + 1 || !isExactly(input, version, VERSION)) return -MALFORMED_HTTP;
  const minor = (input[end - 1] as number) - 0x30;
  if (minor !== 0 && minor !== 1) return -MALFORMED_HTTP;
  parsed.minorVersion = minor;
  parsed.methodStart = start;
  parsed.methodLength = methodEnd - start;
  if (isMethod(input, parsed, CONNECT)) {
    parsed.isConnect = 1;
    parsed.authorityStart = target;
    parsed.authorityLength = targetEnd - target;
    return takeAuthority(input, target, targetEnd - target, 0, MALFORMED_HTTP, parsed);
  }
  return parseAbsoluteForm(input, target, targetEnd, parsed);
}

function parseAbsoluteForm(input: Uint8Array, start: number, end: number, parsed: Parsed): number {
  if (end - start < SCHEME.length || !startsWith(input, start, SCHEME)) {
    return hasScheme(input, start, end) ? -COMMAND_UNSUPPORTED : -MALFORMED_HTTP;
  }
  const authority = start + SCHEME.length;
  let authorityEnd = authority;
  while (authorityEnd < end && !endsAuthority(input[authorityEnd] as number)) authorityEnd++;
  // A fragment is never sent. Userinfo needs no rule of its own: no host may hold an @.
  for (let i = authorityEnd; i < end; i++) if (input[i] === HASH) return -MALFORMED_HTTP;
  const taken = takeAuthority(input, authority, authorityEnd - authority, HTTP_PORT, MALFORMED_HTTP, parsed);
  if (taken < 0) return taken;
  parsed.authorityStart = authority;
  parsed.authorityLength = authorityEnd - authority;
  if (input[authorityEnd - 1] === COLON) parsed.authorityLength--;
  parsed.pathStart = authorityEnd;
  parsed.pathLength = end - authorityEnd;
  return 0;
}

function endsAuthority(byte: number): boolean {
  return byte === SLASH || byte === QUESTION || byte === HASH;
}

/** Whether the target begins with a URI scheme and an authority. @source RFC 3986, section 3.1 */
function hasScheme(input: Uint8Array, start: number, end: number): boolean {
  let at = start;
  while (at < end && isSchemeByte(input[at] as number, at === start)) at++;
  return (
    at > start && at + 2 < end && input[at] === COLON && input[at + 1] === SLASH && input[at + 2] === SLASH
  );
}

function isSchemeByte(byte: number, isFirst: boolean): boolean {
  const lower = byte | 0x20;
  if (lower >= 0x61 && lower <= 0x7a) return true;
  return !isFirst && ((byte >= 0x30 && byte <= 0x39) || byte === 0x2b || byte === 0x2d || byte === 0x2e);
}

function isMethod(input: Uint8Array, parsed: Parsed, method: Uint8Array): boolean {
  return parsed.methodLength === method.length && isExactly(input, parsed.methodStart, method);
}

/** As `startsWith`, for what is case-sensitive: methods and the version. */
function isExactly(input: Uint8Array, start: number, expected: Uint8Array): boolean {
  for (let i = 0; i < expected.length; i++) if (input[start + i] !== expected[i]) return false;
  return true;
}

/** Whether the request is OPTIONS for the server as a whole, which goes on as `*`. */
export function isServerOptions(input: Uint8Array, parsed: Parsed): boolean {
  return parsed.pathLength === 0 && isMethod(input, parsed, OPTIONS);
}

/** One field line; its name ends at `nameEnd`, its value is everything up to `end`. @returns 0, or minus a reason */
function takeField(
  input: Uint8Array,
  nameStart: number,
  nameEnd: number,
  end: number,
  parsed: Parsed,
): number {
  const start = skipBlanks(input, nameEnd + 1, end);
  const trimmed = trimBlanks(input, start, end);
  switch (fieldKind(input, nameStart, nameEnd - nameStart)) {
    case FIELD_HOST:
      hostsCount++;
      return isHostValue(input, start, trimmed) ? 0 : -MALFORMED_HTTP;
    case FIELD_CONTENT_LENGTH:
      return takeContentLength(input, start, trimmed, parsed);
    case FIELD_TRANSFER_ENCODING:
      if (start === trimmed) return -MALFORMED_HTTP;
      codingsCount++;
      if (!equals(input, start, trimmed - start, CHUNKED)) isCodingSupported = false;
      return 0;
    case FIELD_CONNECTION:
      return takeConnectionOptions(input, start, trimmed, parsed);
    case FIELD_PROXY_AUTHORIZATION:
      // Two would let one be checked here and the other elsewhere.
      if (parsed.credentialKind !== CREDENTIAL_NONE) return -MALFORMED_HTTP;
      takeBasicCredential(input, start, trimmed, parsed);
      return 0;
    case FIELD_MAX_FORWARDS:
      hasMaxForwards = true;
      return 0;
    default:
      return 0;
  }
}

/** Digits only, below 2^53; a second one must be equal. A list, even of equal ones, is refused. */
function takeContentLength(input: Uint8Array, start: number, end: number, parsed: Parsed): number {
  if (start === end) return -MALFORMED_HTTP;
  let bytes = 0;
  for (let i = start; i < end; i++) {
    const digit = (input[i] as number) - 0x30;
    if (digit < 0 || digit > 9) return -MALFORMED_HTTP;
    bytes = bytes * 10 + digit;
    if (bytes > Number.MAX_SAFE_INTEGER) return -MALFORMED_HTTP;
  }
  if (lengthsCount > 0 && parsed.bodyBytes !== bytes) return -MALFORMED_HTTP;
  lengthsCount++;
  parsed.bodyBytes = bytes;
  return 0;
}

/** Remembers the names that Connection lists. None may be one on which framing or routing rests. */
function takeConnectionOptions(input: Uint8Array, start: number, end: number, parsed: Parsed): number {
  let at = start;
  while (at < end) {
    at = skipBlanks(input, at, end);
    const nameStart = at;
    while (at < end && isTokenByte(input[at] as number)) at++;
    const nameLength = at - nameStart;
    at = skipBlanks(input, at, end);
    if (at < end && input[at] !== COMMA) return -MALFORMED_HTTP;
    at++;
    if (nameLength === 0) continue;
    if (equals(input, nameStart, nameLength, CLOSE) || equals(input, nameStart, nameLength, KEEP_ALIVE))
      continue;
    const kind = fieldKind(input, nameStart, nameLength);
    if (kind === FIELD_HOST || kind === FIELD_CONTENT_LENGTH || kind === FIELD_TRANSFER_ENCODING) {
      return -MALFORMED_HTTP;
    }
    if (parsed.connectionOptionsCount === CONNECTION_OPTIONS_MAX) return -MALFORMED_HTTP;
    parsed.connectionOptions[parsed.connectionOptionsCount * 2] = nameStart;
    parsed.connectionOptions[parsed.connectionOptionsCount * 2 + 1] = nameLength;
    parsed.connectionOptionsCount++;
  }
  return 0;
}

/** The value is replaced by the target's authority; it only must not be one that servers read in two ways. */
function isHostValue(input: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) {
    const byte = input[i] as number;
    if (!isVisibleByte(byte) || endsAuthority(byte) || byte === 0x40 || byte === 0x5c || byte === COMMA)
      return false;
  }
  return true;
}

/** What only the whole head can tell. @returns 0, or minus a reason */
function judgeHead(input: Uint8Array, parsed: Parsed): number {
  if (hostsCount > 1 || (hostsCount === 0 && parsed.minorVersion === 1)) return -MALFORMED_HTTP;
  if (codingsCount > 0) {
    // HTTP/1.0 knows no codings: whoever sends one there is read differently by every server.
    if (lengthsCount > 0 || parsed.minorVersion === 0) return -MALFORMED_HTTP;
    if (codingsCount > 1 || !isCodingSupported) return -TRANSFER_CODING_UNSUPPORTED;
    parsed.bodyKind = BODY_CHUNKED;
  } else if (lengthsCount > 0) {
    parsed.bodyKind = BODY_LENGTH;
  }
  if (parsed.isConnect === 1) {
    // What follows CONNECT belongs to the tunnel; a body there would be read as one by some and not by others.
    return codingsCount > 0 || parsed.bodyBytes > 0 ? -MALFORMED_HTTP : 0;
  }
  // TRACE would echo the client's own fields, and only TRACE and OPTIONS count forwards. Neither is worth its code.
  if (isMethod(input, parsed, TRACE)) return -COMMAND_UNSUPPORTED;
  return hasMaxForwards && isMethod(input, parsed, OPTIONS) ? -COMMAND_UNSUPPORTED : 0;
}
