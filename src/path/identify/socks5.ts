// SOCKS5 from the client's side: greeting, user name and password, request. Each function is stateless and is called
// again from the start of its message with more bytes; the worker keeps which message is due:
//
//   greeting ─► [user/password] ─► request ─► relay
//
// Each forgets what the one before found, because other connections of the worker parse in between.
//
// Owner: a data worker. Answers as parsed.ts says. A wrong version or an unknown address type is refused at its first
// byte; an unsupported command only when the whole request is here, so that nothing unread turns the reply into a reset.
// @source RFC 1928, RFC 1929

import { ADDRESS_TYPE_UNSUPPORTED, COMMAND_UNSUPPORTED, MALFORMED_SOCKS } from '../../layout/reasons.ts';
import { MAPPED_WORD } from '../../sys/socket-address.ts';
import { takeHost } from './host.ts';
import { CREDENTIAL_PASSWORD, HOST_IP, type Parsed } from './parsed.ts';
import { readPort, readWord } from './wire.ts';

/** Bits of `methodsOffered`. */
export const OFFERS_NO_AUTH = 1;
export const OFFERS_PASSWORD = 2;

const VERSION = 5;
const AUTH_VERSION = 1;
const METHOD_NO_AUTH = 0;
const METHOD_PASSWORD = 2;
const CONNECT = 1;
const TYPE_IPV4 = 1;
const TYPE_NAME = 3;
const TYPE_IPV6 = 4;
/** Version, command, reserved, address type. */
const REQUEST_HEAD_BYTES = 4;

/** Greeting: fills `methodsOffered`. */
export function parseSocksGreeting(input: Uint8Array, length: number, parsed: Parsed): number {
  parsed.resetRequest();
  if (length < 1) return 0;
  if (input[0] !== VERSION) return -MALFORMED_SOCKS;
  if (length < 2) return 0;
  const count = input[1] as number;
  if (count === 0) return -MALFORMED_SOCKS;
  if (length < 2 + count) return 0;
  let offered = 0;
  for (let i = 2; i < 2 + count; i++) {
    if (input[i] === METHOD_NO_AUTH) offered |= OFFERS_NO_AUTH;
    else if (input[i] === METHOD_PASSWORD) offered |= OFFERS_PASSWORD;
  }
  parsed.methodsOffered = offered;
  return 2 + count;
}

/**
 * User name and password: fills the credential. An empty password passes, although RFC 1929 counts from 1, because
 * clients send it and the right answer to it is a failed authentication, not a broken connection.
 */
export function parseSocksPassword(input: Uint8Array, length: number, parsed: Parsed): number {
  parsed.resetRequest();
  if (length < 1) return 0;
  if (input[0] !== AUTH_VERSION) return -MALFORMED_SOCKS;
  if (length < 2) return 0;
  const userLength = input[1] as number;
  if (userLength === 0) return -MALFORMED_SOCKS;
  const passwordAt = 3 + userLength;
  if (length < passwordAt) return 0;
  const passwordLength = input[passwordAt - 1] as number;
  if (length < passwordAt + passwordLength) return 0;
  const credential = parsed.credential;
  for (let i = 0; i < userLength; i++) credential[i] = input[2 + i] as number;
  for (let i = 0; i < passwordLength; i++) credential[userLength + i] = input[passwordAt + i] as number;
  parsed.credentialKind = CREDENTIAL_PASSWORD;
  parsed.userStart = 0;
  parsed.userLength = userLength;
  parsed.passwordStart = userLength;
  parsed.passwordLength = passwordLength;
  return passwordAt + passwordLength;
}

/** Request: fills the host and port. Only CONNECT completes. */
export function parseSocksRequest(input: Uint8Array, length: number, parsed: Parsed): number {
  parsed.resetRequest();
  if (length < 1) return 0;
  if (input[0] !== VERSION) return -MALFORMED_SOCKS;
  if (length < REQUEST_HEAD_BYTES) return 0;
  if (input[2] !== 0) return -MALFORMED_SOCKS;
  const type = input[3] as number;
  let addressAt = REQUEST_HEAD_BYTES;
  let addressBytes = 4;
  if (type === TYPE_IPV6) {
    addressBytes = 16;
  } else if (type === TYPE_NAME) {
    if (length < REQUEST_HEAD_BYTES + 1) return 0;
    addressBytes = input[REQUEST_HEAD_BYTES] as number;
    addressAt++;
    if (addressBytes === 0) return -MALFORMED_SOCKS;
  } else if (type !== TYPE_IPV4) {
    return -ADDRESS_TYPE_UNSUPPORTED;
  }
  const portAt = addressAt + addressBytes;
  if (length < portAt + 2) return 0;

  // BIND and UDP ASSOCIATE, and what RFC 1928 does not know: it has one reply for both.
  if (input[1] !== CONNECT) return -COMMAND_UNSUPPORTED;
  parsed.port = readPort(input, portAt);
  if (parsed.port === 0) return -MALFORMED_SOCKS;
  if (type === TYPE_NAME) {
    const taken = takeHost(input, addressAt, addressBytes, MALFORMED_SOCKS, parsed);
    return taken < 0 ? taken : portAt + 2;
  }
  const words = parsed.hostWords;
  if (type === TYPE_IPV4) {
    words[0] = 0;
    words[1] = 0;
    words[2] = MAPPED_WORD;
    words[3] = readWord(input, addressAt);
  } else {
    for (let i = 0; i < 4; i++) words[i] = readWord(input, addressAt + i * 4);
  }
  parsed.hostKind = HOST_IP;
  return portAt + 2;
}
