import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatIp } from '../../layout/ip-address.ts';
import {
  COMMAND_UNSUPPORTED,
  HEADER_TOO_LARGE,
  MALFORMED_HTTP,
  REASONS_COUNT,
  reasonName,
  TARGET_FORBIDDEN,
  TRANSFER_CODING_UNSUPPORTED,
} from '../../layout/reasons.ts';
import { FIELDS_COUNT_MAX, parseHttpHead } from './http.ts';
import {
  BODY_CHUNKED,
  BODY_LENGTH,
  BODY_NONE,
  CONNECTION_OPTIONS_MAX,
  CREDENTIAL_NONE,
  CREDENTIAL_PASSWORD,
  CREDENTIAL_UNUSABLE,
  HOST_IP,
  HOST_NAME,
  Parsed,
} from './parsed.ts';
import { itKeepsTheParserContract, type Parser } from './parser.compliance.ts';

const BOUND = 8192;
const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'));
const parse: Parser = (input, length, into) => parseHttpHead(input, length, BOUND, into);
const parsed = new Parsed();
const answer = (text: string): number => parse(bytes(text), text.length, parsed);
const host = (): string =>
  parsed.hostKind === HOST_IP
    ? formatIp(parsed.hostWords)
    : parsed.hostKind === HOST_NAME
      ? Buffer.from(parsed.name.subarray(0, parsed.nameLength)).toString()
      : 'none';

/** A GET with these field lines besides Host. */
const withFields = (...lines: string[]): string =>
  ['GET http://a.example/ HTTP/1.1', 'Host: a.example', ...lines, '', ''].join('\r\n');
const connectTo = (target: string): string => `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`;
const getOf = (target: string): string => `GET ${target} HTTP/1.1\r\nHost: x\r\n\r\n`;

itKeepsTheParserContract('HTTP head', parse, [
  bytes(connectTo('example.com:443')),
  bytes('CONNECT [2001:db8::1]:22 HTTP/1.0\r\n\r\n'),
  bytes(getOf('http://example.com/path?query')),
  bytes('\r\nPOST http://a.example HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\n'),
  bytes(
    withFields('Transfer-Encoding: chunked', 'Connection: close, X-One', 'X-One:', 'Accept: \t a\xe9 \t'),
  ),
  bytes(withFields('Proxy-Authorization: Basic YWxpY2U6czNjcmV0')),
]);

describe('the target of a request', () => {
  it.each([
    [connectTo('example.com:443'), 1, 'example.com', 443],
    [connectTo('EXAMPLE.com.:1'), 1, 'example.com', 1],
    [connectTo('192.0.2.1:65535'), 1, '192.0.2.1', 65535],
    [connectTo('[2001:db8::1]:8443'), 1, '2001:db8::1', 8443],
    [connectTo('[::ffff:127.0.0.1]:80'), 1, '127.0.0.1', 80],
    [getOf('http://example.com/'), 0, 'example.com', 80],
    [getOf('HTTP://Example.COM'), 0, 'example.com', 80],
    [getOf('http://example.com:8080/a?b=http://c/'), 0, 'example.com', 8080],
    [getOf('http://example.com:/'), 0, 'example.com', 80],
    [getOf('http://example.com?q'), 0, 'example.com', 80],
    [getOf('http://[::1]/'), 0, '::1', 80],
    [getOf('http://[::1]:81'), 0, '::1', 81],
    [getOf('http://127.0.0.1:81/@x'), 0, '127.0.0.1', 81],
  ])('of %j', (head, isConnect, name, port) => {
    expect(answer(head)).toBe(head.length);
    expect([parsed.isConnect, host(), parsed.port]).toEqual([isConnect, name, port]);
  });

  it.each([
    '/',
    '/path',
    '*',
    'example.com:80',
    'http:/a/',
    'http:///a',
    'http://:80/',
    'http://user@example.com/',
    'http://user:secret@example.com/',
    'http://user:80@example.com/',
    'http://example.com:0/',
    'http://example.com:65536/',
    'http://example.com:080/',
    'http://example.com:+80/',
    'http://example.com:8a/',
    'http://example.com:80:80/',
    'http://example.com/#fragment',
    'http://example.com#@evil.example/',
    'http://::1/',
    'http://[::1/',
    'http://[::1]x/',
    'http://[::1%25eth0]/',
    'http://[v1.x]/',
    'http://[127.0.0.1]/',
    'http://a%2eb/',
    'http://a_b-.example/',
    'http://a\\b/',
    'http://a,b/',
  ])('refuses %s as malformed', (target) => {
    expect(answer(getOf(target))).toBe(-MALFORMED_HTTP);
  });

  it.each(['https://example.com/', 'ftp://example.com/', 'ws://x/', 'x+y-z.1://x'])(
    'does not support %s',
    (target) => {
      expect(answer(getOf(target))).toBe(-COMMAND_UNSUPPORTED);
    },
  );

  it.each([
    'example.com',
    'example.com:',
    ':443',
    'example.com:0',
    'example.com:443/',
    'u@example.com:443',
    '::1:443',
  ])('refuses CONNECT %s', (target) => {
    expect(answer(connectTo(target))).toBe(-MALFORMED_HTTP);
  });

  it.each(['0x7f.1', '2130706433', '0177.0.0.1', '127.1', '127.0.0.1.', '1.2.3.4.5', '0'])(
    'refuses %s, which some resolver reads as an address',
    (name) => {
      expect(answer(connectTo(`${name}:80`))).toBe(-TARGET_FORBIDDEN);
      expect(answer(getOf(`http://${name}/`))).toBe(-TARGET_FORBIDDEN);
    },
  );
});

