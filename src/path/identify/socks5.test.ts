import { describe, expect, it } from 'vitest';
import { formatIp, parseIp } from '../../layout/ip-address.ts';
import {
  ADDRESS_TYPE_UNSUPPORTED,
  AUTH_FAILED,
  COMMAND_UNSUPPORTED,
  CONNECT_FAILED,
  CONNECT_REFUSED,
  CONNECT_TIMEOUT,
  CONNECT_UNREACHABLE,
  MALFORMED_SOCKS,
  NAME_NOT_FOUND,
  TARGET_FORBIDDEN,
  TARGET_OWN_LISTENER,
} from '../../layout/reasons.ts';
import { EHOSTUNREACH, ENETUNREACH } from '../../sys/constants.ts';
import { CREDENTIAL_PASSWORD, HOST_IP, HOST_NAME, Parsed } from './parsed.ts';
import { itKeepsTheParserContract, type Parser } from './parser.compliance.ts';
import {
  OFFERS_NO_AUTH,
  OFFERS_PASSWORD,
  parseSocksGreeting,
  parseSocksPassword,
  parseSocksRequest,
} from './socks5.ts';
import {
  SOCKS_METHOD_NONE,
  SOCKS_REPLY_BYTES_MAX,
  SOCKS_SUCCEEDED,
  socksReplyCode,
  writeSocksAuthStatus,
  writeSocksMethod,
  writeSocksReply,
} from './socks5-reply.ts';

const text = (value: string): number[] => [...Buffer.from(value, 'latin1')];
const bytes = (...parts: (number | number[])[]): Uint8Array => Uint8Array.from(parts.flat());
const byName = (name: string, port = 443): Uint8Array =>
  bytes(5, 1, 0, 3, name.length, text(name), port >> 8, port & 0xff);
const byIpv4 = bytes(5, 1, 0, 1, 192, 0, 2, 255, 0x1f, 0x90);
const byIpv6 = bytes(5, 1, 0, 4, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe, 255, 255);
const password = (user: string, secret: string): Uint8Array =>
  bytes(1, user.length, text(user), secret.length, text(secret));

const greetings = [
  bytes(5, 1, 0),
  bytes(5, 2, 0, 2),
  bytes(
    5,
    255,
    Array.from({ length: 255 }, () => 0x80),
  ),
];
const passwords = [
  password('alice', 's3cret'),
  password('a', ''),
  password('u'.repeat(255), '\xff'.repeat(255)),
];
const requests = [
  byName('example.com'),
  byName('a'.repeat(63)),
  byIpv4,
  byIpv6,
  byName('::1'),
  byName('192.0.2.1'),
];

itKeepsTheParserContract('SOCKS5 greeting', parseSocksGreeting, greetings);
itKeepsTheParserContract('SOCKS5 password', parseSocksPassword, passwords);
itKeepsTheParserContract('SOCKS5 request', parseSocksRequest, requests);

const answer = (parse: Parser, input: Uint8Array): [number, Parsed] => {
  const parsed = new Parsed();
  return [parse(input, input.length, parsed), parsed];
};

describe('SOCKS5 greeting', () => {
  it('tells which methods are offered', () => {
    const offered = (...methods: number[]): number =>
      answer(parseSocksGreeting, bytes(5, methods.length, methods))[1].methodsOffered;
    expect(offered(0)).toBe(OFFERS_NO_AUTH);
    expect(offered(2)).toBe(OFFERS_PASSWORD);
    expect(offered(1, 2, 0, 2)).toBe(OFFERS_NO_AUTH | OFFERS_PASSWORD);
    expect(offered(1, 3, 0x80)).toBe(0);
  });

  it('refuses other versions at the first byte, and no methods', () => {
    for (const input of [bytes(4), bytes(0), bytes(0x16), text('G'), bytes(5, 0)]) {
      expect(answer(parseSocksGreeting, Uint8Array.from(input))[0]).toBe(-MALFORMED_SOCKS);
    }
  });
});

describe('SOCKS5 user name and password', () => {
  it('takes both apart', () => {
    for (const [user, secret] of [
      ['alice', 's3cret'],
      ['a', ''],
      ['u'.repeat(255), 'p'.repeat(255)],
    ] as const) {
      const [, parsed] = answer(parseSocksPassword, password(user, secret));
      expect(parsed.credentialKind).toBe(CREDENTIAL_PASSWORD);
      const read = (start: number, length: number): string =>
        Buffer.from(parsed.credential.subarray(start, start + length)).toString();
      expect(read(parsed.userStart, parsed.userLength)).toBe(user);
      expect(read(parsed.passwordStart, parsed.passwordLength)).toBe(secret);
    }
  });

  it('refuses another version and an empty user name', () => {
    expect(answer(parseSocksPassword, bytes(5, 1))[0]).toBe(-MALFORMED_SOCKS);
    expect(answer(parseSocksPassword, bytes(1, 0))[0]).toBe(-MALFORMED_SOCKS);
  });
});

