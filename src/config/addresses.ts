// Addresses, networks and names as operators write them. Only the plain forms are read: octal, hexadecimal and short
// forms of IPv4 (`0177.0.0.1`, `127.1`, `2130706433`) are refused, because different programs read them differently,
// and a filter that reads an address otherwise than the kernel is a hole. Control thread and CLI.

import { isAbsolute, resolve } from 'node:path';
import { formatIp, isHostName, isNumericLookalike, parseIp } from '../layout/ip-address.ts';
import { MAPPED_WORD, UNIX_PATH_BYTES_MAX } from '../sys/socket-address.ts';
import type {
  IpAddress,
  IpEndpoint,
  IpWords,
  Listen,
  Prefix,
  Target,
  UnixEndpoint,
} from './configuration.ts';

/** What is wrong with an address, as a whole sentence; it may name what was probably meant. */
export interface AddressMistake {
  readonly expected: string;
  readonly wrong: string;
  readonly nearest?: string;
}

const LISTEN_FORMS = 'address:port, [IPv6]:port, :port or unix:/path';
const TARGET_FORMS = 'host:port, [IPv6]:port or unix:/path';
const ADDRESS_FORMS = 'an IP address such as 192.0.2.1 or 2001:db8::1';
const PREFIX_FORMS = 'a network such as 10.0.0.0/8 or 2001:db8::/32';
const SERVER_NAME_FORMS = 'a server name such as www.example.com or *.example.com';

const MAPPED_BITS = 96;
const UNSPECIFIED: IpWords = [0, 0, 0, 0];

/** @returns the address, or undefined for everything that is not plainly one */
export function parseAddress(text: string): IpAddress | undefined {
  const words = parseIp(text);
  if (words === undefined) return undefined;
  const [word0 = 0, word1 = 0, word2 = 0, word3 = 0] = words;
  return { words: [word0, word1, word2, word3], text: formatIp(words) };
}

/** The mistake for a text that `parseAddress` did not take. */
export function addressMistake(text: string): AddressMistake {
  return { expected: ADDRESS_FORMS, wrong: looksNumeric(text) ? NOT_PLAIN : 'is not an IP address' };
}

const NOT_PLAIN = 'is not an IP address in its plain form (four decimal numbers without leading zeros)';

/** @param baseDirectory what a relative path after `unix:` starts from */
export function parseListen(text: string, baseDirectory: string): Listen | AddressMistake {
  if (text.startsWith('unix:')) return parseUnix(text, baseDirectory, LISTEN_FORMS);
  const parts = hostAndPort(text, LISTEN_FORMS, 0);
  if ('wrong' in parts) return parts;
  // Nothing before the colon: :: is bound for both families.
  if (parts.host === '') return endpoint(UNSPECIFIED, parts.port);
  const address = parseAddress(parts.host);
  if (address !== undefined) return endpoint(address.words, parts.port);
  const wrong = 'does not begin with an IP address; names cannot be listened on';
  return parts.host.toLowerCase() === 'localhost'
    ? { expected: LISTEN_FORMS, wrong, nearest: `127.0.0.1:${parts.port}` }
    : { expected: LISTEN_FORMS, wrong };
}

/** @param baseDirectory what a relative path after `unix:` starts from */
export function parseTarget(text: string, baseDirectory: string): Target | AddressMistake {
  if (text.startsWith('unix:')) return parseUnix(text, baseDirectory, TARGET_FORMS);
  const parts = hostAndPort(text, TARGET_FORMS, 1);
  if ('wrong' in parts) return parts;
  if (parts.host === '') return { expected: TARGET_FORMS, wrong: 'has no host before the port' };
  const address = parseAddress(parts.host);
  if (address !== undefined) {
    const [word0, word1, word2, word3] = address.words;
    const unspecified = word0 === 0 && word1 === 0 && (word2 === 0 || word2 === MAPPED_WORD) && word3 === 0;
    if (unspecified) return { expected: TARGET_FORMS, wrong: 'is no address that can be connected to' };
    return endpoint(address.words, parts.port);
  }
  const name = hostName(parts.host);
  if (typeof name !== 'string') return { expected: TARGET_FORMS, ...name };
  return { kind: 'name', name, port: parts.port, text: `${name}:${parts.port}` };
}

/** Networks, and single addresses as networks of one. Bits after the prefix must be zero. */
export function parsePrefix(text: string): Prefix | AddressMistake {
  const slash = text.indexOf('/');
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (address === undefined) {
    return { expected: PREFIX_FORMS, wrong: looksNumeric(text) ? NOT_PLAIN : 'is not a network' };
  }
  const isMapped = address.words[0] === 0 && address.words[1] === 0 && address.words[2] === MAPPED_WORD;
  const offset = isMapped && !text.includes(':') ? MAPPED_BITS : 0;
  const length = slash < 0 ? String(128 - offset) : text.slice(slash + 1);
  if (!/^(0|[1-9]\d{0,2})$/.test(length) || Number(length) > 128 - offset) {
    return { expected: PREFIX_FORMS, wrong: `has a prefix length outside 0 to ${128 - offset}` };
  }
  const bits = Number(length) + offset;
  const words = masked(address.words, bits);
  const network = formatIp(Int32Array.from(words));
  if (words.some((word, index) => word !== address.words[index])) {
    const wrong = `has bits after its prefix of ${length}`;
    return { expected: PREFIX_FORMS, wrong, nearest: `${network}/${length}` };
  }
  // A mapped address that was written as IPv6 is printed as IPv4, and so must its length be.
  const printed = network.includes(':') ? bits : bits - MAPPED_BITS;
  return `${network}/${printed}`;
}

