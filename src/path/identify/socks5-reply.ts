// What a SOCKS5 client is told: method selection, authentication status, and the reply to its request, with the reply
// code for every reason. Written into the worker's own output bytes; each writer answers how many.
//
// Owner: a data worker. Allocates nothing after the module was loaded.
// @source RFC 1928, sections 3 and 6; RFC 1929, section 2

import {
  ADDRESS_TYPE_UNSUPPORTED,
  COMMAND_UNSUPPORTED,
  CONNECT_REFUSED,
  CONNECT_TIMEOUT,
  CREDENTIAL_REMOVED,
  CONNECT_UNREACHABLE,
  NAME_FAILED,
  NAME_NOT_FOUND,
  REASONS_COUNT,
  RULE_REJECTED,
  SERVICE_DISABLED,
  SERVICE_REMOVED,
  SOURCE_NOT_ALLOWED,
  TARGET_FORBIDDEN,
  TARGET_OWN_LISTENER,
} from '../../layout/reasons.ts';
import { ENETDOWN, ENETUNREACH } from '../../sys/constants.ts';
import { MAPPED_WORD } from '../../sys/socket-address.ts';
import { writeWord } from './wire.ts';

/** What method selection may answer. */
export const SOCKS_METHOD_NO_AUTH = 0x00;
export const SOCKS_METHOD_PASSWORD = 0x02;
export const SOCKS_METHOD_NONE = 0xff;

export const SOCKS_SUCCEEDED = 0x00;
const GENERAL_FAILURE = 0x01;
const NOT_ALLOWED = 0x02;
const NETWORK_UNREACHABLE = 0x03;
const HOST_UNREACHABLE = 0x04;
const REFUSED = 0x05;
const TTL_EXPIRED = 0x06;
const COMMAND_NOT_SUPPORTED = 0x07;
const ADDRESS_TYPE_NOT_SUPPORTED = 0x08;

/** The longest reply: one with an IPv6 address. */
export const SOCKS_REPLY_BYTES_MAX = 22;

const codes = new Uint8Array(REASONS_COUNT).fill(GENERAL_FAILURE);
for (const reason of [
  TARGET_FORBIDDEN,
  TARGET_OWN_LISTENER,
  SERVICE_DISABLED,
  SERVICE_REMOVED,
  CREDENTIAL_REMOVED,
  SOURCE_NOT_ALLOWED,
  RULE_REJECTED,
]) {
  codes[reason] = NOT_ALLOWED;
}
for (const reason of [CONNECT_UNREACHABLE, NAME_NOT_FOUND, NAME_FAILED]) codes[reason] = HOST_UNREACHABLE;
codes[CONNECT_REFUSED] = REFUSED;
codes[CONNECT_TIMEOUT] = TTL_EXPIRED;
codes[COMMAND_UNSUPPORTED] = COMMAND_NOT_SUPPORTED;
codes[ADDRESS_TYPE_UNSUPPORTED] = ADDRESS_TYPE_NOT_SUPPORTED;

/**
 * The reply code for a reason.
 * @param errno the positive errno of the connect that failed, or 0: it tells a network from a host
 */
export function socksReplyCode(reason: number, errno: number): number {
  if (reason === CONNECT_UNREACHABLE && (errno === ENETUNREACH || errno === ENETDOWN))
    return NETWORK_UNREACHABLE;
  return reason >= 0 && reason < REASONS_COUNT ? (codes[reason] as number) : GENERAL_FAILURE;
}

/** @param method one of the SOCKS_METHOD_ constants. @returns bytes written */
export function writeSocksMethod(output: Uint8Array, method: number): number {
  output[0] = 5;
  output[1] = method;
  return 2;
}

/** @returns bytes written; after a failure the connection must be closed */
export function writeSocksAuthStatus(output: Uint8Array, succeeded: boolean): number {
  output[0] = 1;
  output[1] = succeeded ? 0 : 1;
  return 2;
}

/**
 * The reply to a request, with the address that the connection to the target is bound to (zeros after a failure).
 * @param code SOCKS_SUCCEEDED or what `socksReplyCode` answered
 * @returns bytes written: 10, or SOCKS_REPLY_BYTES_MAX with an IPv6 address
 */
export function writeSocksReply(
  output: Uint8Array,
  code: number,
  word0: number,
  word1: number,
  word2: number,
  word3: number,
  port: number,
): number {
  output[0] = 5;
  output[1] = code;
  output[2] = 0;
  // :: is what a failure is called with; it goes out as 0.0.0.0, which every client can read.
  const isIpv4 = word0 === 0 && word1 === 0 && (word2 === MAPPED_WORD || (word2 === 0 && word3 === 0));
  output[3] = isIpv4 ? 1 : 4;
  let at = 4;
  if (!isIpv4) {
    at = writeWord(output, at, word0);
    at = writeWord(output, at, word1);
    at = writeWord(output, at, word2);
  }
  at = writeWord(output, at, word3);
  output[at] = port >> 8;
  output[at + 1] = port & 0xff;
  return at + 2;
}
