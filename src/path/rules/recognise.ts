// What a client's first bytes are. TLS by the type of its first message, HTTP/1 by its request line, SSH by its banner, DNS by
// a query that is one in every field. What servers take for TLS or HTTP is so called here, also where it has no name, or
// none that we can read. Nothing is consumed. What may still become one of the protocols that are looked for, or has not
// come to its name, needs more. Owner: a data worker; allocates nothing.
// @source RFC 8446, sections 4.1.2 and 5.1; RFC 9112, sections 2.2 and 3; RFC 4253, section 4.2; RFC 1035, section 4, and
// RFC 7766, section 8

import { HEADER_TOO_LARGE, MALFORMED_HTTP } from '../../layout/reasons.ts';
import {
  PROTOCOL_DNS,
  PROTOCOL_HTTP,
  PROTOCOL_SSH,
  PROTOCOL_TLS,
  PROTOCOL_UNKNOWN,
} from '../../layout/rules.ts';
import { parseClientHello } from '../identify/client-hello.ts';
import { takeAuthority } from '../identify/host.ts';
import {
  equals,
  startsWith,
  isTokenByte,
  isValueByte,
  LF,
  CR,
  SPACE,
  COLON,
  trimBlanks,
  skipBlanks,
} from '../identify/http-fields.ts';
import { HOST_NONE } from '../identify/parsed.ts';
import type { Parsed } from '../identify/parsed.ts';
import { ascii, readPort } from '../identify/wire.ts';

/** More bytes may tell: nothing is known yet. What is below is of a known protocol, whose name may still come. */
export const UNDECIDED = -1;

const TLS_RECORD_HEAD_BYTES = 5;
const TLS_HANDSHAKE = 22;
const TLS_VERSION_MAJOR = 3;
const TLS_CLIENT_HELLO = 1;
const SSH = ascii('SSH-');
const HTTP = ascii('http/');
const HOST = ascii('host');
const CONNECT = ascii('connect');
const METHOD_BYTES_MAX = 32;
const HTTP_PORT = 80;
const TAB = 0x09;
const SLASH = 0x2f;
const QUESTION_MARK = 0x3f;
const HASH = 0x23;
const AT = 0x40;

const DNS_LENGTH_BYTES = 2;
const DNS_HEAD_BYTES = 12;
/** A question of the root: one byte of a name, type and class. */
const DNS_QUESTION_BYTES_MIN = 5;
/** Far more than queries have, padded ones included (RFC 8467); so that text is not waited for as a long message. */
const DNS_QUERY_BYTES_MAX = 1_024;
const DNS_NAME_BYTES_MAX = 255;
const DNS_LABEL_BYTES_MAX = 63;
const DNS_CLASS_IN = 1;
const DNS_CLASS_ANY = 255;

/**
 * Looks for the protocols in `wanted` (bits, 1 << PROTOCOL_*). If a name was said, it is in `parsed` (HOST_NAME).
 * @returns PROTOCOL_* (PROTOCOL_UNKNOWN: it is none of them); or less than that where more bytes may tell more: see
 * `protocolSoFar`
 */
export function recognise(input: Uint8Array, length: number, wanted: number, parsed: Parsed): number {
  parsed.resetRequest();
  let found = PROTOCOL_UNKNOWN;
  if ((wanted & (1 << PROTOCOL_TLS)) !== 0) found = recogniseTls(input, length, parsed);
  if (found === PROTOCOL_UNKNOWN && (wanted & (1 << PROTOCOL_SSH)) !== 0) found = recogniseSsh(input, length);
  if (found === PROTOCOL_UNKNOWN && (wanted & (1 << PROTOCOL_HTTP)) !== 0)
    found = recogniseHttp(input, length, parsed);
  if (found === PROTOCOL_UNKNOWN && (wanted & (1 << PROTOCOL_DNS)) !== 0) found = recogniseDns(input, length);
  if (found < 0) parsed.hostKind = HOST_NONE;
  return found;
}