describe('the request line', () => {
  it.each([
    'GET  http://a/ HTTP/1.1\r\n',
    ' GET http://a/ HTTP/1.1\r\n',
    'GET http://a/  HTTP/1.1\r\n',
    'GET http://a/ HTTP/1.1 \r\n',
    'GET\thttp://a/ HTTP/1.1\r\n',
    'GET http://a/\r\n',
    'GET http://a/ HTTP/1.2\r\n',
    'GET http://a/ HTTP/2.0\r\n',
    'GET http://a/ HTTP/0.9\r\n',
    'GET http://a/ http/1.1\r\n',
    'GET http://a/ HTTP/1.10\r\n',
    'GET http://a/ HTTP/1.1\n',
    'GET http://a/ HTTP/1.1\rX',
    'GET http://a/\0 HTTP/1.1\r\n',
    'GET http://a/\xe9 HTTP/1.1\r\n',
    'G(T http://a/ HTTP/1.1\r\n',
    '\r\n\r\nGET http://a/ HTTP/1.1\r\n',
    '\nGET http://a/ HTTP/1.1\r\n',
    '\rGET',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    '\x16\x03\x01',
    '\x05\x01\x00',
    '\r\n',
  ])('refuses %j', (head) => {
    if (head === '\r\n') expect(answer(head)).toBe(0);
    else expect(answer(head)).toBe(-MALFORMED_HTTP);
  });

  it('treats methods as case-sensitive, and does not echo', () => {
    expect(answer('connect a.example:443 HTTP/1.1\r\nHost: a\r\n\r\n')).toBe(-MALFORMED_HTTP);
    expect(answer('TRACE http://a.example/ HTTP/1.1\r\nHost: a\r\n\r\n')).toBe(-COMMAND_UNSUPPORTED);
    const counted = 'OPTIONS http://a.example/ HTTP/1.1\r\nHost: a\r\nMax-Forwards: 1\r\n\r\n';
    expect(answer(counted)).toBe(-COMMAND_UNSUPPORTED);
  });
});

