// The head as it is forwarded: origin form, Host from the target URI, without what is meant for this hop only, and with
// the framing written anew from what was understood. One request a connection, hence `Connection: close`.
//
// Owner: a data worker. Allocates nothing; writes beyond the output are dropped by the typed array and show in the
// length, which is compared once at the end.
// @source RFC 9110, sections 7.2, 7.6.1 and 7.6.3; RFC 9112, section 3.2.4

import { HEADER_TOO_LARGE } from '../../layout/reasons.ts';
import { isServerOptions } from './http.ts';
import {
  COLON,
  CR,
  FIELD_LAST_STRIPPED,
  fieldKind,
  SPACE,
  sameName,
  skipBlanks,
  trimBlanks,
} from './http-fields.ts';
import { BODY_CHUNKED, BODY_LENGTH, type Parsed } from './parsed.ts';
import { ascii, writeAll, writeDecimal, writeSpan } from './wire.ts';

const VERSION_1_0 = ascii(' HTTP/1.0\r\nHost: ');
const VERSION_1_1 = ascii(' HTTP/1.1\r\nHost: ');
const CONTENT_LENGTH = ascii('Content-Length: ');
const TRANSFER_ENCODING = ascii('Transfer-Encoding: chunked\r\n');
const LINE_END = ascii('\r\n');
const COLON_SPACE = ascii(': ');
// Via names the version in which the request was received. A client of 1.0 is also forwarded as 1.0, because its
// answer goes back untouched, and it could not read a chunked one.
const LAST_1_0 = ascii('Via: 1.0 sluice\r\nConnection: close\r\n\r\n');
const LAST_1_1 = ascii('Via: 1.1 sluice\r\nConnection: close\r\n\r\n');
const SLASH = 0x2f;
const ASTERISK = 0x2a;

/**
 * Writes the head to forward for a request that is not CONNECT.
 * @param input  the bytes that `parseHttpHead` completed on, unchanged
 * @param parsed what it found
 * @returns bytes written, or -HEADER_TOO_LARGE if `output` is too short (its content is then worthless)
 */
export function rewriteHead(input: Uint8Array, parsed: Parsed, output: Uint8Array): number {
  const methodEnd = parsed.methodStart + parsed.methodLength;
  let to = writeSpan(output, 0, input, parsed.methodStart, methodEnd);
  output[to++] = SPACE;
  if (isServerOptions(input, parsed)) {
    output[to++] = ASTERISK;
  } else {
    // An empty path is /, also in front of a query.
    if (parsed.pathLength === 0 || input[parsed.pathStart] !== SLASH) output[to++] = SLASH;
    to = writeSpan(output, to, input, parsed.pathStart, parsed.pathStart + parsed.pathLength);
  }
  to = writeAll(output, to, parsed.minorVersion === 0 ? VERSION_1_0 : VERSION_1_1);
  const authorityEnd = parsed.authorityStart + parsed.authorityLength;
  to = writeSpan(output, to, input, parsed.authorityStart, authorityEnd);
  to = writeAll(output, to, LINE_END);
  to = writeFields(input, parsed, output, to);
  if (parsed.bodyKind === BODY_CHUNKED) {
    to = writeAll(output, to, TRANSFER_ENCODING);
  } else if (parsed.bodyKind === BODY_LENGTH) {
    to = writeAll(output, to, CONTENT_LENGTH);
    to = writeDecimal(output, to, parsed.bodyBytes);
    to = writeAll(output, to, LINE_END);
  }
  to = writeAll(output, to, parsed.minorVersion === 0 ? LAST_1_0 : LAST_1_1);
  return to > output.length ? -HEADER_TOO_LARGE : to;
}

/** Copies the fields that are meant for the server. @returns where the next byte goes */
function writeFields(input: Uint8Array, parsed: Parsed, output: Uint8Array, outputAt: number): number {
  let to = outputAt;
  let at = parsed.fieldsStart;
  const fieldsEnd = parsed.headBytes - 2;
  while (at < fieldsEnd) {
    let nameEnd = at;
    while (nameEnd < fieldsEnd && input[nameEnd] !== COLON) nameEnd++;
    let end = nameEnd;
    while (end < fieldsEnd && input[end] !== CR) end++;
    if (isForwarded(input, at, nameEnd - at, parsed)) {
      const start = skipBlanks(input, nameEnd + 1, end);
      to = writeSpan(output, to, input, at, nameEnd);
      to = writeAll(output, to, COLON_SPACE);
      to = writeSpan(output, to, input, start, trimBlanks(input, start, end));
      to = writeAll(output, to, LINE_END);
    }
    at = end + 2;
  }
  return to;
}

function isForwarded(input: Uint8Array, start: number, length: number, parsed: Parsed): boolean {
  if (fieldKind(input, start, length) <= FIELD_LAST_STRIPPED) return false;
  const options = parsed.connectionOptions;
  for (let i = 0; i < parsed.connectionOptionsCount; i++) {
    if (sameName(input, start, length, options[i * 2] as number, options[i * 2 + 1] as number)) return false;
  }
  return true;
}
