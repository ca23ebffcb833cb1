// What a client's first bytes are. TLS by its ClientHello, HTTP/1 by its request line, SSH by its banner, DNS by a query that
// is one in every field. Nothing is consumed. What may still become one of the protocols that are looked for, needs more.
// Owner: a data worker; allocates nothing.
// @source RFC 8446, section 4.1.2; RFC 9112, section 3; RFC 4253, section 4.2; RFC 1035, section 4, and RFC 7766, section 8

import { SERVER_NAME_MISSING, MALFORMED_HTTP } from '../../layout/reasons.ts';
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
  isTokenByte,
  isVisibleByte,
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

/** More bytes may tell. */
export const UNDECIDED = -1;

const TLS_HANDSHAKE = 22;
const SSH = ascii('SSH-');
const HTTP = ascii('http/');
const HOST = ascii('host');
const METHOD_BYTES_MAX = 32;
const HTTP_PORT = 80;

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
 * @returns PROTOCOL_* (PROTOCOL_UNKNOWN: it is none of them) or UNDECIDED
 */
export function recognise(input: Uint8Array, length: number, wanted: number, parsed: Parsed): number {
  parsed.resetRequest();
  let found = PROTOCOL_UNKNOWN;
  if ((wanted & (1 << PROTOCOL_TLS)) !== 0) found = recogniseTls(input, length, parsed);
  if (found === PROTOCOL_UNKNOWN && (wanted & (1 << PROTOCOL_SSH)) !== 0) found = recogniseSsh(input, length);
  if (found === PROTOCOL_UNKNOWN && (wanted & (1 << PROTOCOL_HTTP)) !== 0)
    found = recogniseHttp(input, length, parsed);
  if (found === PROTOCOL_UNKNOWN && (wanted & (1 << PROTOCOL_DNS)) !== 0) found = recogniseDns(input, length);
  return found;
}

function recogniseTls(input: Uint8Array, length: number, parsed: Parsed): number {
  if (input[0] !== TLS_HANDSHAKE) return PROTOCOL_UNKNOWN;
  const taken = parseClientHello(input, length, parsed);
  if (taken === 0) return UNDECIDED;
  if (taken > 0) return PROTOCOL_TLS;
  parsed.hostKind = HOST_NONE;
  return taken === -SERVER_NAME_MISSING ? PROTOCOL_TLS : PROTOCOL_UNKNOWN;
}

function recogniseSsh(input: Uint8Array, length: number): number {
  for (let i = 0; i < SSH.length && i < length; i++) if (input[i] !== SSH[i]) return PROTOCOL_UNKNOWN;
  return length < SSH.length ? UNDECIDED : PROTOCOL_SSH;
}

/** A request line is enough; the fields are read for the host as far as they are there. */
function recogniseHttp(input: Uint8Array, length: number, parsed: Parsed): number {
  let at = 0;
  while (at < length && at < METHOD_BYTES_MAX && isUpperCase(input[at] as number)) at++;
  if (at === length && at < METHOD_BYTES_MAX) return UNDECIDED;
  if (at === 0 || input[at] !== SPACE) return PROTOCOL_UNKNOWN;
  const target = at + 1;
  while (at < length && (isVisibleByte(input[at] as number) || input[at] === SPACE)) at++;
  if (at === length) return UNDECIDED;
  if (input[at] !== CR && input[at] !== LF) return PROTOCOL_UNKNOWN;
  // "HTTP/1.1" at the line's end, and something before it.
  const version = at - HTTP.length - 3;
  if (version < target + 1 || input[version - 1] !== SPACE || !equals(input, version, HTTP.length, HTTP))
    return PROTOCOL_UNKNOWN;
  return hostOf(input, at, length, parsed) ? PROTOCOL_HTTP : UNDECIDED;
}

function isUpperCase(byte: number): boolean {
  return byte >= 0x41 && byte <= 0x5a;
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
