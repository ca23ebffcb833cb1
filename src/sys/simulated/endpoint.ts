// An IP address and port inside the simulation, and its way to and from the bytes of a sockaddr. Four words in network
// order; IPv4 is mapped, as in socket-address.ts. Addresses of the documentation networks have fixed behaviours.
// @source RFC 5737 (documentation networks), ip(7), ipv6(7)

import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  EAFNOSUPPORT,
  EFAULT,
  EHOSTUNREACH,
  EINVAL,
  ENETUNREACH,
  ETIMEDOUT,
} from '../constants.ts';
import {
  MAPPED_WORD,
  SOCKADDR_IN6_BYTES,
  SOCKADDR_IN_BYTES,
  UNIX_PATH_BYTES_MAX,
} from '../socket-address.ts';
import type { AddressSpace } from './memory.ts';

export interface Endpoint {
  word0: number;
  word1: number;
  word2: number;
  word3: number;
  port: number;
}

const LOOPBACK_WORD = 0x7f000001;
const SOCKADDR_FAMILY_BYTES = 2;
const NETWORK_24_MASK = 0xffffff00 | 0;
/** 192.0.2.0/24 swallows every segment; 198.51.100.0/24 has no hosts; 203.0.113.0/24 has no route. */
const BLACK_HOLE_NETWORK = 0xc0000200 | 0;
const NO_HOST_NETWORK = 0xc6336400 | 0;
const NO_ROUTE_NETWORK = 0xcb007100 | 0;

export function anyEndpoint(family: number): Endpoint {
  return { word0: 0, word1: 0, word2: family === AF_INET ? MAPPED_WORD : 0, word3: 0, port: 0 };
}

export function isMapped(endpoint: Endpoint): boolean {
  return endpoint.word0 === 0 && endpoint.word1 === 0 && endpoint.word2 === MAPPED_WORD;
}

/** 0.0.0.0 or :: */
export function isWildcard(endpoint: Endpoint): boolean {
  const { word0, word1, word2, word3 } = endpoint;
  return word0 === 0 && word1 === 0 && (word2 === 0 || word2 === MAPPED_WORD) && word3 === 0;
}

export function sameAddress(left: Endpoint, right: Endpoint): boolean {
  return (
    left.word3 === right.word3 &&
    left.word2 === right.word2 &&
    left.word1 === right.word1 &&
    left.word0 === right.word0
  );
}

/** Where a connection to an unspecified address goes. */
export function orLoopback(endpoint: Endpoint): void {
  if (isWildcard(endpoint)) endpoint.word3 = isMapped(endpoint) ? LOOPBACK_WORD : 1;
}

/** The address that Linux would send from: every simulated address is one of its own. */
export function sourceFor(target: Endpoint): Endpoint {
  const source = { ...target, port: 0 };
  if (isMapped(target) && target.word3 >>> 24 === 127) source.word3 = LOOPBACK_WORD;
  return source;
}

/** What becomes of a connection to this address: 0 it arrives, else the errno at which it ends. */
export function fateOf(endpoint: Endpoint): number {
  if (!isMapped(endpoint)) return 0;
  const network = endpoint.word3 & NETWORK_24_MASK;
  if (network === BLACK_HOLE_NETWORK) return ETIMEDOUT;
  if (network === NO_HOST_NETWORK) return EHOSTUNREACH;
  return network === NO_ROUTE_NETWORK ? ENETUNREACH : 0;
}

/** Reads an IP sockaddr as a socket of `family` would. @returns a negative errno where it can not be used */
export function readEndpoint(
  memory: AddressSpace,
  family: number,
  address: number,
  length: number,
): Endpoint | number {
  const bytes = memory.bytesAt(address, length);
  if (bytes === undefined) return -EFAULT;
  if (length < (family === AF_INET ? SOCKADDR_IN_BYTES : SOCKADDR_IN6_BYTES)) return -EINVAL;
  const view = new DataView(bytes.buffer, memory.offsetOf(address), length);
  const written = view.getUint16(0, true);
  if (written !== family) return -EAFNOSUPPORT;
  const port = view.getUint16(2, false);
  if (family === AF_INET) return { ...anyEndpoint(AF_INET), word3: view.getInt32(4, false), port };
  return {
    word0: view.getInt32(8, false),
    word1: view.getInt32(12, false),
    word2: view.getInt32(16, false),
    word3: view.getInt32(20, false),
    port,
  };
}

/** Reads the path of a Unix sockaddr. @returns a negative errno where there is none */
export function readUnixPath(memory: AddressSpace, address: number, length: number): string | number {
  const bytes = memory.bytesAt(address, length);
  if (bytes === undefined) return -EFAULT;
  if (length <= SOCKADDR_FAMILY_BYTES || length > SOCKADDR_FAMILY_BYTES + UNIX_PATH_BYTES_MAX) return -EINVAL;
  const start = memory.offsetOf(address);
  if ((bytes[start] as number) !== AF_UNIX) return -EINVAL;
  let end = start + SOCKADDR_FAMILY_BYTES;
  while (end < start + length && bytes[end] !== 0) end++;
  return Buffer.from(bytes.subarray(start + SOCKADDR_FAMILY_BYTES, end)).toString('utf8');
}

function encodeEndpoint(family: number, endpoint: Endpoint): Uint8Array {
  const bytes = new Uint8Array(family === AF_INET ? SOCKADDR_IN_BYTES : SOCKADDR_IN6_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, family, true);
  view.setUint16(2, endpoint.port, false);
  if (family === AF_INET) view.setInt32(4, endpoint.word3, false);
  if (family !== AF_INET6) return bytes;
  view.setInt32(8, endpoint.word0, false);
  view.setInt32(12, endpoint.word1, false);
  view.setInt32(16, endpoint.word2, false);
  view.setInt32(20, endpoint.word3, false);
  return bytes;
}

/** Answers a sockaddr as accept and getsockname do: as many bytes as there is room for, and the whole length. */
function answerBytes(
  memory: AddressSpace,
  answer: Uint8Array,
  address: number,
  lengthAddress: number,
): number {
  if (memory.bytesAt(lengthAddress, 4) === undefined) return -EFAULT;
  const room = memory.readInt32(lengthAddress);
  if (room < 0) return -EINVAL;
  const target = memory.bytesAt(address, Math.min(room, answer.length));
  if (target === undefined) return -EFAULT;
  target.set(answer.subarray(0, room), memory.offsetOf(address));
  memory.writeInt32(lengthAddress, answer.length);
  return 0;
}

export function answerEndpoint(
  memory: AddressSpace,
  family: number,
  endpoint: Endpoint,
  address: number,
  lengthAddress: number,
): number {
  return answerBytes(memory, encodeEndpoint(family, endpoint), address, lengthAddress);
}

/** An unnamed socket answers its family only. */
export function answerUnixPath(
  memory: AddressSpace,
  path: string,
  address: number,
  lengthAddress: number,
): number {
  const family = Uint8Array.of(AF_UNIX, 0);
  const answer = path === '' ? family : Buffer.concat([family, Buffer.from(path), Uint8Array.of(0)]);
  return answerBytes(memory, answer, address, lengthAddress);
}