/** Lower case; a wildcard only as the whole label at the left, and with a name after it. */
export function parseServerName(text: string): string | AddressMistake {
  const rest = text.startsWith('*.') ? text.slice(2) : text;
  if (rest.includes('*')) {
    return { expected: SERVER_NAME_FORMS, wrong: 'has a wildcard that is not the whole label at the left' };
  }
  if (parseAddress(rest) !== undefined) {
    return { expected: SERVER_NAME_FORMS, wrong: 'is an address; TLS clients send names only' };
  }
  const name = hostName(rest);
  if (typeof name !== 'string') return { expected: SERVER_NAME_FORMS, ...name };
  return rest === text ? name : `*.${name}`;
}

/** @returns an absolute path that fits a Unix socket address */
export function parseSocketPath(path: string, baseDirectory: string): UnixEndpoint | AddressMistake {
  const expected = `a path shorter than ${UNIX_PATH_BYTES_MAX} bytes`;
  if (path === '') return { expected, wrong: 'has no path' };
  if (path.startsWith('@') || path.includes('\0')) {
    return { expected, wrong: 'is not a path; abstract sockets are not supported' };
  }
  const absolute = isAbsolute(path) ? path : resolve(baseDirectory, path);
  const bytes = Buffer.byteLength(absolute);
  if (bytes >= UNIX_PATH_BYTES_MAX) return { expected, wrong: `is ${bytes} bytes long as a path` };
  return { kind: 'unix', path: absolute, text: `unix:${absolute}` };
}

function parseUnix(text: string, baseDirectory: string, expected: string): UnixEndpoint | AddressMistake {
  const path = parseSocketPath(text.slice('unix:'.length), baseDirectory);
  return 'wrong' in path ? { ...path, expected } : path;
}

/** Splits at the last colon; IPv6 must stand in brackets. The host may be empty. */
function hostAndPort(
  text: string,
  expected: string,
  portMin: number,
): { host: string; port: number } | AddressMistake {
  const bracketed = /^\[([^\]]*)\](.*)$/.exec(text);
  const colon = text.lastIndexOf(':');
  if (bracketed === null && isIpv6(text)) {
    return { expected, wrong: 'is an IPv6 address without brackets or port', nearest: `[${text}]:80` };
  }
  if (bracketed === null && text.indexOf(':') !== colon) {
    const host = text.slice(0, colon);
    const meant = isIpv6(host) ? { nearest: `[${host}]${text.slice(colon)}` } : {};
    return { expected, wrong: 'has more than one colon; IPv6 addresses stand in brackets', ...meant };
  }
  const host = bracketed === null ? text.slice(0, Math.max(0, colon)) : (bracketed[1] ?? '');
  const rest = bracketed === null ? text.slice(colon < 0 ? text.length : colon) : (bracketed[2] ?? '');
  if (bracketed !== null && !isIpv6(host)) {
    return { expected, wrong: 'has something else than an IPv6 address in its brackets' };
  }
  if (!rest.startsWith(':') || rest === ':') return { expected, wrong: 'has no port' };
  const port = /^:(0|[1-9]\d{0,4})$/.test(rest) ? Number(rest.slice(1)) : -1;
  if (port < portMin || port > 65_535) return { expected, wrong: `has a port outside ${portMin} to 65535` };
  return { host, port };
}

/** A host name in the form that DNS and TLS use, or what is wrong with it. */
function hostName(text: string): string | { wrong: string } {
  if (looksNumeric(text)) return { wrong: NOT_PLAIN };
  const bytes = Buffer.from(text, 'utf8');
  if (bytes.length !== text.length) {
    return { wrong: 'has characters outside ASCII; write it in its xn-- form' };
  }
  if (!isHostName(bytes, 0, bytes.length)) return { wrong: 'is neither an IP address nor a name' };
  return (text.endsWith('.') ? text.slice(0, -1) : text).toLowerCase();
}

/** Ends in a number, as no name of the public DNS does: somebody meant an address. */
function looksNumeric(text: string): boolean {
  const bytes = Buffer.from(text.replace(/\/.*$/, ''), 'utf8');
  return isNumericLookalike(bytes, 0, bytes.length);
}

function isIpv6(text: string): boolean {
  return text.includes(':') && parseIp(text) !== undefined;
}

function endpoint(words: IpWords, port: number): IpEndpoint {
  const text = formatIp(Int32Array.from(words));
  return { kind: 'ip', words, port, text: text.includes(':') ? `[${text}]:${port}` : `${text}:${port}` };
}

function masked(words: IpWords, bits: number): IpWords {
  const mask = (index: number) => {
    const kept = Math.min(32, Math.max(0, bits - index * 32));
    return (words[index] ?? 0) & (kept === 0 ? 0 : -1 << (32 - kept));
  };
  return [mask(0), mask(1), mask(2), mask(3)];
}