/** What smuggles requests past proxies, and what does not. */
describe('framing', () => {
  it.each<[string[], number, number]>([
    [[], BODY_NONE, 0],
    [['Content-Length: 0'], BODY_LENGTH, 0],
    [['content-LENGTH:5'], BODY_LENGTH, 5],
    [['Content-Length: \t 0005 \t'], BODY_LENGTH, 5],
    [['Content-Length: 5', 'Content-Length: 5'], BODY_LENGTH, 5],
    [['Content-Length: 9007199254740991'], BODY_LENGTH, Number.MAX_SAFE_INTEGER],
    [['Transfer-Encoding: chunked'], BODY_CHUNKED, 0],
    [['transfer-encoding:\tCHUNKED '], BODY_CHUNKED, 0],
  ])('reads %j', (lines, kind, length) => {
    expect(answer(withFields(...lines))).toBeGreaterThan(0);
    expect([parsed.bodyKind, parsed.bodyBytes]).toEqual([kind, length]);
  });

  it.each<[string[]]>([
    [['Content-Length:']],
    [['Content-Length: ']],
    [['Content-Length: +5']],
    [['Content-Length: -5']],
    [['Content-Length: 5 5']],
    [['Content-Length: 5, 5']],
    [['Content-Length: 0x5']],
    [['Content-Length: 5e1']],
    [['Content-Length: 5.0']],
    [['Content-Length: "5"']],
    [['Content-Length: 9007199254740992']],
    [['Content-Length: 18446744073709551621']],
    [[`Content-Length: ${'9'.repeat(400)}`]],
    [['Content-Length: 5', 'Content-Length: 6']],
    [['Content-Length: 5', 'Content-Length: ']],
    [['Content-Length: 5\v']],
    [['Content-Length : 5']],
    [['Content-Length\t: 5']],
    [['Content-Length: 5', 'Transfer-Encoding: chunked']],
    [['Transfer-Encoding: chunked', 'Content-Length: 5']],
    [['Transfer-Encoding: identity', 'Content-Length: 5']],
    [['Transfer-Encoding : chunked']],
    [['Transfer-Encoding:']],
    [['Transfer-Encoding: \vchunked']],
    [['Transfer-Encoding: chunked\0']],
    [['Transfer-Encoding:\n chunked']],
    [['Transfer-Encoding:', ' chunked']],
    [['X: y', ' Transfer-Encoding: chunked']],
    [['X: y', '\tfolded']],
    [[' X: first line folded']],
    [['X: y\rTransfer-Encoding: chunked']],
    [['X: y\nTransfer-Encoding: chunked']],
    [['X: y\n']],
    [['X: \0']],
    [['X: \x7f']],
    [['X\0: y']],
    [['X y: z']],
    [['X\xe9: z']],
    [[': z']],
    [['no colon']],
    [['(X): z']],
    [['Host: a.example']],
    [['Connection: Content-Length', 'Content-Length: 5']],
    [['Connection: close, transfer-encoding']],
    [['Connection: host']],
    [['Connection: a b']],
    [['Connection: "a"']],
    [[`Connection: ${Array.from({ length: CONNECTION_OPTIONS_MAX + 1 }, () => 'x').join()}`]],
    [['Proxy-Authorization: Basic YTpi', 'Proxy-Authorization: Basic YTpi']],
  ])('refuses %j', (lines) => {
    expect(answer(withFields(...lines))).toBe(-MALFORMED_HTTP);
  });

  it.each<[string[]]>([
    [['Transfer-Encoding: identity']],
    [['Transfer-Encoding: gzip, chunked']],
    [['Transfer-Encoding: chunked, chunked']],
    [['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked']],
    [['Transfer-Encoding: xchunked']],
    [['Transfer-Encoding: chunked;q=1']],
    [['Transfer-Encoding: "chunked"']],
  ])('does not support %j', (lines) => {
    expect(answer(withFields(...lines))).toBe(-TRANSFER_CODING_UNSUPPORTED);
  });

  it('holds HTTP/1.0 and CONNECT to what they know', () => {
    const old = 'POST http://a/ HTTP/1.0\r\n';
    expect(answer(`${old}Content-Length: 5\r\n\r\n`)).toBeGreaterThan(0);
    expect(parsed.minorVersion).toBe(0);
    expect(answer(`${old}Transfer-Encoding: chunked\r\n\r\n`)).toBe(-MALFORMED_HTTP);
    const connect = 'CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n';
    expect(answer(`${connect}Content-Length: 0\r\n\r\n`)).toBeGreaterThan(0);
    expect(answer(`${connect}Content-Length: 5\r\n\r\n`)).toBe(-MALFORMED_HTTP);
    expect(answer(`${connect}Transfer-Encoding: chunked\r\n\r\n`)).toBe(-MALFORMED_HTTP);
  });

  it('wants exactly one sound Host in HTTP/1.1', () => {
    const get = 'GET http://a.example/ HTTP/1.1\r\n';
    expect(answer(`${get}\r\n`)).toBe(-MALFORMED_HTTP);
    expect(answer(`${get}Host:\r\n\r\n`)).toBeGreaterThan(0);
    expect(answer(`${get}Host: other.example:81\r\n\r\n`)).toBeGreaterThan(0);
    expect(host()).toBe('a.example');
    for (const value of ['a b', 'a,b', 'u@a', 'a/b', 'a\\b', 'a?b', 'a#b', 'a\xe9']) {
      expect(answer(`${get}Host: ${value}\r\n\r\n`), value).toBe(-MALFORMED_HTTP);
    }
  });
});

