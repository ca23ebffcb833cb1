// The lexicon of HTTP/1: which bytes may stand where, and which header fields the proxy itself understands. Shared by
// the reader of a request's head, the rewriter and the scanner of chunked bodies, so that they cannot disagree: what
// two parsers read differently is how requests are smuggled.
//
// Owner: a data worker. Tables are made when the module loads; nothing is allocated afterwards.
// @source RFC 9110, sections 5.1, 5.5, 5.6.2 and 7.6.1; RFC 9112, section 2.2

import { lowerCase } from './host.ts';
import { ascii } from './wire.ts';

export const SPACE = 0x20;
const TAB = 0x09;
export const CR = 0x0d;
export const LF = 0x0a;
export const COLON = 0x3a;
export const COMMA = 0x2c;

const TOKEN = 1;
const VALUE = 2;
const VISIBLE = 4;

const classes = new Uint8Array(256);
for (let byte = 0; byte < 256; byte++) {
  const character = String.fromCharCode(byte);
  let bits = 0;
  if (/^[!#$%&'*+\-.^_`|~0-9A-Za-z]$/.test(character)) bits |= TOKEN;
  if (byte === TAB || (byte >= SPACE && byte !== 0x7f)) bits |= VALUE;
  if (byte > SPACE && byte < 0x7f) bits |= VISIBLE;
  classes[byte] = bits;
}

/** A byte of a method or field name. */
export function isTokenByte(byte: number): boolean {
  return ((classes[byte] as number) & TOKEN) !== 0;
}

/** A byte of a field value: all but controls; the bytes above 127 are opaque. */
export function isValueByte(byte: number): boolean {
  return ((classes[byte] as number) & VALUE) !== 0;
}

/** A byte of a request target: visible ASCII. */
export function isVisibleByte(byte: number): boolean {
  return ((classes[byte] as number) & VISIBLE) !== 0;
}

/** What `fieldKind` answers. Up to FIELD_LAST_STRIPPED a field is not forwarded as it came. */
export const FIELD_HOST = 1;
export const FIELD_CONNECTION = 2;
export const FIELD_CONTENT_LENGTH = 3;
export const FIELD_TRANSFER_ENCODING = 4;
export const FIELD_PROXY_AUTHORIZATION = 5;
const FIELD_HOP_BY_HOP = 6;
export const FIELD_LAST_STRIPPED = FIELD_HOP_BY_HOP;
export const FIELD_MAX_FORWARDS = 7;
const FIELD_OTHER = 8;

const HOST = ascii('host');
const CONNECTION = ascii('connection');
const CONTENT_LENGTH = ascii('content-length');
const TRANSFER_ENCODING = ascii('transfer-encoding');
const PROXY_AUTHORIZATION = ascii('proxy-authorization');
const PROXY_PREFIX = ascii('proxy-');
/** Never meant by a client; CGI servers read it as HTTP_PROXY. */
const PROXY = ascii('proxy');
const KEEP_ALIVE = ascii('keep-alive');
const TE = ascii('te');
const UPGRADE = ascii('upgrade');
const HTTP2_SETTINGS = ascii('http2-settings');
const TRAILER = ascii('trailer');
const MAX_FORWARDS = ascii('max-forwards');

/** Which field this name is; the window holds token bytes only. */
export function fieldKind(input: Uint8Array, start: number, length: number): number {
  if (length >= PROXY_PREFIX.length && startsWith(input, start, PROXY_PREFIX)) {
    return equals(input, start, length, PROXY_AUTHORIZATION) ? FIELD_PROXY_AUTHORIZATION : FIELD_HOP_BY_HOP;
  }
  switch (length) {
    case 2:
      return equals(input, start, length, TE) ? FIELD_HOP_BY_HOP : FIELD_OTHER;
    case 4:
      return equals(input, start, length, HOST) ? FIELD_HOST : FIELD_OTHER;
    case 5:
      return equals(input, start, length, PROXY) ? FIELD_HOP_BY_HOP : FIELD_OTHER;
    case 7:
      if (equals(input, start, length, UPGRADE)) return FIELD_HOP_BY_HOP;
      return equals(input, start, length, TRAILER) ? FIELD_HOP_BY_HOP : FIELD_OTHER;
    case 10:
      if (equals(input, start, length, CONNECTION)) return FIELD_CONNECTION;
      return equals(input, start, length, KEEP_ALIVE) ? FIELD_HOP_BY_HOP : FIELD_OTHER;
    case 12:
      return equals(input, start, length, MAX_FORWARDS) ? FIELD_MAX_FORWARDS : FIELD_OTHER;
    case 14:
      if (equals(input, start, length, CONTENT_LENGTH)) return FIELD_CONTENT_LENGTH;
      return equals(input, start, length, HTTP2_SETTINGS) ? FIELD_HOP_BY_HOP : FIELD_OTHER;
    case 17:
      return equals(input, start, length, TRANSFER_ENCODING) ? FIELD_TRANSFER_ENCODING : FIELD_OTHER;
    default:
      return FIELD_OTHER;
  }
}

/** Whether the window is `expected`, which is lower case, in any case. */
export function equals(input: Uint8Array, start: number, length: number, expected: Uint8Array): boolean {
  return length === expected.length && startsWith(input, start, expected);
}

/** As `equals`, for what the window begins with; the caller knows that it is long enough. */
export function startsWith(input: Uint8Array, start: number, expected: Uint8Array): boolean {
  for (let i = 0; i < expected.length; i++) {
    if (lowerCase(input[start + i] as number) !== expected[i]) return false;
  }
  return true;
}

/** Whether two windows of one input are the same name. */
export function sameName(
  input: Uint8Array,
  start: number,
  length: number,
  otherStart: number,
  otherLength: number,
): boolean {
  if (length !== otherLength) return false;
  for (let i = 0; i < length; i++) {
    if (lowerCase(input[start + i] as number) !== lowerCase(input[otherStart + i] as number)) return false;
  }
  return true;
}

/** The first byte of the window that is neither space nor tab, or its end. */
export function skipBlanks(input: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && (input[at] === SPACE || input[at] === TAB)) at++;
  return at;
}

/** Where the window ends without the blanks at its end. */
export function trimBlanks(input: Uint8Array, start: number, end: number): number {
  let at = end;
  while (at > start && (input[at - 1] === SPACE || input[at - 1] === TAB)) at--;
  return at;
}