/** What an answer of `recognise` comes to where no more bytes are waited for. */
export function protocolSoFar(found: number): number {
  return found >= 0 ? found : UNDECIDED - found;
}

/** It is that protocol, and its name may still come. */
function unnamed(protocol: number): number {
  return UNDECIDED - protocol;
}

/** A first message that is a hello is enough: what is wrong with the rest of it is its server's to say. */
function recogniseTls(input: Uint8Array, length: number, parsed: Parsed): number {
  let at = 0;
  // Servers skip empty records, which nobody may send.
  for (;;) {
    if (at < length && input[at] !== TLS_HANDSHAKE) return PROTOCOL_UNKNOWN;
    if (at + 1 < length && input[at + 1] !== TLS_VERSION_MAJOR) return PROTOCOL_UNKNOWN;
    if (at + TLS_RECORD_HEAD_BYTES > length) return UNDECIDED;
    const isEmpty = readPort(input, at + 3) === 0;
    at += TLS_RECORD_HEAD_BYTES;
    if (!isEmpty) break;
  }
  if (at === length) return UNDECIDED;
  if (input[at] !== TLS_CLIENT_HELLO) return PROTOCOL_UNKNOWN;
  const taken = parseClientHello(input, length, parsed);
  // The name of a hello that is too large for us is not found by waiting either; but nobody can say that it has none.
  if (taken === 0 || taken === -HEADER_TOO_LARGE) return unnamed(PROTOCOL_TLS);
  if (taken < 0) parsed.hostKind = HOST_NONE;
  return PROTOCOL_TLS;
}

function recogniseSsh(input: Uint8Array, length: number): number {
  for (let i = 0; i < SSH.length && i < length; i++) if (input[i] !== SSH[i]) return PROTOCOL_UNKNOWN;
  return length < SSH.length ? UNDECIDED : PROTOCOL_SSH;
}

/** A request line is enough; for the host the fields are read as far as they are there. */
function recogniseHttp(input: Uint8Array, length: number, parsed: Parsed): number {
  let at = 0;
  while (at < length && (input[at] === CR || input[at] === LF)) at++;
  const method = at;
  const methodMax = method + METHOD_BYTES_MAX;
  while (at < length && at < methodMax && isTokenByte(input[at] as number)) at++;
  if (at === length && at < methodMax) return UNDECIDED;
  const methodBytes = at - method;
  if (methodBytes === 0 || !isBlank(input[at] as number)) return PROTOCOL_UNKNOWN;
  const target = skipBlanks(input, at, length);
  while (at < length && isValueByte(input[at] as number)) at++;
  if (at === length) return UNDECIDED;
  if (input[at] !== CR && input[at] !== LF) return PROTOCOL_UNKNOWN;
  // "HTTP/1.1" at the line's end, and something before it.
  const lineEnd = trimBlanks(input, target, at);
  let version = lineEnd;
  while (version > target && !isBlank(input[version - 1] as number)) version--;
  const targetEnd = trimBlanks(input, target, version);
  if (targetEnd === target || lineEnd - version <= HTTP.length || !startsWith(input, version, HTTP))
    return PROTOCOL_UNKNOWN;
  const isConnect = equals(input, method, methodBytes, CONNECT);
  const authority = isConnect ? target : authorityOf(input, target, targetEnd);
  // It counts for more than the Host field.
  if (authority >= 0) {
    takeName(input, authority, targetEnd, parsed);
    return PROTOCOL_HTTP;
  }
  return hostOf(input, at, length, parsed) ? PROTOCOL_HTTP : unnamed(PROTOCOL_HTTP);
}

function isBlank(byte: number): boolean {
  return byte === SPACE || byte === TAB;
}

/** Where the authority of a target in absolute form begins; -1: it has another form. */
function authorityOf(input: Uint8Array, target: number, end: number): number {
  let at = target;
  while (at < end && isTokenByte(input[at] as number)) at++;
  const isAbsolute = at > target && at + 2 < end && input[at] === COLON && input[at + 1] === SLASH;
  return isAbsolute && input[at + 2] === SLASH ? at + 3 : -1;
}

