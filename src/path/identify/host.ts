// How a target that a client names becomes `hostKind` and its address or name: the one gate for SOCKS5 domains, HTTP
// authorities and TLS server names. An IP literal is an IP however it was sent; a name that some resolver would read
// as a number is refused here, before any rule has seen it.
//
// Owner: a data worker. Allocates nothing; no input is touched beyond its window.

import { isHostName, isNumericLookalike, parseIpLiteral, parseIpv6 } from '../../layout/ip-address.ts';
import { TARGET_FORBIDDEN } from '../../layout/reasons.ts';
import { HOST_IP, HOST_NAME, type Parsed } from './parsed.ts';

const DOT = 0x2e;
const COLON = 0x3a;
const ZERO = 0x30;
const BRACKET_OPEN = 0x5b;
const BRACKET_CLOSE = 0x5d;
const PORT_DIGITS_MAX = 5;

/**
 * Takes `input[start .. start + length)` as a host into `parsed`.
 * @param malformed the reason to answer where it is neither a literal nor a name
 * @returns 0, or minus a reason: `malformed`, or TARGET_FORBIDDEN for numbers in disguise
 */
export function takeHost(
  input: Uint8Array,
  start: number,
  length: number,
  malformed: number,
  parsed: Parsed,
): number {
  if (parseIpLiteral(input, start, length, parsed.hostWords, 0)) {
    parsed.hostKind = HOST_IP;
    return 0;
  }
  if (!isHostName(input, start, length)) return -malformed;
  if (isNumericLookalike(input, start, length)) return -TARGET_FORBIDDEN;
  const nameLength = input[start + length - 1] === DOT ? length - 1 : length;
  const name = parsed.name;
  for (let i = 0; i < nameLength; i++) name[i] = lowerCase(input[start + i] as number);
  parsed.nameLength = nameLength;
  parsed.hostKind = HOST_NAME;
  return 0;
}

/**
 * Takes `host`, `host:port` or `[IPv6]:port` into `parsed`.
 * @param defaultPort the port where there is none; 0 if there must be one
 * @returns 0, or minus a reason as `takeHost`
 * @source RFC 3986, section 3.2.2
 */
export function takeAuthority(
  input: Uint8Array,
  start: number,
  length: number,
  defaultPort: number,
  malformed: number,
  parsed: Parsed,
): number {
  const end = start + length;
  let hostEnd = start;
  if (input[start] === BRACKET_OPEN && length > 0) {
    while (hostEnd < end && input[hostEnd] !== BRACKET_CLOSE) hostEnd++;
    if (hostEnd === end) return -malformed;
    if (!parseIpv6(input, start + 1, hostEnd - start - 1, parsed.hostWords, 0)) return -malformed;
    parsed.hostKind = HOST_IP;
    hostEnd++;
  } else {
    while (hostEnd < end && input[hostEnd] !== COLON) hostEnd++;
    const taken = takeHost(input, start, hostEnd - start, malformed, parsed);
    if (taken < 0) return taken;
  }
  if (hostEnd < end && input[hostEnd] !== COLON) return -malformed;
  if (end - hostEnd <= 1) {
    // A lone colon stands for the scheme's port, where there is a scheme.
    parsed.port = defaultPort;
    return defaultPort === 0 ? -malformed : 0;
  }
  const port = portOf(input, hostEnd + 1, end);
  if (port <= 0) return -malformed;
  parsed.port = port;
  return 0;
}

/** A decimal port without leading zeros that fills the window; -1 if it is none. 0 is a number, not a target. */
export function portOf(input: Uint8Array, start: number, end: number): number {
  if (end <= start || end - start > PORT_DIGITS_MAX) return -1;
  if (input[start] === ZERO && end - start > 1) return -1;
  let port = 0;
  for (let i = start; i < end; i++) {
    const digit = (input[i] as number) - ZERO;
    if (digit < 0 || digit > 9) return -1;
    port = port * 10 + digit;
  }
  return port <= 0xffff ? port : -1;
}

/** ASCII only, as host names and field names are compared. */
export function lowerCase(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
}
