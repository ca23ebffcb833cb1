// The PROXY protocol, versions 1 and 2: read from load balancers that the inbound trusts, written to servers that want
// to know the client. The reader takes both and tells them apart by the first byte; both ends go into `parsed`, from
// where the writers take them too.
//
// Owner: a data worker. Answers as parsed.ts says; strict, because whoever may send this header may claim any source.
// Only stream addresses over IPv4 and IPv6 are taken; LOCAL, UNKNOWN, UNSPEC, Unix and datagram headers are valid and
// leave `sourceKind` HOST_NONE: the socket's own addresses stand. TLVs are skipped.
// @source HAProxy, doc/proxy-protocol.txt, sections 2.1 and 2.2

import { parseIpv4, parseIpv6, writeIp, writeIpv4 } from '../../layout/ip-address.ts';
import { HEADER_TOO_LARGE, MALFORMED_PROXY_HEADER } from '../../layout/reasons.ts';
import { MAPPED_WORD } from '../../sys/socket-address.ts';
import { portOf } from './host.ts';
import { HOST_IP, HOST_NONE, type Parsed } from './parsed.ts';
import { ascii, readPort, readWord, writeAll, writeDecimal, writeWord } from './wire.ts';

/** The longest version 1 header, with its CRLF; also what a writer needs at most. */
export const PROXY_V1_BYTES_MAX = 107;
/** The longest version 2 header that is taken; addresses need 52 bytes at most, the rest is room for TLVs. */
export const PROXY_V2_BYTES_MAX = 2048;

const V1_PREFIX = ascii('PROXY ');
const V1_TCP4 = ascii('TCP4 ');
const V1_TCP6 = ascii('TCP6 ');
const V1_UNKNOWN = ascii('UNKNOWN');
const V1_UNKNOWN_HEADER = ascii('PROXY UNKNOWN\r\n');
const V2_SIGNATURE = Uint8Array.of(0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a);
const V2_HEAD_BYTES = 16;
const V2_LOCAL = 0x20;
const V2_PROXY = 0x21;
const V2_TCP4 = 0x11;
const V2_TCP6 = 0x21;
const V2_TCP4_BYTES = 12;
const V2_TCP6_BYTES = 36;
const V2_UNIX_BYTES = 216;

const SPACE = 0x20;
const CR = 0x0d;
const LF = 0x0a;

/** Reads a header of either version: fills both ends. */
export function parseProxyHeader(input: Uint8Array, length: number, parsed: Parsed): number {
  if (length < 1) return 0;
  parsed.sourceKind = HOST_NONE;
  return input[0] === V2_SIGNATURE[0] ? parseV2(input, length, parsed) : parseV1(input, length, parsed);
}

function parseV1(input: Uint8Array, length: number, parsed: Parsed): number {
  const matched = matches(input, 0, length, V1_PREFIX);
  if (matched <= 0) return matched;
  let end = V1_PREFIX.length;
  while (end < length && input[end] !== CR) {
    const byte = input[end] as number;
    if (byte < SPACE || byte > 0x7e || end > PROXY_V1_BYTES_MAX - 3) return -MALFORMED_PROXY_HEADER;
    end++;
  }
  if (end + 1 >= length) return 0;
  if (input[end + 1] !== LF) return -MALFORMED_PROXY_HEADER;

  const at = V1_PREFIX.length;
  if (matches(input, at, end, V1_UNKNOWN) > 0) {
    const after = at + V1_UNKNOWN.length;
    return after === end || input[after] === SPACE ? end + 2 : -MALFORMED_PROXY_HEADER;
  }
  const isIpv6 = matches(input, at, end, V1_TCP6) > 0;
  if (!isIpv6 && matches(input, at, end, V1_TCP4) <= 0) return -MALFORMED_PROXY_HEADER;
  const sourceAt = at + V1_TCP4.length;
  const destinationAt = nextField(input, sourceAt, end);
  const sourcePortAt = nextField(input, destinationAt, end);
  const destinationPortAt = nextField(input, sourcePortAt, end);
  const sourceLength = destinationAt - 1 - sourceAt;
  const destinationLength = sourcePortAt - 1 - destinationAt;
  const valid = isIpv6
    ? parseIpv6(input, sourceAt, sourceLength, parsed.sourceWords, 0) &&
      parseIpv6(input, destinationAt, destinationLength, parsed.destinationWords, 0)
    : parseIpv4(input, sourceAt, sourceLength, parsed.sourceWords, 0) &&
      parseIpv4(input, destinationAt, destinationLength, parsed.destinationWords, 0);
  const sourcePort = portOf(input, sourcePortAt, destinationPortAt - 1);
  const destinationPort = portOf(input, destinationPortAt, end);
  if (!valid || sourcePort < 0 || destinationPort < 0) return -MALFORMED_PROXY_HEADER;
  parsed.sourcePort = sourcePort;
  parsed.destinationPort = destinationPort;
  parsed.sourceKind = HOST_IP;
  return end + 2;
}

/** Where the field behind the next space begins; behind `end` if there is none, so that the field is empty. */
function nextField(input: Uint8Array, at: number, end: number): number {
  let i = at;
  while (i < end && input[i] !== SPACE) i++;
  return i + 1;
}

