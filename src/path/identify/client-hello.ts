// The server name in a TLS ClientHello (1.0 to 1.3), without decrypting anything. The message may be cut over several
// records at any byte, its own header included. Two passes: the first only walks the records until the whole message
// is here; the second reads it, in place if one record holds it, put together in `parsed.fragments` if not.
//
// Owner: a data worker. Answers as parsed.ts says, called on peeked bytes: the server will read them all again. The
// whole structure is checked, since a hello that the server would read differently could name another service there.
// @source RFC 8446, sections 4.1.2 and 5.1; RFC 5246, section 7.4.1.2; RFC 6066, section 3

import { HEADER_TOO_LARGE, MALFORMED_TLS, SERVER_NAME_MISSING } from '../../layout/reasons.ts';
import { takeHost } from './host.ts';
import { CLIENT_HELLO_BYTES_MAX, HOST_NAME, type Parsed } from './parsed.ts';
import { readPort as readLength } from './wire.ts';

const RECORD_HEAD_BYTES = 5;
const RECORD_BYTES_MAX = 16 * 1024;
const MESSAGE_HEAD_BYTES = 4;
const CONTENT_HANDSHAKE = 22;
const VERSION_MAJOR = 3;
const CLIENT_HELLO = 1;
const RANDOM_BYTES = 32;
const SESSION_BYTES_MAX = 32;
const EXTENSION_SERVER_NAME = 0;
const NAME_TYPE_HOST = 0;

/** Fills the host (a name; literals are not allowed here). @returns > 0: bytes up to the end of the ClientHello */
export function parseClientHello(input: Uint8Array, length: number, parsed: Parsed): number {
  parsed.resetRequest();
  let at = 0;
  let gathered = 0;
  let messageBytes = 0;
  let records = 0;
  for (;;) {
    const body = recordBody(input, at, length);
    if (body <= 0) return body;
    records++;
    const recordEnd = at + RECORD_HEAD_BYTES + body;
    at += RECORD_HEAD_BYTES;
    while (gathered < MESSAGE_HEAD_BYTES && at < recordEnd) {
      if (at >= length) return 0;
      const byte = input[at++] as number;
      if (gathered === 0 && byte !== CLIENT_HELLO) return -MALFORMED_TLS;
      if (gathered > 0) messageBytes = (messageBytes << 8) | byte;
      gathered++;
    }
    if (gathered === MESSAGE_HEAD_BYTES && messageBytes > CLIENT_HELLO_BYTES_MAX) return -HEADER_TOO_LARGE;
    // Only the head was counted byte by byte; the rest of this record belongs to the message as far as it goes.
    const missing = gathered < MESSAGE_HEAD_BYTES ? -1 : MESSAGE_HEAD_BYTES + messageBytes - gathered;
    const left = recordEnd - at;
    if (missing >= 0 && missing <= left) {
      if (at + missing > length) return 0;
      return readMessage(input, at + missing, records, messageBytes, parsed);
    }
    gathered += left;
    at = recordEnd;
  }
}

/** The body length of the record at `at`; 0 if its head is not here yet; minus a reason. */
function recordBody(input: Uint8Array, at: number, length: number): number {
  if (at < length && input[at] !== CONTENT_HANDSHAKE) return -MALFORMED_TLS;
  if (at + 1 < length && input[at + 1] !== VERSION_MAJOR) return -MALFORMED_TLS;
  if (at + RECORD_HEAD_BYTES > length) return 0;
  const body = readLength(input, at + 3);
  // Empty handshake records are forbidden; they would let a client send for ever without saying anything.
  return body === 0 || body > RECORD_BYTES_MAX ? -MALFORMED_TLS : body;
}

function readMessage(
  input: Uint8Array,
  end: number,
  records: number,
  messageBytes: number,
  parsed: Parsed,
): number {
  let hello = input;
  let start = end - messageBytes;
  if (records > 1) {
    putTogether(input, end, parsed.fragments);
    hello = parsed.fragments;
    start = MESSAGE_HEAD_BYTES;
  }
  const refused = readHello(hello, start, start + messageBytes, parsed);
  return refused < 0 ? refused : end;
}

/** Copies what the records hold up to `end`, their heads left out. The first pass has checked them. */
function putTogether(input: Uint8Array, end: number, output: Uint8Array): void {
  let to = 0;
  let at = 0;
  while (at < end) {
    const recordEnd = at + RECORD_HEAD_BYTES + readLength(input, at + 3);
    const stop = recordEnd < end ? recordEnd : end;
    for (at += RECORD_HEAD_BYTES; at < stop; at++) output[to++] = input[at] as number;
  }
}

/** @returns 0, or minus a reason */
function readHello(hello: Uint8Array, start: number, end: number, parsed: Parsed): number {
  let at = start + 2 + RANDOM_BYTES;
  if (at >= end || hello[start] !== VERSION_MAJOR) return -MALFORMED_TLS;
  const sessionBytes = hello[at] as number;
  if (sessionBytes > SESSION_BYTES_MAX) return -MALFORMED_TLS;
  at += 1 + sessionBytes;
  if (at + 2 > end) return -MALFORMED_TLS;
  const suitesBytes = readLength(hello, at);
  if (suitesBytes === 0 || suitesBytes % 2 !== 0) return -MALFORMED_TLS;
  at += 2 + suitesBytes;
  if (at >= end || hello[at] === 0) return -MALFORMED_TLS;
  at += 1 + (hello[at] as number);
  // Hellos before TLS 1.2 may end here.
  if (at === end) return -SERVER_NAME_MISSING;
  if (at + 2 > end || at + 2 + readLength(hello, at) !== end) return -MALFORMED_TLS;
  at += 2;
  let namesSeen = 0;
  while (at < end) {
    if (at + 4 > end) return -MALFORMED_TLS;
    const bodyEnd = at + 4 + readLength(hello, at + 2);
    if (bodyEnd > end) return -MALFORMED_TLS;
    if (readLength(hello, at) === EXTENSION_SERVER_NAME) {
      if (++namesSeen > 1) return -MALFORMED_TLS;
      const refused = readServerNames(hello, at + 4, bodyEnd, parsed);
      if (refused < 0) return refused;
    }
    at = bodyEnd;
  }
  return parsed.hostKind === HOST_NAME ? 0 : -SERVER_NAME_MISSING;
}

/** The body of the server_name extension: a list in which each type of name may stand once. */
function readServerNames(hello: Uint8Array, start: number, end: number, parsed: Parsed): number {
  if (start + 2 > end || start + 2 + readLength(hello, start) !== end) return -MALFORMED_TLS;
  let at = start + 2;
  if (at === end) return -MALFORMED_TLS;
  while (at < end) {
    if (at + 3 > end) return -MALFORMED_TLS;
    const nameBytes = readLength(hello, at + 1);
    const nameEnd = at + 3 + nameBytes;
    if (nameEnd > end) return -MALFORMED_TLS;
    if (hello[at] === NAME_TYPE_HOST) {
      if (parsed.hostKind === HOST_NAME) return -MALFORMED_TLS;
      const refused = takeHost(hello, at + 3, nameBytes, MALFORMED_TLS, parsed);
      if (refused < 0 || parsed.hostKind !== HOST_NAME) return -MALFORMED_TLS;
    }
    at = nameEnd;
  }
  return 0;
}