describe('SOCKS5 request', () => {
  it('takes IPv4, IPv6 and names', () => {
    const ipv4 = answer(parseSocksRequest, byIpv4)[1];
    expect([ipv4.hostKind, formatIp(ipv4.hostWords), ipv4.port]).toEqual([HOST_IP, '192.0.2.255', 8080]);
    const ipv6 = answer(parseSocksRequest, byIpv6)[1];
    expect([ipv6.hostKind, formatIp(ipv6.hostWords), ipv6.port]).toEqual([HOST_IP, '2001:db8::fffe', 65535]);
    const name = answer(parseSocksRequest, byName('WWW.Example.com.', 1))[1];
    expect(name.hostKind).toBe(HOST_NAME);
    expect(Buffer.from(name.name.subarray(0, name.nameLength)).toString()).toBe('www.example.com');
    expect(name.port).toBe(1);
  });

  it('takes a name that is a literal for an address', () => {
    for (const literal of ['127.0.0.1', '::1', '::ffff:127.0.0.1', 'fe80::1']) {
      const [consumed, parsed] = answer(parseSocksRequest, byName(literal));
      expect(consumed).toBeGreaterThan(0);
      expect(parsed.hostKind).toBe(HOST_IP);
      expect(parsed.hostWords).toEqual(parseIp(literal));
    }
  });

  it.each(['0x7f.1', '2130706433', '0177.0.0.1', '127.1', '127.0.0.1.', '0', '0x7f000001.'])(
    'refuses %s, which some resolver reads as an address',
    (name) => {
      expect(answer(parseSocksRequest, byName(name))[0]).toBe(-TARGET_FORBIDDEN);
    },
  );

  it('knows what it does not do', () => {
    for (const command of [2, 3]) {
      const input = byName('example.com');
      input[1] = command;
      expect(answer(parseSocksRequest, input)[0]).toBe(-COMMAND_UNSUPPORTED);
      // Only when all of it was read.
      expect(answer(parseSocksRequest, input.subarray(0, -1))[0]).toBe(0);
    }
    for (const type of [0, 2, 5, 255]) {
      expect(answer(parseSocksRequest, bytes(5, 1, 0, type))[0]).toBe(-ADDRESS_TYPE_UNSUPPORTED);
    }
  });

  it('refuses malformed requests', () => {
    const bad = [bytes(4), bytes(5, 1, 1, 1), bytes(5, 1, 0, 3, 0), byName('example.com', 0)];
    for (const name of ['a b', 'a\0', '-a', '[::1]', '::1%lo', 'a..b', '.']) bad.push(byName(name));
    for (const input of bad) expect(answer(parseSocksRequest, input)[0]).toBe(-MALFORMED_SOCKS);
  });
});

describe('SOCKS5 replies', () => {
  it('writes the method, the authentication status and the reply', () => {
    const output = new Uint8Array(SOCKS_REPLY_BYTES_MAX);
    expect([writeSocksMethod(output, SOCKS_METHOD_NONE), ...output.subarray(0, 2)]).toEqual([2, 5, 0xff]);
    expect([writeSocksAuthStatus(output, true), ...output.subarray(0, 2)]).toEqual([2, 1, 0]);
    expect([writeSocksAuthStatus(output, false), ...output.subarray(0, 2)]).toEqual([2, 1, 1]);
    const ipv4 = writeSocksReply(output, SOCKS_SUCCEEDED, 0, 0, 0xffff, 0xc0000201 | 0, 65535);
    expect([...output.subarray(0, ipv4)]).toEqual([5, 0, 0, 1, 192, 0, 2, 1, 255, 255]);
    const ipv6 = writeSocksReply(output, SOCKS_SUCCEEDED, 0x20010db8, 0, 0, -2, 258);
    expect(ipv6).toBe(SOCKS_REPLY_BYTES_MAX);
    expect(Buffer.from(output).toString('hex')).toBe('0500000420010db80000000000000000fffffffe0102');
    const failed = writeSocksReply(output, 5, 0, 0, 0, 0, 0);
    expect([...output.subarray(0, failed)]).toEqual([5, 5, 0, 1, 0, 0, 0, 0, 0, 0]);
  });

  it.each([
    [CONNECT_FAILED, 0, 1],
    [AUTH_FAILED, 0, 1],
    [MALFORMED_SOCKS, 0, 1],
    [-1, 0, 1],
    [9999, 0, 1],
    [TARGET_FORBIDDEN, 0, 2],
    [TARGET_OWN_LISTENER, 0, 2],
    [CONNECT_UNREACHABLE, ENETUNREACH, 3],
    [CONNECT_UNREACHABLE, EHOSTUNREACH, 4],
    [CONNECT_UNREACHABLE, 0, 4],
    [NAME_NOT_FOUND, 0, 4],
    [CONNECT_REFUSED, 0, 5],
    [CONNECT_TIMEOUT, 0, 6],
    [COMMAND_UNSUPPORTED, 0, 7],
    [ADDRESS_TYPE_UNSUPPORTED, 0, 8],
  ])('maps reason %d with errno %d to %d', (reason, errno, code) => {
    expect(socksReplyCode(reason, errno)).toBe(code);
  });
});