/** Takes the authority that begins there, without the user that may stand before it, and with a host that we can read. */
function takeName(input: Uint8Array, authority: number, targetEnd: number, parsed: Parsed): void {
  let start = authority;
  let end = authority;
  for (; end < targetEnd; end++) {
    const byte = input[end];
    if (byte === SLASH || byte === QUESTION_MARK || byte === HASH) break;
    if (byte === AT) start = end + 1;
  }
  if (takeAuthority(input, start, end - start, HTTP_PORT, MALFORMED_HTTP, parsed) < 0)
    parsed.hostKind = HOST_NONE;
}

/** Looks for the Host field. @returns false where the head goes on without one so far */
function hostOf(input: Uint8Array, requestEnd: number, length: number, parsed: Parsed): boolean {
  let at = lineAfter(input, requestEnd, length);
  while (at < length) {
    if (input[at] === LF || input[at] === CR) return true;
    const lineStart = at;
    while (at < length && isTokenByte(input[at] as number)) at++;
    const nameBytes = at - lineStart;
    const colon = at;
    while (at < length && input[at] !== LF && input[at] !== CR) at++;
    if (at === length) return false;
    if (input[colon] === COLON && equals(input, lineStart, nameBytes, HOST)) {
      const start = skipBlanks(input, colon + 1, at);
      const end = trimBlanks(input, start, at);
      if (takeAuthority(input, start, end - start, HTTP_PORT, MALFORMED_HTTP, parsed) < 0)
        parsed.hostKind = HOST_NONE;
      return true;
    }
    at = lineAfter(input, at, length);
  }
  return false;
}

function lineAfter(input: Uint8Array, lineEnd: number, length: number): number {
  let at = lineEnd;
  while (at < length && input[at] !== LF) at++;
  return at + 1;
}

/** A message's length, then a standard query with one question and no answers. */
function recogniseDns(input: Uint8Array, length: number): number {
  if (length < DNS_LENGTH_BYTES) return UNDECIDED;
  const messageBytes = readPort(input, 0);
  if (messageBytes < DNS_HEAD_BYTES + DNS_QUESTION_BYTES_MIN || messageBytes > DNS_QUERY_BYTES_MAX)
    return PROTOCOL_UNKNOWN;
  const end = DNS_LENGTH_BYTES + messageBytes;
  if (length < DNS_LENGTH_BYTES + DNS_HEAD_BYTES) return UNDECIDED;
  // QR 0, opcode 0, no answer's bits: AA, TC, RA and the reserved one; no response code.
  if (((input[4] as number) & 0xfe) !== 0 || ((input[5] as number) & 0xcf) !== 0) return PROTOCOL_UNKNOWN;
  if (readPort(input, 6) !== 1 || readPort(input, 8) !== 0 || readPort(input, 10) !== 0)
    return PROTOCOL_UNKNOWN;
  let at = DNS_LENGTH_BYTES + DNS_HEAD_BYTES;
  const name = at;
  for (;;) {
    if (at >= end || at - name >= DNS_NAME_BYTES_MAX) return PROTOCOL_UNKNOWN;
    if (at >= length) return UNDECIDED;
    const label = input[at] as number;
    if (label > DNS_LABEL_BYTES_MAX) return PROTOCOL_UNKNOWN;
    at += 1 + label;
    if (label === 0) break;
  }
  if (at + 4 > end) return PROTOCOL_UNKNOWN;
  if (at + 4 > length) return UNDECIDED;
  const kind = readPort(input, at);
  const family = readPort(input, at + 2);
  return kind !== 0 && (family === DNS_CLASS_IN || family === DNS_CLASS_ANY)
    ? PROTOCOL_DNS
    : PROTOCOL_UNKNOWN;
}