describe('bounds of a head', () => {
  it('refuses a head over the bound, complete or not, and takes one of exactly that length', () => {
    const head = bytes(withFields('X: y'));
    expect(parseHttpHead(head, head.length, head.length, parsed)).toBe(head.length);
    expect(parseHttpHead(head, head.length, head.length - 1, parsed)).toBe(-HEADER_TOO_LARGE);
    expect(parseHttpHead(head, head.length - 2, head.length - 2, parsed)).toBe(-HEADER_TOO_LARGE);
    expect(parseHttpHead(head, head.length - 3, head.length - 2, parsed)).toBe(0);
    const endless = bytes(`GET http://a/${'x'.repeat(BOUND)}`);
    expect(parse(endless, endless.length, parsed)).toBe(-HEADER_TOO_LARGE);
  });

  it('bounds the number of fields', () => {
    expect(answer(withFields(...Array.from({ length: FIELDS_COUNT_MAX - 1 }, () => 'X: y')))).toBeGreaterThan(
      0,
    );
    expect(answer(withFields(...Array.from({ length: FIELDS_COUNT_MAX }, () => 'X: y')))).toBe(
      -HEADER_TOO_LARGE,
    );
  });
});

describe('Proxy-Authorization', () => {
  const credentialOf = (value: string): [number, string, string] => {
    expect(answer(withFields(`Proxy-Authorization: ${value}`))).toBeGreaterThan(0);
    const read = (start: number, length: number): string =>
      Buffer.from(parsed.credential.subarray(start, start + length)).toString();
    return [
      parsed.credentialKind,
      read(parsed.userStart, parsed.userLength),
      read(parsed.passwordStart, parsed.passwordLength),
    ];
  };

  it('decodes Basic', () => {
    fc.assert(
      fc.property(
        fc.string({ maxLength: 60, unit: 'grapheme' }).map((text) => text.replace(/[\p{Cc}:]/gu, '_')),
        fc.string({ maxLength: 60, unit: 'grapheme' }).map((text) => text.replace(/\p{Cc}/gu, '_')),
        fc.constantFrom('Basic ', 'basic ', 'BASIC   '),
        (user, password, scheme) => {
          const encoded = Buffer.from(`${user}:${password}`).toString('base64');
          expect(credentialOf(scheme + encoded)).toEqual([CREDENTIAL_PASSWORD, user, password]);
        },
      ),
    );
  });

  it('takes a user and password of 255 bytes each, and not more than it has room for', () => {
    const encode = (length: number): string =>
      `Basic ${Buffer.from(`${'u'.repeat(255)}:${'p'.repeat(length)}`).toString('base64')}`;
    expect(credentialOf(encode(255))[2]).toBe('p'.repeat(255));
    expect(credentialOf(encode(256))[2]).toBe('p'.repeat(256));
    expect(credentialOf(encode(257))[0]).toBe(CREDENTIAL_UNUSABLE);
    expect(credentialOf(encode(900))[0]).toBe(CREDENTIAL_UNUSABLE);
  });

  it.each([
    '',
    'Basic',
    'Basic =',
    'Basic ====',
    'Basic YTpi YTpi',
    'Basic YTp',
    'Basic YTpiYw',
    'Basic YTpiYw=',
    'Basic YTpiYx==',
    'Basic YTpiY2=x',
    'Basic YT=i',
    'Basic YTp-',
    'Basic YTp_',
    'Basic YTp\xe9',
    `Basic ${Buffer.from('nocolon').toString('base64')}`,
    `Basic ${Buffer.from('a\0:b').toString('base64')}`,
    `Basic ${Buffer.from('a:b\n').toString('base64')}`,
    'Digest username="a"',
    'Bearer abcd',
    'BasicYTpi',
  ])('cannot use %j', (value) => {
    expect(credentialOf(value)[0]).toBe(CREDENTIAL_UNUSABLE);
  });

  it('is forgotten by the next request', () => {
    credentialOf('Basic YTpi');
    expect(answer(withFields())).toBeGreaterThan(0);
    expect(parsed.credentialKind).toBe(CREDENTIAL_NONE);
  });
});

it('never throws, and consumes what it was given or less, on anything that resembles HTTP', () => {
  const pieces = fc.constantFrom(
    'GET ',
    'CONNECT ',
    'http://',
    'a.example',
    ':443',
    ' HTTP/1.1',
    '\r\n',
    '\n',
    '\r',
    'Host: a',
    'Content-Length: ',
    '5',
    'Transfer-Encoding: chunked',
    'Connection: ',
    'x, y',
    ' ',
    '\0',
    'Proxy-Authorization: Basic ',
    'YTpi',
  );
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 25 }), (parts) => {
      const text = parts.join('');
      const taken = answer(text);
      expect(taken <= text.length && taken > -REASONS_COUNT).toBe(true);
      if (taken < 0) expect(reasonName(-taken)).not.toBe('unknown');
    }),
    { numRuns: 1000 },
  );
});