function parseV2(input: Uint8Array, length: number, parsed: Parsed): number {
  const matched = matches(input, 0, length, V2_SIGNATURE);
  if (matched <= 0) return matched;
  if (length < V2_HEAD_BYTES) return 0;
  const command = input[12] as number;
  const family = input[13] as number;
  const bodyBytes = readPort(input, 14);
  if (command !== V2_LOCAL && command !== V2_PROXY) return -MALFORMED_PROXY_HEADER;
  if (!isKnownFamily(family)) return -MALFORMED_PROXY_HEADER;
  const total = V2_HEAD_BYTES + bodyBytes;
  if (total > PROXY_V2_BYTES_MAX) return -HEADER_TOO_LARGE;
  // Receivers of LOCAL must ignore the addresses, whatever their size.
  if (command === V2_PROXY && bodyBytes < addressBytes(family)) return -MALFORMED_PROXY_HEADER;
  if (length < total) return 0;
  if (command === V2_LOCAL || (family !== V2_TCP4 && family !== V2_TCP6)) return total;

  const source = parsed.sourceWords;
  const destination = parsed.destinationWords;
  let at = V2_HEAD_BYTES;
  if (family === V2_TCP4) {
    setIpv4(source, readWord(input, at));
    setIpv4(destination, readWord(input, at + 4));
    at += 8;
  } else {
    for (let i = 0; i < 4; i++) source[i] = readWord(input, at + i * 4);
    for (let i = 0; i < 4; i++) destination[i] = readWord(input, at + 16 + i * 4);
    at += 32;
  }
  parsed.sourcePort = readPort(input, at);
  parsed.destinationPort = readPort(input, at + 2);
  parsed.sourceKind = HOST_IP;
  return total;
}

/** UNSPEC, or IPv4, IPv6 or Unix with stream or datagram; receivers must refuse all others. */
function isKnownFamily(family: number): boolean {
  if (family === 0) return true;
  const protocol = family & 0xf;
  return family >> 4 >= 1 && family >> 4 <= 3 && (protocol === 1 || protocol === 2);
}

function addressBytes(family: number): number {
  if (family >> 4 === 1) return V2_TCP4_BYTES;
  if (family >> 4 === 2) return V2_TCP6_BYTES;
  return family >> 4 === 3 ? V2_UNIX_BYTES : 0;
}

/** @returns 1 if `expected` stands at `at`, 0 if what is there may still become it, or minus the reason */
function matches(input: Uint8Array, at: number, end: number, expected: Uint8Array): number {
  for (let i = 0; i < expected.length; i++) {
    if (at + i >= end) return 0;
    if (input[at + i] !== expected[i]) return -MALFORMED_PROXY_HEADER;
  }
  return 1;
}

/**
 * Writes a version 1 header for the ends in `parsed` (UNKNOWN where `sourceKind` is HOST_NONE). If only one end is
 * IPv4, it goes out mapped, since both must be of one family.
 * @param output has room for PROXY_V1_BYTES_MAX bytes
 * @returns bytes written
 */
export function writeProxyV1(output: Uint8Array, parsed: Parsed): number {
  if (parsed.sourceKind !== HOST_IP) return writeAll(output, 0, V1_UNKNOWN_HEADER);
  const isIpv4 = isMapped(parsed.sourceWords) && isMapped(parsed.destinationWords);
  let at = writeAll(output, 0, V1_PREFIX);
  at = writeAll(output, at, isIpv4 ? V1_TCP4 : V1_TCP6);
  at = writeEnd(output, at, parsed.sourceWords, isIpv4);
  output[at++] = SPACE;
  at = writeEnd(output, at, parsed.destinationWords, isIpv4);
  output[at++] = SPACE;
  at = writeDecimal(output, at, parsed.sourcePort);
  output[at++] = SPACE;
  at = writeDecimal(output, at, parsed.destinationPort);
  output[at++] = CR;
  output[at++] = LF;
  return at;
}

const MAPPED_PREFIX = ascii('::ffff:');

function writeEnd(output: Uint8Array, at: number, words: Int32Array, isIpv4: boolean): number {
  if (isIpv4 || !isMapped(words)) return at + writeIp(output, at, words, 0);
  const afterPrefix = writeAll(output, at, MAPPED_PREFIX);
  return afterPrefix + writeIpv4(output, afterPrefix, words[3] as number);
}

/** As `writeProxyV1`, in version 2; LOCAL where `sourceKind` is HOST_NONE. */
export function writeProxyV2(output: Uint8Array, parsed: Parsed): number {
  const isKnown = parsed.sourceKind === HOST_IP;
  const isIpv4 = isKnown && isMapped(parsed.sourceWords) && isMapped(parsed.destinationWords);
  let at = writeAll(output, 0, V2_SIGNATURE);
  output[at++] = isKnown ? V2_PROXY : V2_LOCAL;
  output[at++] = isKnown ? (isIpv4 ? V2_TCP4 : V2_TCP6) : 0;
  output[at++] = 0;
  output[at++] = isKnown ? (isIpv4 ? V2_TCP4_BYTES : V2_TCP6_BYTES) : 0;
  if (!isKnown) return at;
  for (let i = isIpv4 ? 3 : 0; i < 4; i++) at = writeWord(output, at, parsed.sourceWords[i] as number);
  for (let i = isIpv4 ? 3 : 0; i < 4; i++) at = writeWord(output, at, parsed.destinationWords[i] as number);
  return writeWord(output, at, (parsed.sourcePort << 16) | parsed.destinationPort);
}

function isMapped(words: Int32Array): boolean {
  return words[0] === 0 && words[1] === 0 && words[2] === MAPPED_WORD;
}

function setIpv4(words: Int32Array, word: number): void {
  words[0] = 0;
  words[1] = 0;
  words[2] = MAPPED_WORD;
  words[3] = word;
}
